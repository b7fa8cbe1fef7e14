"""Train a whole stack from an `.npz`, with torch, numpy and safetensors alone.

For a machine that has an accelerator and little else (torch 2.11 or later, Python 3.11 or 3.12):

    python -m benchmarks.train_npz cifar10.npz --preset cifar10 --out out/cifar10 --minutes 10
    python -m benchmarks.train_npz cifar10.npz --preset cifar10 --out out/whole    # 200 epochs each

The `.npz` holds x_train and x_test (uint8 [N, H, W, C], or [N, H, W] for grey) and y_train and
y_test (integers [N]). The encoder is trained, then the levels alone, side by side, then the stack
jointly; each part's weights go to OUT as safetensors, with grids of samples, a log of JSON lines,
curves, and result.json, which says how fast, how long and how good. The same command again goes on
where the last one stopped: after a kill, or after --max-seconds.

With --minutes a step is measured first, beside the plain port of the authors' loop on the same
device, and the schedule is fitted into the minutes: a part is trained until its share of them is
spent or it has seen its images, and its learning rates follow. 50,000 samples are then scored.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.npz import parts, scores
from benchmarks.npz.data import BadInput
from benchmarks.npz.folder import Run
from benchmarks.npz.pace import Plan
from benchmarks.npz.parts import DONE, TIME, Training
from benchmarks.npz.pictures import curves
from benchmarks.npz.planning import planned
from benchmarks.report import ROOT
from pipeline.parts.device import record_of
from pipeline.storage.atomic import write_json
from pipeline.tracking.revision import revision_of
from sgan.config import (
    EncoderConfig,
    ImageConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
)
from sgan.device import choose_device
from sgan.errors import DeviceError

_CIFAR10 = LevelConfig(
    d_objective="class_logits",
    g_objective="saturating",
    q_output="linear",
    g_steps=((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7)),
)
PRESETS = {  # the authors' settings: github.com/xunhuang1995/SGAN, mnist/ and cifar/
    "mnist": (
        ImageConfig(1, 28, 28, 10),
        EncoderConfig(architecture="mnist"),
        (LevelConfig(), LevelConfig()),
        JointConfig(),
    ),
    "cifar10": (
        ImageConfig(3, 32, 32, 10, centre="pixel_mean"),
        EncoderConfig(architecture="cifar10", horizontal_flip=True),
        (
            dataclasses.replace(_CIFAR10, z_dim=16, instance_noise=0.05, dropout=0.1),
            dataclasses.replace(_CIFAR10, z_dim=50, instance_noise=0.2),
        ),
        JointConfig(lower_weight=0.01, dropout=0.3),
    ),
}
SAMPLES = 50_000  # where minutes are given


def configure(options: argparse.Namespace) -> tuple[StackConfig, JointConfig]:
    """The preset with the options' changes. Raises ConfigError or BadInput."""
    image, encoder, levels, joint = PRESETS[options.preset]
    encoder = dataclasses.replace(
        encoder,
        total_images=options.encoder_images,
        precision=options.precision,
        seed=options.seed,
    )
    per_level: list[dict[str, Any]] = [
        {"total_images": n, "seed": options.seed} for n in options.level_images
    ]
    if len(per_level) != len(levels):
        raise BadInput(f"--level-images takes {len(levels)} numbers, for level 0 and up")
    per_level[0]["precision"] = options.precision  # those above are small: float32
    for change in options.set:
        try:
            key, value = change.split("=", 1)
            index, field = key.split(".", 1)
            parsed = json.loads(value)
            per_level[int(index)][field] = (
                tuple((t, n) for t, n in parsed) if field == "g_steps" else parsed
            )
        except (ValueError, IndexError) as error:
            raise BadInput(
                f"--set {change}: must be LEVEL.FIELD=JSON, as in 0.lr_g=0.0002 ({error})"
            ) from error
    images = options.joint_images or joint.total_images
    joint = dataclasses.replace(joint, total_images=images, seed=options.seed)
    try:
        changed = tuple(
            dataclasses.replace(c, **own) for c, own in zip(levels, per_level, strict=True)
        )
    except TypeError as error:
        raise BadInput(f"--set: {error}") from error
    return StackConfig(image, encoder, changed), joint


def device_of(name: str) -> torch.device:
    """'auto', 'cpu', 'cuda', 'cuda:1', … Raises BadInput."""
    try:
        kind, _, index = name.partition(":")
        device = choose_device(kind)
        return torch.device(device.type, int(index)) if index else device
    except DeviceError as error:
        raise BadInput(f"--device {error}") from None
    except ValueError:
        raise BadInput(f"--device {name!r}: allowed: auto, cpu, cuda, cuda:1") from None


