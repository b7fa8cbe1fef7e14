"""The one table of `make bench`: a row for each measured thing; and as JSON, with the machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "ray", "mlflow", "dvc", "numpy")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # as /proc/cpuinfo has them
HEADER = ("benchmark", "what", "ours", "opponent", "ratio", "limit or goal", "verdict")


@dataclass(frozen=True)
class Limit:
    """What must hold, or (`goal`) what is aimed at: a value of `ours`, or of the ratio.

    The ratio may not be lower; ours may not be worse.
    """

    value: float
    of: Literal["ours", "ratio"] = "ours"
    goal: bool = False


@dataclass(frozen=True)
class Row:
    """One measured thing.

    Attributes:
        benchmark: the script's name.
        what: what was measured, and at which size.
        ours: the value; None where the benchmark failed.
        unit: of it and of `theirs`.
        opponent: what `theirs` was measured on; "" without one.
        more_is_better: which way is better.
        limit: what must hold; None where the figure is only told.
        failure: why there is no value, in one line.
    """

    benchmark: str
    what: str
    ours: float | None = None
    unit: str = ""
    opponent: str = ""
    theirs: float | None = None
    more_is_better: bool = False
    limit: Limit | None = None
    failure: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the opponent; None where that cannot be said."""
        better, worse = self.theirs, self.ours
        if self.more_is_better:
            better, worse = worse, better
        return None if better is None or not worse else better / worse

    @property
    def holds(self) -> bool:
        """Whether the limit or the goal is met; True without one, False for a failure."""
        if self.failure:
            return False
        if self.limit is None:
            return True
        value = self.ours if self.limit.of == "ours" else self.ratio
        if value is None:
            return False
        more = self.more_is_better or self.limit.of == "ratio"
        return value >= self.limit.value if more else value <= self.limit.value

    @property
    def verdict(self) -> str:
        """In a word or two; "" where nothing is asked for."""
        if self.failure:
            return f"FAILED: {self.failure}"
        if self.limit is None:
            return ""
        if self.limit.goal:
            return "reached" if self.holds else "not reached"
        return "holds" if self.holds else "MISSED"

    @property
    def wrong(self) -> bool:
        """Whether it lets the whole run fail: a failure, or a limit (not a goal) that is missed."""
        return bool(self.failure) or not (self.holds or (self.limit and self.limit.goal))

    def cells(self) -> list[str]:
        """Its line of the table."""
        theirs = f"{shown(self.theirs, self.unit)} {self.opponent}" if self.opponent else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        return [
            self.benchmark,
            self.what,
            shown(self.ours, self.unit),
            theirs,
            ratio,
            self._asked(),
            self.verdict,
        ]

    def _asked(self) -> str:
        if self.limit is None:
            return ""
        of_ratio = self.limit.of == "ratio"
        sign = "≥" if of_ratio or self.more_is_better else "≤"
        value = f"ratio {sign} {self.limit.value:g}"
        if not of_ratio:
            value = f"{sign} {shown(self.limit.value, self.unit)}"
        return f"goal: {value}" if self.limit.goal else value


def shown(value: float | None, unit: str) -> str:
    """A value with three digits and its unit; "" for None."""
    if value is None:
        return ""
    digits = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{digits}{unit}" if unit in ("", "%") else f"{digits} {unit}"


def table(rows: Sequence[Row]) -> str:
    """All of them as one Markdown table whose columns line up."""
    lines = [list(HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, instructions, and the load on them now."""
    import torch

    from pipeline.cluster.local import cores
    from pipeline.parts.device import record_of

    found = record_of(torch.device("cpu"), torch.get_num_threads(), "")
    flags = _flags()
    return {
        "processor": found["processor"],
        "cores": cores(),
        "instructions": found["instructions"],
        "flags": {name: name in flags for name in INSTRUCTIONS},
        "system": platform.platform(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _flags() -> set[str]:
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.is_file() else ""
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, "").split())


def about() -> dict[str, Any]:
    """What figures depend on: machine, versions, commit, date."""
    from pipeline.tracking.revision import revision_of

    code = revision_of(ROOT)
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return {
        "machine": machine(),
        "versions": versions,
        "commit": code.commit,
        "dirty": code.dirty,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def to_json(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """`facts` (of `about`, taken before the first benchmark) and the rows."""
    plain = [asdict(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in rows]
    return json.dumps({**facts, "rows": plain}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Row]:
    """The rows of `to_json`."""
    rows = []
    for values in json.loads(text)["rows"]:
        limit = values["limit"] and Limit(**values["limit"])
        fields = {name: values[name] for name in Row.__dataclass_fields__}
        rows.append(Row(**fields | {"limit": limit}))
    return rows
