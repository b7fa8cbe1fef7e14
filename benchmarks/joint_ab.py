"""Does joint training help? Whole stacks from several seeds, paired, at the same images.

    dvc repro features
    python -m benchmarks.joint_ab --seeds 1 2 3 4 5 --out .runs/joint-ab.jsonl

Each seed trains its levels once. Every variant of joint training starts from them; their opponent,
"levels alone", saw the images of joint training at the levels instead, in one schedule. Prints the
means, the paired difference in FID, and the p of a one-sided paired t test that a variant's is the
lower one. Runs that `--out` already holds are not run again, and levels that `--keep` holds are not
trained again (for another `--images` of one of them, or a further variant); `--part 0/2` and
`--part 1/2` share the seeds between two processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.judged import SHOWN, Bench, append, by_variant, fit, rows, spread
from pipeline import paths
from pipeline.execution.stage import Stage, opened
from pipeline.parts.part import Identity
from sgan.config import JointConfig, StackConfig
from sgan.stack import Stack
from sgan.training.assembly import independent, joint
from sgan.weights import load_encoder, load_levels, save_levels

ALONE, START = "levels alone", "what joint training starts from"
_HALF, _FASTER = {"encoder_share": 0.5}, {"lr_g": 0.0001, "lr_d": 0.0003}
VARIANTS: dict[str, dict[str, Any]] = {
    START: {},
    "joint": {},
    "half of h_{i+1} the encoder's": _HALF,
    "half of h_{i+1} the encoder's, five times the rates": _HALF | _FASTER,
    "lower weight 1": {"lower_weight": 1.0},
    "five times the rates": _FASTER,
    "constant rates": {"lr_schedule": "constant"},
}
States = dict[int, dict[str, torch.Tensor]]


class Pairs:
    """One seed's stacks.

    Args:
        images: of each level, by i.
        more: images of joint training.
        keep: folder that trained levels are kept in; None: nowhere.
    """

    def __init__(
        self, stage: Stage, images: Sequence[int], more: int, seed: int, keep: Path | None = None
    ) -> None:
        self._stage, self._images, self._more, self._seed = stage, images, more, seed
        self._keep = keep
        self._encoder = load_encoder(stage.path(paths.ENCODER_WEIGHTS)).state_dict()
        self._config = stage.stack_config()
        self._start: States | None = None

    def stack(self, variant: str) -> tuple[Stack, float]:
        """A variant's stack, and the seconds that its last training took (kept levels: none)."""
        if variant == ALONE:
            levels, seconds = self._levels(self._more)
            return self._whole(levels), seconds
        if self._start is None:
            self._start, _ = self._levels(0)
        if variant == START:
            return self._whole(self._start), 0.0
        settings = replace(self._joint(), **VARIANTS[variant])
        task = joint(self._config, settings, self._encoder, self._start)
        seconds = fit(self._stage, task)
        return task.stack.eval(), seconds

    def _joint(self) -> JointConfig:
        own = self._stage.joint_config()
        return replace(own, init="levels", total_images=self._more, seed=self._seed)

    def _levels(self, more: int) -> tuple[States, float]:
        found: States = {}
        seconds = 0.0
        for i, images in enumerate(self._images):
            chosen = {"seed": self._seed, "total_images": images + more}
            levels = [replace(c, **chosen) for c in self._config.levels]  # type: ignore[arg-type]
            config = replace(self._config, levels=tuple(levels))
            kept = self._kept_at(config, i)
            if kept and kept.exists():
                found |= load_levels(kept)
                continue
            task = independent(config, i, self._encoder)
            seconds += fit(self._stage, task)
            found[i] = task.stack.level(i).state_dict()
            if kept:
                save_levels(kept, task.stack, {})
        return found, seconds

    def _kept_at(self, config: StackConfig, level: int) -> Path | None:
        """Where level i is kept, by the key that `dvc repro` would give it."""
        if self._keep is None:
            return None
        self._keep.mkdir(parents=True, exist_ok=True)
        key = Identity.of_level(config, level, self._stage.level_inputs()).key
        return self._keep / f"level{level}-{key}.safetensors"

    def _whole(self, levels: States) -> Stack:
        stack = Stack(self._config).set_encoder(self._encoder)
        for i, state in levels.items():
            stack.level(i).load_state_dict(state)
        return stack.eval()


def table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row per variant; mean ± sd, the paired difference of FID to ALONE, and p."""
    by_name = by_variant(found)
    alone = by_name.get(ALONE, {})
    lines = [f"| variant | seeds | {' | '.join(SHOWN)} | FID minus {ALONE} | p |"]
    lines.append("|---" * (len(SHOWN) + 4) + "|")
    for name in (ALONE, *VARIANTS):
        runs = by_name.get(name, {})
        if not runs:
            continue
        cells = [spread([run[key] for run in runs.values()]) for key in SHOWN]
        paired = [runs[s]["fid_judge"] - alone[s]["fid_judge"] for s in runs if s in alone]
        judged = [spread(paired, "+"), _p(paired)] if paired and name != ALONE else ["", ""]
        lines.append(f"| {name} | {len(runs)} | {' | '.join([*cells, *judged])} |")
    return "\n".join(lines)


def _p(differences: Sequence[float]) -> str:
    """That so low a mean comes of chance, by a one-sided t test; "" for fewer than two pairs."""
    from scipy.stats import ttest_1samp

    if len(differences) < 2 or np.ptp(differences) == 0:
        return ""
    p = ttest_1samp(differences, 0.0, alternative="less").pvalue
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _missing(options: argparse.Namespace, ours: dict[str, int]) -> Iterator[tuple[int, list[str]]]:
    """Seeds of this part, and what of each is not there yet."""
    part, parts = (int(n) for n in options.part.split("/"))
    for number, seed in enumerate(options.seeds):
        done = {r["variant"] for r in rows(options.out, ours) if r["seed"] == seed}
        left = [name for name in (ALONE, *options.only) if name not in done]
        if number % parts == part and left:
            yield seed, left


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, run what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = list(VARIANTS)
    parser.add_argument(
        "--images", type=int, nargs="+", help="of each level (default: half of params.yaml's)"
    )
    parser.add_argument("--joint", type=int, default=4800, help="images of joint training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--samples", type=int, default=10_000, help="samples judged per stack")
    parser.add_argument("--only", nargs="+", default=names, choices=names)
    parser.add_argument("--part", default="0/1", help="I/N: this process's share of the seeds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to keep trained levels in")
    parser.add_argument("--out", type=Path, default=Path(".runs/joint-ab.jsonl"))
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    with opened(f"joint-ab-{options.part.replace('/', '-')}") as stage:
        images = options.images or [c.total_images // 2 for c in stage.params.levels.values()]
        if len(images) != len(stage.params.levels):
            parser.error(f"--images takes {len(stage.params.levels)} numbers, for level 0 and up")
        ours = {"joint": options.joint, "samples": options.samples}
        ours |= {f"level{i}": count for i, count in enumerate(images)}
        bench = Bench.of(stage, options.samples)
        for seed, left in _missing(options, ours):
            pairs = Pairs(stage, images, options.joint, seed, options.keep)
            for name in left:
                stack, seconds = pairs.stack(name)
                values = {**bench.values(stack, seed), "seconds": seconds}
                append(options.out, {**ours, "variant": name, "seed": seed, "values": values})
                print(f"seed {seed}, {name}: {values}", flush=True)
    print(table(rows(options.out, ours)))


if __name__ == "__main__":
    main()