def train(options: argparse.Namespace) -> int:
    """Every part in turn, then the scores; a code of `parts`. Raises TrainingStopped where time is
    up, BadInput, ConfigError and WeightsError."""
    began = time.monotonic()
    training = prepared(options, began)
    run, data = training.run, training.read()
    inception, resnet56 = options.inception, options.resnet56
    if not options.samples:
        inception, resnet56 = "none", None
    judges, missing = scores.judges(inception, resnet56, run.device)
    for line in missing:
        print(line)
    run.begin(["encoder", *(f"level{i}" for i in training.levels), "stack"])
    told: dict[str, Any] = {"about": about(options, run.device)}
    if options.minutes:
        kept = planned(options, training, data, judges, began)
        training.plan, told["steps"] = Plan(kept["seconds"]), kept["steps"]
    encoder = parts.train_encoder(training, data)
    code = parts.train_levels(training, data, encoder)
    if code != DONE:
        return code
    stacks = parts.train_jointly(training, data, encoder)
    told["parts"] = {name: run.facts(name) for name in training.names}
    if options.samples:
        told["scores"] = {"missing": missing}
        for name, stack in stacks.items() if judges else ():
            found = scores.measure(stack, data, judges, options.samples, options.seed, run.out)
            told["scores"][name] = found
            print(f"{name}: {said(found)}")
    told["seconds"] = round(time.monotonic() - began, 1)
    finish(run, told)
    return DONE


def prepared(options: argparse.Namespace, began: float) -> Training:
    """The options as a training. Raises BadInput and ConfigError."""
    config, joint = configure(options)
    torch.backends.cudnn.benchmark = True
    run = Run(
        options.out,
        device_of(options.device),
        options.resume,
        began + options.max_seconds if options.max_seconds else float("inf"),
        options.save_seconds,
        options.graphs,
    )
    return Training(
        options.data,
        config,
        joint if options.joint_images else None,
        run,
        None,
        options.side_by_side,
        options.threads,
    )


def about(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    code = revision_of(ROOT)
    return {
        "command": {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()},
        "machine": record_of(device, torch.get_num_threads(), options.precision),
        "python": platform.python_version(),
        "commit": code.commit,
        "dirty": code.dirty,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def said(found: dict[str, Any]) -> str:
    """A score in a line."""
    rows = {name: row for name, row in found.items() if isinstance(row, dict)}
    figures = [f"FID ({name}) {row['fid']:.3f}" for name, row in rows.items()]
    figures += [f"GAN-test {row['gan_test']:.4f}" for row in rows.values() if "gan_test" in row]
    return ", ".join([*figures, f"{found['samples']:,} samples"])


def finish(run: Run, told: dict[str, Any]) -> None:
    """OUT/result.json and OUT/curves.png."""
    write_json(run.out / "result.json", told)
    if not curves(run.out / "log.jsonl", run.out / "curves.png"):
        print("no curves.png: matplotlib is not installed; log.jsonl has the figures")
    print(f"done: weights, samples and result.json in {run.out}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the .npz")
    parser.add_argument("--preset", choices=sorted(PRESETS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--encoder-images", type=int, default=2_000_000, metavar="N")
    parser.add_argument(
        "--level-images",
        type=int,
        nargs="+",
        default=[10_000_000, 10_000_000],
        metavar="N",
        help="images seen by level 0 and by each above it (authors: 200 epochs)",
    )
    parser.add_argument(
        "--minutes", type=float, default=0, metavar="M", help="for everything; 0: as they come"
    )
    parser.add_argument("--joint-images", type=int, default=10_000_000, metavar="N", help="0: none")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--set", action="append", default=[], metavar="LEVEL.FIELD=JSON", help="a level's setting"
    )
    parser.add_argument(
        "--side-by-side",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the levels in a process each, at the same time (else in turn)",
    )
    parser.add_argument(
        "--graphs",
        action=argparse.BooleanOptionalAction,
        help="whole D and G steps as CUDA graphs (default: wherever the device is CUDA's)",
    )
    parser.add_argument(
        "--samples", type=int, metavar="N", help=f"to score (default: {SAMPLES:,} with --minutes)"
    )
    parser.add_argument(
        "--inception",
        default="auto",
        metavar="FILE",
        help="its weights; auto: as evaluate has them, and if it has none no FID; none",
    )
    parser.add_argument(
        "--resnet56",
        type=Path,
        metavar="FILE",
        help="CIFAR-10 only: a judge of the samples' labels",
    )
    parser.add_argument(
        "--measure-seconds", type=float, default=1.0, metavar="S", help="of a block of steps"
    )
    parser.add_argument("--max-seconds", type=float, default=0, metavar="S", help="0: no limit")
    parser.add_argument("--save-seconds", type=float, default=60, metavar="S")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-resume: forget what OUT holds, and train everything anew",
    )
    options = parser.parse_args(arguments)
    if options.samples is None:
        options.samples = SAMPLES if options.minutes else 0
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, or time is up and saved; 1: stopped by a loss; 2: bad input."""
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    again = "the same command" if options.resume else "the same command without --no-resume"
    code = parts.outcome(lambda: train(options), again)
    return 0 if code == TIME else code


if __name__ == "__main__":
    sys.exit(main())
