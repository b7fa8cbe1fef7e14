"""Does it pay? Train one level with one setting changed at a time, several seeds each, and compare.

    python -m benchmarks.recipe_ab --images 30000 --seeds 1 2 3 --out .runs/ab.jsonl
    python -m benchmarks.recipe_ab --level 1 --images 300000 --out .runs/ab-level1.jsonl

Reads a trained project (data, encoder, features, the other levels) and trains that level only, so
that a run takes about a minute on one core. Every run is judged by the evaluation's own protocol.
Prints one table: mean ± sd over the seeds, and the difference to `base` with the same seeds. Runs
of this level and size that `--out` already holds are not run again; `--part 0/2` and `--part 1/2`
share the work between two processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.judged import SHOWN, Bench, append, by_variant, fit, rows, spread
from pipeline import paths
from pipeline.execution.stage import Stage, opened
from sgan.config import LevelConfig
from sgan.stack import Stack
from sgan.training.assembly import independent
from sgan.weights import load_encoder, load_levels_into

VARIANTS: dict[str, dict[str, Any]] = {  # what each row changes of the project's settings
    "base": {},
    "authors' start: N(0, 0.02), z gain 1, λ3 = 10": {
        "d_init": "normal",
        "z_gain": 1.0,
        "lambda_ent": 10.0,
    },
    "z gain 1": {"z_gain": 1.0},
    "λ3 = 10": {"lambda_ent": 10.0},
    "float32": {"precision": "float32"},
    "constant learning rate": {"lr_schedule": "constant"},
    "no EMA of G": {"ema_half_life_images": 0},
    "spectral norm in D": {"spectral_norm": True},
    "R1, gamma 1": {"r1_gamma": 1.0},
    "translation by 2 pixels": {"augment_pixels": 2},
}


def variants(base: LevelConfig, level: int) -> dict[str, LevelConfig]:
    """The rows' settings, of those that change something of the project's (`base`) at this level;
    translation is of images, so above level 0 it changes nothing."""
    still = {} if level == 0 else {"augment_pixels": base.augment_pixels}
    found = {name: replace(base, **changes | still) for name, changes in VARIANTS.items()}
    return {name: own for name, own in found.items() if name == "base" or own != base}


def run(stage: Stage, bench: Bench, level: int, settings: LevelConfig) -> dict[str, float]:
    """Train one level with `settings`, stack it with the other trained ones, judge samples."""
    encoder = load_encoder(stage.path(paths.ENCODER_WEIGHTS))
    config = stage.stack_config()
    levels = tuple(settings if i == level else old for i, old in enumerate(config.levels))
    config = replace(config, levels=levels)
    task = independent(config, level, encoder.state_dict())
    seconds = fit(stage, task)
    stack = Stack(config).set_encoder(encoder.state_dict())
    for i in stack.active:
        if i != level:
            load_levels_into(stack, stage.path(paths.level_weights(i)))
    stack.level(level).load_state_dict(task.stack.level(level).state_dict())
    return {**bench.values(stack.eval(), settings.seed, level), "seconds": seconds}


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: a row per variant; mean ± sd, and the paired difference of FID to base."""
    by_name = by_variant(found)
    base = by_name.get("base", {})
    lines = [f"| variant | seeds | {' | '.join(SHOWN)} | FID minus base |"]
    lines.append("|---" * (len(SHOWN) + 3) + "|")
    for name in VARIANTS:
        runs = by_name.get(name)
        if not runs:
            continue
        cells = [spread([run[key] for run in runs.values()]) for key in SHOWN]
        paired = [runs[s]["fid_judge"] - base[s]["fid_judge"] for s in runs if s in base]
        change = spread(paired, "+") if paired and name != "base" else ""
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {change} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, run what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = list(VARIANTS)
    parser.add_argument("--level", type=int, default=0, help="the level that is trained")
    parser.add_argument("--images", type=int, default=30_000, help="images that it sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--samples", type=int, default=3000, help="samples judged per run")
    parser.add_argument("--only", nargs="+", choices=names, help="default: all that differ")
    parser.add_argument("--part", default="0/1", help="I/N: this process's share of the runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path(".runs/ab.jsonl"), help="results, appended"
    )
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    index, parts = (int(n) for n in arguments.part.split("/"))
    ours = {"level": arguments.level, "images": arguments.images, "samples": arguments.samples}
    with opened(f"recipe-ab-{index}") as stage:
        differing = variants(stage.params.levels[arguments.level], arguments.level)
        chosen = arguments.only or list(differing)
        if idle := [name for name in chosen if name not in differing]:
            parser.error(f"--only {idle[0]!r}: changes nothing of level {arguments.level} here")
        jobs = [(name, seed) for seed in arguments.seeds for name in chosen]
        bench = Bench.of(stage, arguments.samples)
        for number, (name, seed) in enumerate(jobs):
            done = [(row["variant"], row["seed"]) for row in rows(arguments.out, ours)]
            if number % parts != index or (name, seed) in done:
                continue
            settings = replace(differing[name], seed=seed, total_images=arguments.images)
            values = run(stage, bench, arguments.level, settings)
            append(arguments.out, {**ours, "variant": name, "seed": seed, "values": values})
            print(f"{number + 1}/{len(jobs)} {name}, seed {seed}: {values}", flush=True)
    print(table(rows(arguments.out, ours)))


if __name__ == "__main__":
    main()
