"""A retraining in Markdown: what the pull request says, and what a plan would cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.execution.promotion import Decision
from pipeline.execution.repro import environment_of
from pipeline.execution.retraining.branch import Base
from pipeline.execution.retraining.outcome import RAN, REUSED, TRAINED, Done, Outcome
from pipeline.execution.retraining.plan import Step

_NOTHING = "Nothing differs."


@dataclass(frozen=True)
class Differences:
    """What differs from the results before, as Markdown tables; "" where nothing does.

    Attributes:
        since: the commit of the results before; None where there are none.
        metrics, params: of DVC.
    """

    since: str | None
    metrics: str
    params: str

    @classmethod
    def since_commit(cls, root: Path, commit: str | None) -> Differences:
        """By `dvc metrics diff` and `dvc params diff`; none where `commit` is None."""
        if commit is None:
            return cls(None, "", "")
        return cls(commit, *(_diff(root, what, commit) for what in ("metrics", "params")))


def pull_request(
    base: Base,
    outcome: Outcome,
    verdict: Decision | str,
    differences: Differences,
    picture: str,
    kept: str,
) -> str:
    """The pull request's text.

    Args:
        base: what was retrained.
        outcome: stages and parts.
        verdict: the gate's; a sentence where it could not be asked.
        differences: from the results before.
        picture: address of the samples' sheet; "" without one.
        kept: where the outputs are.
    """
    lines = [f"Retrained `{base.branch}` at {base.revision[:10]}.", ""]
    if isinstance(verdict, Decision):
        lines += ["Verdict, if it is merged as it stands:", "", verdict.markdown()]
    else:
        lines += [f"**No verdict**: {verdict}", ""]
    if picture:
        lines += [f"![Samples, a class each row]({picture})", ""]
    lines += ["### What ran", "", *_done_table(outcome), ""]
    for title, table in (("Metrics", differences.metrics), ("Parameters", differences.params)):
        first = "These are the first results." if differences.since is None else _NOTHING
        lines += [f"### {title}", "", table or first, ""]
    if differences.since:
        lines += [f"Compared with the results committed in {differences.since[:10]}.", ""]
    lines += [f"Outputs and run-cache are in {kept}: `dvc pull` on this branch brings them."]
    return "\n".join(lines) + "\n"


def plan_text(steps: Sequence[Step]) -> str:
    """What would run, as Markdown."""
    if not steps:
        return "Nothing is stale.\n"
    lines = ["| stale | why | last time | core-minutes |", "|---|---|---:|---:|"]
    for step in steps:
        cells = (step.name, step.why, seconds_text(step.seconds), minutes_text(step.core_minutes))
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", plan_sum(steps)]) + "\n"


def plan_sum(steps: Sequence[Step]) -> str:
    """The plan's cost in a sentence."""
    known = [step.core_minutes for step in steps if step.core_minutes is not None]
    sure = sum(step.core_minutes or 0.0 for step in steps if step.sure)
    unknown = [step.name for step in steps if step.core_minutes is None]
    text = f"Costs {sure:.1f} core-minutes"
    if sum(known) > sure:
        text += f", and up to {sum(known):.1f} if what follows comes out otherwise"
    if unknown:
        text += f"; without {', '.join(unknown)}, whose time nobody noted"
    return text + "."


def seconds_text(seconds: float | None) -> str:
    """Seconds for a table."""
    return "?" if seconds is None else f"{seconds:,.0f} s"


def minutes_text(minutes: float | None) -> str:
    """Core-minutes for a table."""
    return "?" if minutes is None else f"{minutes:.1f}"


def _done_table(outcome: Outcome) -> list[str]:
    lines = ["| | | took | core-minutes |", "|---|---|---:|---:|"]
    for one in outcome.done:
        known = None if one.seconds is None else one.core_minutes
        spent = minutes_text(known) if one.how in (TRAINED, RAN) else ""
        cells = (one.name, _how(one), seconds_text(one.seconds), spent)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    total = f"{outcome.core_minutes:.1f} core-minutes in all."
    unknown = [one.name for one in outcome.done if one.how in (TRAINED, RAN) and not one.seconds]
    if unknown:
        total += f" Not counted, since nobody noted their time: {', '.join(unknown)}."
    return [*lines, "", total]


def _how(done: Done) -> str:
    return f"reused from {done.note}" if done.how == REUSED and done.note else done.how


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _diff(root: Path, what: str, commit: str) -> str:
    """DVC's own table; what it says instead, where it cannot tell."""
    command = [sys.executable, "-m", "dvc", what, "diff", "--md", commit]
    done = subprocess.run(
        command, cwd=root, env=environment_of(root), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"dvc {what} diff failed"])[-1]
        return f"`dvc {what} diff`: {last}"
    return done.stdout.strip()


def picture_address(repository: str | None, commit: str, path: Path) -> str:
    """Where a reader of the pull request finds a file of the commit; its path off GitHub."""
    if repository is None:
        return path.as_posix()
    server = os.environ.get("GITHUB_SERVER_URL") or "https://github.com"
    return f"{server}/{repository}/raw/{commit}/{path.as_posix()}"
