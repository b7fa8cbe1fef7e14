"""What `python -m benchmarks` runs: each benchmark at a size for two cores, its budget, its rows.

The budgets are at most ten minutes together, and stand for two cores without other work: there each
benchmark takes about a third of its own. Left out, because they take longer or need more:

    recipe_ab           trains a level of a trained project for each row: a minute or more each
    joint_ab            trains whole stacks for each seed: some minutes each
    time_to_quality     trains four methods thirteen times for each seed: an hour each
    tune_dcgan          half an hour of one of time_to_quality's methods
    train_npz           trains a whole stack: on a GPU, in the minutes that it is given
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Limit, Row

MB = 2**20
_BARE = ("%", "bare difference")


@dataclass(frozen=True)
class Entry:
    """One benchmark of the set.

    Attributes:
        rows: runs it in this process with some arguments; its rows.
        arguments: for two cores.
        seconds: after which it is ended, and has failed.
        tiny: arguments with which it only shows that it runs.
        cores: that it needs.
    """

    rows: Callable[[Sequence[str]], list[Row]]
    arguments: tuple[str, ...]
    seconds: int
    tiny: tuple[str, ...]
    cores: int = 1

    @property
    def name(self) -> str:
        """That of its script."""
        return self.rows.__name__


def step_speed(arguments: Sequence[str]) -> list[Row]:
    """Ours beside the plain port, in one run; in bfloat16 where the machine is quick at it."""
    from benchmarks import step_speed

    at_least = {"level 0": 1.8, "joint": 1.8} if _bfloat16() else {"level 0": 1.1, "joint": 1.1}
    return [
        Row(
            "step_speed",
            f"a step of {one.name}, MNIST, batch 100",
            1e3 * one.ours,
            "ms",
            "plain port",
            1e3 * one.plain,
            limit=Limit(at_least.get(one.name, 1.0), "ratio"),
        )
        for one in step_speed.main(arguments)
    ]


def feeding(arguments: Sequence[str]) -> list[Row]:
    """The share of a training that waits for images, read ahead and not."""
    from benchmarks import feeding

    found = {(one.source, one.way): 100 * one.share for one in feeding.main(arguments)}
    what = "waiting for images, steps of 220 ms"
    rows = [Row("feeding", f"{what}, in memory", found["memory", "held"], "%")]
    for source in ("disk", "S3"):
        alone = ("%", "not read ahead", found[source, "alone"])
        ahead = found[source, "ahead"]
        rows.append(Row("feeding", f"{what}, {source}", ahead, *alone, limit=Limit(2.0)))
    return rows


def cost_model(arguments: Sequence[str]) -> list[Row]:
    """The step here beside what the model of docs/SCALING.md says; its rate is bfloat16's."""
    from benchmarks import cost_model

    limit = Limit(0.5, "ratio") if _bfloat16() else None
    return [
        Row(
            "cost_model",
            f"a step of {one.name}, one core, CPU time",
            1e3 * one.here,
            "ms",
            "the model",
            1e3 * one.model,
            limit=limit if one.name != "level 1" else None,  # small matrices: below the rate
        )
        for one in cost_model.main(arguments)
    ]


def growth(arguments: Sequence[str]) -> list[Row]:
    """The largest of each axis: how many times the base's step, beside the arithmetic's growth."""
    from benchmarks import growth

    rows = []
    for points in growth.main(arguments):
        axis = points[0].axis
        base = next(point for point in points if point.value == growth.BASE[axis])
        last = max(points, key=lambda point: point.value)
        times, work = last.growth(base, "joint")
        counted = ("arithmetic", work) if work else ("", None)
        what = f"{axis} {base.value:,} → {last.value:,}, CPU time of "
        what += "a joint step" if work else "gathering a batch"
        rows.append(Row("growth", what, times, "x", *counted))
    return rows


def workers(arguments: Sequence[str]) -> list[Row]:
    """Two workers on one batch beside one: by the clock, and by each one's CPU time."""
    from benchmarks import workers

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        code = workers.main([*arguments, "--json", str(file)])
        if code:
            raise RuntimeError(f"a worker ended with {code}")
        found = json.loads(file.read_text())
    rows = []
    for one in found:
        asked: tuple[Limit | None, Limit | None] = (None, None)
        if one["name"] == "level0":  # steps of a few milliseconds are too short to share
            asked = Limit(1.7, "ratio", goal=True), Limit(1.5, "ratio")
        for clock, name, limit in zip(("wall", "cpu"), ("", ", CPU time"), asked, strict=True):
            alone, both = (1e3 * one[clock][case] for case in ("alone", "strong"))
            what = f"a step of {one['name']} by 2 workers{name}"
            rows.append(Row("workers", what, both, "ms", "one worker", alone, limit=limit))
    return rows


