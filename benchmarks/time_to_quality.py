"""How good are samples after 1, 2, 4 and 8 minutes of training: ours beside what one would pick.

    python -m benchmarks.time_to_quality                      # hours; goes on where it stopped
    python -m benchmarks.time_to_quality --methods stack dcgan --seeds 1 --minutes 1 2
    python -m benchmarks.time_to_quality --minutes            # no training: table and picture anew

Run in a project with prepared data (`dvc repro prepare`), on two cores that nothing else uses. The
methods are in benchmarks/contenders.py. The clock counts training, and for the methods with an
encoder E's training and its features; no start of a process, no reading, no scoring. All are judged
by the project's judge on as many samples. Each finished row is a line of OUT/rows.jsonl at once,
with the machine, its load and the commit, and is not trained again (so take another OUT for other
data or another recipe); OUT has the table and the picture of its rows. A conditional DCGAN is
measured several times in one training; the others have schedules, and so a training for each
number of minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import judged, report
from benchmarks.contenders import CONTENDERS, Data, Diverged
from pipeline import paths
from pipeline.execution.stage import opened
from pipeline.scores.asked import asked
from pipeline.scores.evaluation import judge_for
from pipeline.scores.headline import DIVERSITY, FID, GAN_TEST, Headline
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import Samples
from pipeline.scores.judge import Judge
from pipeline.scores.lent import Means
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from pipeline.threads import on_threads

MEASURED = {
    "fid": FID,
    "gan_test": GAN_TEST,
    "recall": Headline("recall", "recall"),
    "diversity": DIVERSITY,
}
SHOWN = {
    "fid": "FID (judge), lower is better",
    "gan_test": "GAN-test",
    "recall": "recall",
    "diversity": "diversity within a class, 1 is real",
}
MINUTES = (1.0, 2.0, 4.0, 8.0)
Row = dict[str, Any]


def scores(samples: Samples, data: Data, judge: Judge, lent: Means) -> tuple[Row, Row]:
    """The measured values of a sample set, and those of real images by the same code."""
    assert data.real is not None
    found = in_domain([samples], data.real, judge, lent.kept, memory_images=10).scores
    values = {name: one.value(found) for name, one in MEASURED.items()}
    return values, {name: one.find(found).real for name, one in MEASURED.items()}


def rows_of(path: Path, samples: int) -> list[Row]:
    """The kept rows that were judged on so many samples, in the order of their making."""
    return judged.rows(path, {"samples": samples})


def missing(rows: Sequence[Row], method: str, seed: int, minutes: Sequence[float]) -> list[float]:
    """The minutes, ascending, that have no row of this method and seed."""
    done = {row["minutes"] for row in rows if (row["method"], row["seed"]) == (method, seed)}
    return sorted(set(minutes) - done)


def trainings(method: str, wanted: Sequence[float]) -> list[list[float]]:
    """What is left of a method as trainings, each with the minutes at which it is measured."""
    if not wanted:
        return []
    return [list(wanted)] if CONTENDERS[method].snapshots else [[each] for each in wanted]


def measured(
    method: str, seed: int, minutes: Sequence[float], data: Data, count: int
) -> Iterator[tuple[Row, Samples]]:
    """One training; at each of its minutes what is known of it, and samples to be judged. `load` is
    that of the machine before and now: above 2 other work took its share."""
    assert data.real is not None
    marks = [60 * each for each in minutes]
    y = asked(data.real.frequencies, 0, count)
    load = os.getloadavg()[0]
    training = CONTENDERS[method].train(data, seed, marks)
    for each, state in zip(minutes, training, strict=True):
        facts = {
            "method": method,
            "seed": seed,
            "minutes": each,
            "seconds": round(state.seconds, 1),
            "images": state.images,
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        }
        yield facts, state.draw(y, seed)


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a method and number of minutes; mean ± sd over the seeds."""
    lines = [f"| method | minutes | seeds | {' | '.join(SHOWN.values())} |"]
    lines.append("|---" * (3 + len(SHOWN)) + "|")
    for method, contender in CONTENDERS.items():
        own = [row for row in rows if row["method"] == method]
        for minutes in sorted({row["minutes"] for row in own}):
            here = [row for row in own if row["minutes"] == minutes]
            cells = [_mean(here, name) for name in SHOWN]
            line = [contender.title, f"{minutes:g}", str(len(here)), *cells]
            lines.append(f"| {' | '.join(line)} |")
    if rows:
        cells = ["" if (x := rows[-1]["real"][name]) is None else f"{x:.3f}" for name in SHOWN]
        lines.append(f"| real test images | | | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(rows: Sequence[Row], name: str) -> str:
    values = [row["values"][name] for row in rows]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """A panel a score, a line a method: the mean over seeds, and the range between them."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(SHOWN), figsize=(15, 3.8), layout="constrained")
    for panel, (name, title) in zip(panels, SHOWN.items(), strict=True):
        for method, contender in CONTENDERS.items():
            by_minutes: dict[float, list[float]] = {}
            for row in rows:
                if row["method"] == method:
                    by_minutes.setdefault(row["minutes"], []).append(row["values"][name])
            times = sorted(by_minutes)
            means = [statistics.mean(by_minutes[t]) for t in times]
            (drawn,) = panel.plot(times, means, marker="o", markersize=4, label=contender.title)
            low, high = ([f(by_minutes[t]) for t in times] for f in (min, max))
            panel.fill_between(times, low, high, color=drawn.get_color(), alpha=0.15, linewidth=0)
        if rows[-1]["real"][name] is not None:
            panel.axhline(rows[-1]["real"][name], color="grey", linewidth=1, linestyle="--")
        panel.set_title(title, fontsize=10)
        panel.set_xscale("log", base=2)
        ticks = sorted({row["minutes"] for row in rows})
        panel.set_xticks(ticks, [f"{t:g}" for t in ticks])
        panel.set_xlabel("minutes of training, two cores")
        if name == "fid":
            panel.set_yscale("log")
    panels[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Trains what is missing, writes rows, table and picture; returns the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(CONTENDERS)
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--minutes", type=float, nargs="*", default=MINUTES)
    parser.add_argument(
        "--threads", type=int, default=2, help="of a training without others beside"
    )
    parser.add_argument("--samples", type=int, default=10_000, help="judged for each row")
    parser.add_argument("--out", type=Path, default=Path(".runs/time-to-quality"), metavar="FOLDER")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "rows.jsonl"
    jobs = [(method, seed) for seed in options.seeds for method in options.methods]
    if any(missing(rows_of(kept, options.samples), *job, options.minutes) for job in jobs):
        _train(jobs, options, kept)
    rows = rows_of(kept, options.samples)
    (options.out / "table.md").write_text(table(rows) + "\n", encoding="utf-8")
    if rows:
        plot(rows, options.out / "plot.png")
    print(table(rows))
    return rows


def about_here() -> Row:
    """The machine, the versions and the commit, as each row tells them."""
    facts = report.about()
    about = {name: facts[name] for name in ("commit", "dirty", "date", "versions")}
    return about | {name: facts["machine"][name] for name in ("processor", "cores", "instructions")}


@contextmanager
def yardstick(threads: int) -> Iterator[tuple[Data, Callable[[Samples], tuple[Row, Row]]]]:
    """The project's data for trainings of so many threads, and what gives samples their `scores`
    by the project's judge."""
    with opened("time-to-quality") as stage:
        folder = stage.path(paths.DATA)
        real, lent = real_images(folder), means(stage.storage(), threads=1)
        manifest = stage.manifest()
        image = stage.params.image_config(manifest.image_shape, len(manifest.classes))
        data = Data(real, folder, image, threads)

        def score(drawn: Samples) -> tuple[Row, Row]:
            with on_threads(stage.params.runtime.threads_of("judge")):
                judge = judge_for(real, stage.params.evaluate, lent)
                return scores(drawn, data, judge, lent)

        yield data, score


def _train(jobs: list[tuple[str, int]], options: argparse.Namespace, kept: Path) -> None:
    about = about_here()
    with yardstick(options.threads) as (data, score):
        for method, seed in jobs:
            wanted = missing(rows_of(kept, options.samples), method, seed, options.minutes)
            for marks in trainings(method, wanted):
                training = measured(method, seed, marks, data, options.samples)
                try:
                    for found, drawn in training:
                        values, floor = score(drawn)
                        row = {**found, "samples": options.samples, "values": values}
                        _keep(kept, {**row, "real": floor, **about})
                except Diverged as error:  # no row: it is trained again next time
                    print(f"{method}, seed {seed}: {error}", file=sys.stderr, flush=True)


def _keep(file: Path, row: Row) -> None:
    judged.append(file, row)
    told = ", ".join(f"{name} {value:.3f}" for name, value in row["values"].items())
    print(f"{row['method']}, seed {row['seed']}, {row['minutes']:g} minutes: {told}", flush=True)


def again_with_passive_threads(module: str) -> None:
    """As `sgan` has it: else two threads, of which one has to share its core, wait for each other
    by spinning, and a step takes ten times as long. Read as torch is loaded, so: once more."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execv(sys.executable, command)


if __name__ == "__main__":
    again_with_passive_threads("benchmarks.time_to_quality")
    main()
