"""What a run of some minutes has for its trainings: what is left beside measuring and scoring."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import step_speed
from benchmarks.npz import scores
from benchmarks.npz.data import BadInput, Data
from benchmarks.npz.parts import Training
from pipeline.scores.extractor import Extractor
from pipeline.storage.atomic import write_json

_OTHER = 0.02  # of the minutes: starts of processes, reading, E's features


def planned(
    options: argparse.Namespace,
    training: Training,
    data: Data,
    judges: Sequence[Extractor],
    began: float,
) -> dict[str, Any]:
    """Seconds for the trainings, and steps as they were measured; those of an earlier command of
    as many minutes, which this one goes on with."""
    file = training.run.out / "plan.json"
    if options.resume and file.is_file():
        kept: dict[str, Any] = json.loads(file.read_text())
        if kept["minutes"] != options.minutes:
            raise BadInput(
                f"{file} is of {kept['minutes']:g} minutes: another --out, or --no-resume"
            )
        return kept
    steps = measured(options, training)
    looked_at = len(data.train) + len(data.test) + 2 * options.samples
    scoring = scores.seconds_of(judges, looked_at, (*data.train.shape[2:], data.train.shape[1]))
    seconds = 60 * options.minutes * (1 - _OTHER) - scoring - (time.monotonic() - began)
    if seconds <= 0:
        raise BadInput(
            f"--minutes {options.minutes:g}: measuring and scoring alone take "
            f"{(60 * options.minutes - seconds) / 60:.1f}; give more, or fewer --samples"
        )
    kept = {"minutes": options.minutes, "seconds": seconds, "steps": steps}
    write_json(file, kept)
    return kept


def measured(options: argparse.Namespace, training: Training) -> dict[str, Any]:
    """Milliseconds a step of each training, ours and the plain port's; tells how far the minutes
    go, of the images that were asked for."""
    device = training.run.device
    threads = torch.get_num_threads()
    rows = step_speed.main(
        [
            *("--architecture", options.preset, "--device", str(device)),
            *("--threads", str(threads), "--precision", options.precision),
            *("--batch-size", str(training.config.levels[0].batch_size)),
            *("--seconds", str(options.measure_seconds), "--blocks", "2"),
            *(() if options.graphs is None else ("--graphs" if options.graphs else "--no-graphs",)),
        ]
    )
    steps = {
        row.name: {
            "ours_ms": 1e3 * row.ours,
            "plain_ms": 1e3 * row.plain,
            "ratio": row.plain / row.ours,
        }
        for row in rows
    }
    levels = training.config.levels
    alone = [
        c.total_images / c.batch_size * steps[f"level {i}"]["ours_ms"] / 6e4
        for i, c in enumerate(levels)
        if f"level {i}" in steps
    ]
    joint = training.joint
    more = joint.total_images / joint.batch_size * steps["joint"]["ours_ms"] / 6e4 if joint else 0
    print(
        f"all images asked for, a G step to each D step: {max(alone):.1f} minutes for the levels "
        f"side by side, {more:.1f} jointly; there are {options.minutes:g} for everything"
    )
    return steps