def serving(arguments: Sequence[str]) -> list[Row]:
    """p95 of single images at the rates asked for."""
    from benchmarks import serving

    rows, goal = [], Limit(1e3 * serving.GOAL_S, goal=True)
    for rate in serving.main(arguments):
        what = f"p95 at {rate.rate:g} images a second, {rate.failed} failed"
        if not len(rate.latencies):
            rows.append(Row("serving", what, failure="nothing was answered"))
            continue
        limit = goal if rate.rate == serving.GOAL_RATE else None
        rows.append(Row("serving", what, 1e3 * rate.p95, "ms", limit=limit))
    return rows


def gate(arguments: Sequence[str]) -> list[Row]:
    """How often a model that is no better is promoted."""
    from benchmarks import gate

    found = gate.main(*map(int, arguments))
    ours, bare = (100 * count / found.pairs for count in (found.ours, found.bare))
    equal = Row("gate", f"equal models promoted, {found.pairs} pairs trained", ours, *_BARE, bare)
    bare, ours = (100 * share for share in found.shares[0.0])
    alpha = Limit(100 * gate.ALPHA)
    drawn = Row("gate", "equal models promoted, pairs drawn", ours, *_BARE, bare, limit=alpha)
    bare, ours = (100 * share for share in found.shares[0.6])
    better = Row("gate", "models of 60 % less FID promoted", ours, *_BARE, bare, True)
    return [equal, drawn, better]


def same_loss(arguments: Sequence[str]) -> list[Row]:
    """Twice the same trainings: losses that differ in a bit."""
    from benchmarks import same_loss

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "losses.txt")
        same_loss.main([*arguments, "--save", file])
        lines = len(Path(file).read_text().splitlines())
        differs = same_loss.main([*arguments, "--against", file])
    what = f"runs whose {lines:,} losses differ from the first one's"
    return [Row("same_loss", what, float(differs), limit=Limit(0.0))]


def larger_than_memory(arguments: Sequence[str]) -> list[Row]:
    """Memory of `prepare` above what its imports take, beside the set's own size."""
    from benchmarks import larger_than_memory
    from benchmarks.larger_than_memory import SIDE

    found = larger_than_memory.main(arguments)
    peak = {one["step"]: one["megabytes"] for one in found}
    images = next(one["images"] for one in found if one["step"] == "prepare")
    size = images * SIDE * SIDE * 3 / MB
    own = float(peak["prepare"] - peak["imports"])
    what = f"memory of prepare for {images:,} images"
    return [Row("larger_than_memory", what, own, "MB", "the set", size, limit=Limit(60.0))]


def reading(arguments: Sequence[str]) -> list[Row]:
    """`prepare` on small PNGs beside Pillow's loop; what large photos take of memory."""
    from benchmarks import reading

    (plain, ours), own = reading.main(arguments)
    rates = ours.rate, "PNGs/s", "Pillow alone", plain.rate, True
    rows = [Row("reading", f"a folder of {ours.images:,} PNGs prepared", *rates)]
    for size, megabytes in own.items():
        what = f"memory of prepare for photos of {size:g} MP"
        rows.append(Row("reading", what, float(megabytes), "MB"))
    return rows


def _bfloat16() -> bool:
    import torch

    from sgan.training.precision import resolve

    return resolve("auto", torch.device("cpu")) == torch.bfloat16


SET = (
    Entry(gate, (), 30, ("1000",)),
    Entry(
        step_speed,
        ("--seconds", "1", "--blocks", "3"),
        120,
        ("--seconds", "0", "--blocks", "1", "--batch-size", "2"),
    ),
    Entry(cost_model, ("--check-only",), 40, ("--check-only", "--check-batch", "2")),
    Entry(
        growth,
        ("--seconds", "0.2", "--axes", "pixels", "--values", "128"),
        70,
        ("--seconds", "0", "--axes", "pixels", "images", "--values", "64", "--batch", "2"),
    ),
    Entry(
        workers,
        ("--blocks", "3", "--seconds", "1", "--parts", "level0", "level1"),
        80,
        ("--blocks", "1", "--seconds", "0", "--parts", "level1", "--batch-size", "4"),
        cores=2,
    ),
    Entry(
        feeding,
        ("--pace", "220", "--steps", "43", "--images", "20000"),
        90,
        ("--pace", "0", "--steps", "6", "--images", "2000"),
    ),
    Entry(
        serving, ("--rates", "20", "60", "--seconds", "5"), 50, ("--rates", "5", "--seconds", "1")
    ),
    Entry(same_loss, (), 50, ("--only", "level1")),
    Entry(
        larger_than_memory,
        ("--gigabytes", "0.2", "--steps", "imports", "prepare"),
        40,
        ("--gigabytes", "0.01", "--steps", "imports", "prepare"),
    ),
    Entry(reading, (), 30, ("--pngs", "40", "--photos", "20", "--megapixels", "0.1")),
)
