"""What is told of a go: a row for each kill, and what did not hold."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Kill:
    """One row.

    Attributes:
        fault, what: the fault's name, and what it hit.
        round: the round's number and storage.
        moment: the stage, and the steps that each part's newest checkpoint had.
        outcome: what became of `dvc repro`.
        seconds: until work was further on than at the moment; None where it was not.
        gone: seconds until nothing trained any more, where that was asked for.
    """

    fault: str
    what: str
    round: str
    moment: str
    outcome: str = ""
    seconds: float | None = None
    gone: float | None = None


@dataclass
class Record:
    """All of a go.

    Attributes:
        seed: of the moments and their order.
        kills: in order.
        wrong: what did not hold, in words.
        notes: what is worth knowing besides.
        file: where the report goes, after every kill too.
    """

    seed: int
    kills: list[Kill] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    file: Path | None = None

    def save(self) -> None:
        """Write the report as it is now."""
        if self.file:
            self.file.write_text(self.markdown())

    def markdown(self) -> str:
        """The report."""
        counts = Counter(kill.fault for kill in self.kills)
        lines = [f"# Chaos, seed {self.seed}: {len(self.kills)} kills", ""]
        lines += [f"- {note}" for note in self.notes]
        lines += [
            "",
            "| | kill | hit | round | moment | what happened | s to go on |",
            "|" + "-|" * 7,
        ]
        for number, kill in enumerate(self.kills, 1):
            seconds = "" if kill.seconds is None else f"{kill.seconds:.0f}"
            gone = "" if kill.gone is None else f"; gone in {kill.gone:.1f} s"
            cells = [str(number), kill.fault, kill.what, kill.round, kill.moment]
            cells += [kill.outcome + gone, seconds]
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
        lines += ["", "Kinds: " + ", ".join(f"{n} × {name}" for name, n in sorted(counts.items()))]
        lines += ["", "## What did not hold", ""] if self.wrong else ["", "Everything held."]
        return "\n".join([*lines, *(f"- {wrong}" for wrong in self.wrong)]) + "\n"
