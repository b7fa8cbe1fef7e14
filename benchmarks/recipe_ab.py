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
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline import paths
from pipeline.data.batches import batches
from pipeline.data.features import columns_of
from pipeline.execution.stage import Stage, opened
from pipeline.scores.asked import asked
from pipeline.scores.evaluation import draw, judge_for
from pipeline.scores.headline import DIVERSITY, FID, GAN_TEST, Headline
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.lent import Means
from pipeline.scores.levelwise import noise_diversity
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from sgan.config import LevelConfig
from sgan.stack import Stack
from sgan.training.assembly import independent
from sgan.training.loop import Hooks, train
from sgan.weights import load_encoder, load_levels_into

SHOWN = ("fid_judge", "gan_test", "diversity_pixels", "diversity_own_z", "seconds")


def variants(images: int) -> dict[str, dict[str, Any]]:
    """What each row changes of the project's settings, for a run that sees `images` images."""
    return {
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
        "EMA of G": {"ema_half_life_images": images // 15},
        "spectral norm in D": {"spectral_norm": True},
        "R1, gamma 1": {"r1_gamma": 1.0},
        "translation by 2 pixels": {"augment_pixels": 2},
    }


def run(
    stage: Stage,
    real: RealImages,
    judge: Judge,
    lent: Means,
    level: int,
    settings: LevelConfig,
    count: int,
) -> dict[str, float]:
    """Train one level with `settings`, stack it with the other trained ones, judge samples."""
    encoder = load_encoder(stage.path(paths.ENCODER_WEIGHTS))
    config = stage.stack_config()
    levels = tuple(settings if i == level else old for i, old in enumerate(config.levels))
    config = replace(config, levels=levels)
    task = independent(config, level, encoder.state_dict())
    upper, y = columns_of(stage.path(paths.FEATURES_FILE), task.hidden_needed)
    data, here = str(stage.path(paths.DATA)), torch.device("cpu")
    in_order = batches(task, data, upper, y, device=here, resident_bytes=2**31)
    began = time.monotonic()
    train(task, in_order, Hooks(report_every=100))
    seconds = time.monotonic() - began
    stack = Stack(config).set_encoder(encoder.state_dict())
    for i in stack.active:
        if i != level:
            load_levels_into(stack, stage.path(paths.level_weights(i)))
    stack.level(level).load_state_dict(task.stack.level(level).state_dict())
    stack.eval()
    y = asked(real.frequencies, 0, count)
    found = in_domain([draw(stack, y, settings.seed)], real, judge, lent.kept)
    assert found.real_diversity is not None
    scores = [*found.scores, *noise_diversity(stack, judge, found.real_diversity)]
    own_z = Headline("", "diversity", space="pixels", varies=f"z_{level}")
    shown = {"fid_judge": FID, "gan_test": GAN_TEST, "diversity_pixels": DIVERSITY}
    values = {name: one.value(scores) for name, one in shown.items()}
    return {**values, "diversity_own_z": own_z.value(scores), "seconds": seconds}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row per variant; mean ± sd, and the paired difference of FID to base."""
    by_variant: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], {})[row["seed"]] = row["values"]
    base = by_variant.get("base", {})
    lines = [f"| variant | seeds | {' | '.join(SHOWN)} | FID minus base |"]
    lines.append("|---" * (len(SHOWN) + 3) + "|")
    for name in variants(0):
        runs = by_variant.get(name)
        if not runs:
            continue
        cells = []
        for key in SHOWN:
            values = np.array([run[key] for run in runs.values()])
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            cells.append(f"{values.mean():.3f} ± {spread:.3f}")
        paired = [runs[s]["fid_judge"] - base[s]["fid_judge"] for s in runs if s in base]
        spread = np.std(paired, ddof=1) if len(paired) > 1 else 0.0
        change = f"{np.mean(paired):+.3f} ± {spread:.3f}" if paired and name != "base" else ""
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {change} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, run what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = list(variants(0))
    parser.add_argument("--level", type=int, default=0, help="the level that is trained")
    parser.add_argument("--images", type=int, default=30_000, help="images that it sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--samples", type=int, default=3000, help="samples judged per run")
    parser.add_argument("--only", nargs="+", default=names, choices=names)
    parser.add_argument("--part", default="0/1", help="I/N: this process's share of the runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path(".runs/ab.jsonl"), help="results, appended"
    )
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    index, parts = (int(n) for n in arguments.part.split("/"))
    changes = variants(arguments.images)
    ours = {"level": arguments.level, "images": arguments.images, "samples": arguments.samples}
    jobs = [(name, seed) for seed in arguments.seeds for name in arguments.only]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.touch()
    with opened(f"recipe-ab-{index}") as stage:
        real, lent = real_images(stage.path(paths.DATA)), means(stage.storage(), threads=1)
        judge = judge_for(real, stage.params.evaluate, lent)
        for number, (name, seed) in enumerate(jobs):
            done = [(row["variant"], row["seed"]) for row in _rows(arguments.out, ours)]
            if number % parts != index or (name, seed) in done:
                continue
            changed = changes[name] | {"seed": seed, "total_images": arguments.images}
            settings = replace(stage.params.levels[arguments.level], **changed)
            values = run(stage, real, judge, lent, arguments.level, settings, arguments.samples)
            with open(arguments.out, "a", encoding="utf-8") as file:
                row = {**ours, "variant": name, "seed": seed, "values": values}
                file.write(json.dumps(row) + "\n")
            print(f"{number + 1}/{len(jobs)} {name}, seed {seed}: {values}", flush=True)
    print(table(_rows(arguments.out, ours)))


def _rows(path: Path, wanted: dict[str, int]) -> list[dict[str, Any]]:
    """The runs of the same level and size that the file holds."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [row for row in rows if wanted.items() <= row.items()]


if __name__ == "__main__":
    main()
