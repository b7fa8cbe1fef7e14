"""Every benchmark for CPUs, one after the other, in at most ten minutes: one table, and JSON.

    python -m benchmarks                          # what `make bench` runs
    python -m benchmarks --only step_speed gate
    python -m benchmarks --out /tmp/bench         # instead of .runs/bench

Each runs in a process of its own, is ended when its time is up, and leaves its own table in
OUT/<name>.log. The JSON is OUT/bench.json: machine, versions, commit, date, and the rows. Exit
status 1 where one failed or a limit was missed; a goal may be missed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.report import ROOT, Row
from benchmarks.suite import SET, Entry
from pipeline.cluster.local import cores

_CHILD = "--child"


def run(entry: Entry, folder: Path, tiny: bool = False) -> list[Row]:
    """The rows of one benchmark, or one that says how it failed."""
    if entry.cores > cores():
        return [Row(entry.name, f"left out: it needs {entry.cores} cores")]
    rows, log = folder / f"{entry.name}.json", folder / f"{entry.name}.log"
    rows.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks", _CHILD, entry.name, str(rows)]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [*command, *(["tiny"] if tiny else [])],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(entry.seconds)
        except subprocess.TimeoutExpired:
            return [Row(entry.name, "", failure=f"not done within {entry.seconds} s ({log.name})")]
        finally:  # servers and workers that it started go with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        said = (log.read_text(errors="replace").strip() or "no word").splitlines()[-1]
        return [Row(entry.name, "", failure=f"ended with {code}: {said[:90]} ({log.name})")]
    return report.from_json(rows.read_text())


def _child(name: str, file: str, *tiny: str) -> None:
    entry = {one.name: one for one in SET}[name]
    rows = entry.rows(entry.tiny if tiny else entry.arguments)
    Path(file).write_text(report.to_json(rows, {}))


def main(argv: Sequence[str] | None = None) -> int:
    """0: every limit holds; 1: one was missed, or a benchmark failed."""
    names = [entry.name for entry in SET]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=ROOT / ".runs" / "bench", metavar="FOLDER")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    facts, rows, began = report.about(), [], time.monotonic()
    for entry in SET:
        if entry.name not in options.only:
            continue
        started = time.monotonic()
        print(f"{entry.name} …", end=" ", file=sys.stderr, flush=True)
        rows += run(entry, options.out)
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    facts["seconds"] = round(time.monotonic() - began, 1)
    file = options.out / "bench.json"
    file.write_text(report.to_json(rows, facts))
    print(report.table(rows))
    machine, versions = facts["machine"], facts["versions"]
    print(
        f"\n{machine['processor']}, {machine['cores']} cores ({machine['instructions']}), load "
        f"{machine['load'][0]:g} before; torch {versions['torch']}, commit {facts['commit'][:10]}, "
        f"{facts['date'][:10]}; {facts['seconds']:.0f} s; {file}"
    )
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _child(*sys.argv[2:])
    else:
        sys.exit(main())
