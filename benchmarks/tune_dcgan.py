"""The conditional DCGAN's settings, looked for during half an hour of training.

    python -m benchmarks.tune_dcgan

Run in a project with prepared data (`dvc repro prepare`), on two cores that nothing else uses. Each
of the candidates trains for a minute, the four best for four (from their start, by another seed):
15 and 16 minutes. Best is the lowest FID of those that have not collapsed: one digit a class gets a
good FID in the judge's features, and no recall. Each finished row is a line of OUT at once, and is
not trained again. The best one is what benchmarks/dcgan.py has as TUNED.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import judged
from benchmarks.contenders import Diverged, dcgan
from benchmarks.dcgan import Settings
from benchmarks.time_to_quality import about_here, again_with_passive_threads, yardstick
from pipeline.scores.asked import asked

CANDIDATES = (
    Settings(),
    *(
        Settings(rate, rate, head=head, ema=0.995)  # type: ignore[arg-type]
        for rate in (2e-4, 5e-4, 1e-3)
        for head in ("map", "projection")
    ),
    Settings(2e-4, 5e-4, ema=0.995),
    Settings(5e-4, 2e-4, ema=0.995),
    Settings(5e-4, 5e-4, batch=64, ema=0.995),
    Settings(5e-4, 5e-4, features=32, ema=0.995),
    Settings(5e-4, 5e-4, features=32, head="projection", ema=0.995),
    # after the first twelve
    Settings(1e-3, 1e-3, batch=64, ema=0.995),
    Settings(2e-3, 2e-3, ema=0.995),
    Settings(1e-3, 5e-4, batch=64, ema=0.995),
)
BEST = 4
COLLAPSED = 0.1  # recall below
FIRST, SECOND = 1.0, 4.0  # minutes
Row = dict[str, Any]


def best(rows: Sequence[Row], minutes: float) -> list[Row]:
    """The rows of so many minutes, by FID, the collapsed ones last."""
    own = [row for row in rows if row["minutes"] == minutes]
    by_fid = sorted(own, key=lambda row: row["values"]["fid"])
    return sorted(by_fid, key=lambda row: row["values"]["recall"] < COLLAPSED)


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a row, the best of the longest trainings first."""
    lines = ["| minutes | FID (judge) | GAN-test | recall | diversity | what differs |"]
    lines.append("|---" * 6 + "|")
    usual = asdict(Settings())
    for minutes in sorted({row["minutes"] for row in rows}, reverse=True):
        for row in best(rows, minutes):
            other = {k: v for k, v in row["settings"].items() if v != usual[k]}
            what = ", ".join(f"{k} {v:g}" if k != "head" else v for k, v in other.items())
            values = row["values"]
            cells = [f"{values[k]:.3f}" for k in ("fid", "gan_test", "recall", "diversity")]
            lines.append(f"| {minutes:g} | {' | '.join(cells)} | {what or 'nothing'} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Trains what has no row yet, prints the table; returns the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs=2, default=(FIRST, SECOND))
    parser.add_argument("--candidates", type=int, default=len(CANDIDATES), help="the first ones")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=10_000, help="judged for each row")
    parser.add_argument("--out", type=Path, default=Path(".runs/tune-dcgan.jsonl"))
    options = parser.parse_args(argv)
    rows: list[Row] = judged.rows(options.out, {"samples": options.samples})
    first, second = options.minutes
    _try(list(CANDIDATES[: options.candidates]), first, 1, rows, options)
    chosen = [Settings(**row["settings"]) for row in best(rows, first)[:BEST]]
    _try(chosen, second, 2, rows, options)
    print(table(rows))
    return rows


def _try(
    candidates: list[Settings],
    minutes: float,
    seed: int,
    rows: list[Row],
    options: argparse.Namespace,
) -> None:
    """Train the candidates that have no row of so many minutes; their rows are added."""
    done = [row["settings"] for row in rows if row["minutes"] == minutes]
    left = [settings for settings in candidates if asdict(settings) not in done]
    if not left:
        return
    about = about_here()
    with yardstick(options.threads) as (data, score):
        assert data.real is not None
        y = asked(data.real.frequencies, 0, options.samples)
        for settings in left:
            try:
                (state,) = dcgan(data, seed, [60 * minutes], settings)
            except Diverged as error:
                print(f"{settings}: {error}", file=sys.stderr, flush=True)
                continue
            values, _ = score(state.draw(y, seed))
            row = {"settings": asdict(settings), "minutes": minutes, "seed": seed, "values": values}
            row |= {"samples": options.samples, "images": state.images["images"]}
            rows.append({**row, **about})
            judged.append(options.out, rows[-1])
            print(f"{minutes:g} minutes, FID {values['fid']:.3f}: {settings}", flush=True)


if __name__ == "__main__":
    again_with_passive_threads("benchmarks.tune_dcgan")
    main()
