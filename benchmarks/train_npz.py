"""Train a whole stack from an `.npz`, with torch, numpy and safetensors alone.

For a machine that has an accelerator and little else (torch 2.11 or later, Python 3.11 or 3.12):

    python -m benchmarks.train_npz cifar10.npz --preset cifar10 --out out/cifar10 --device cuda

The `.npz` holds x_train and x_test (uint8 [N, H, W, C], or [N, H, W] for grey) and y_train and
y_test (integers [N]). The encoder is trained, then each level alone, then the stack jointly; each
part's weights go to OUT as safetensors, with a grid of samples and a log of JSON lines. The same
command again goes on where the last one stopped: after a kill, or after --max-seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgan import weights
from sgan.config import (
    ConfigError,
    EncoderConfig,
    ImageConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
    to_dict,
)
from sgan.device import choose_device
from sgan.encoder import Encoder
from sgan.errors import DeviceError
from sgan.stack import Stack
from sgan.training import classifier
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import independent
from sgan.training.assembly import joint as jointly
from sgan.training.batches import TensorBatches
from sgan.training.loop import Hooks, Task, TrainingStopped
from sgan.training.loop import train as train_task

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

_DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)  # what np.load raises


class BadInput(Exception):
    """What a person gave that cannot be used; the message says what and why."""


@dataclasses.dataclass
class Data:
    """A data set on the training device: uint8 [N, C, H, W] pixels and int64 [N] labels."""

    train: Tensor
    train_y: Tensor
    test: Tensor
    test_y: Tensor
    digest: str  # of the four arrays, so that other data are not taken for these


def read_data(path: Path, image: ImageConfig, device: torch.device, batch: int) -> Data:
    """The four arrays of the `.npz`, checked: `batch` training images or more. Raises BadInput."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except (*_DAMAGED, KeyError, TypeError) as error:
        raise BadInput(f"{path}: needs x_train, y_train, x_test and y_test ({error})") from error
    tensors, digest = [], 0
    channels, height, width = image.shape
    for split, least in (("train", batch), ("test", 1)):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"].reshape(-1)
        digest = zlib.crc32(y.tobytes(), zlib.crc32(x.tobytes(), digest))
        x = x[..., None] if x.ndim == 3 else x
        if x.dtype != np.uint8 or x.shape[1:] != (height, width, channels):
            raise BadInput(
                f"{path}: x_{split} is {x.dtype} {x.shape}; this preset takes uint8 "
                f"[N, {height}, {width}, {channels}]"
            )
        if len(x) < least:
            raise BadInput(f"{path}: x_{split} has {len(x)} images; it takes {least} or more")
        if y.dtype.kind not in "iu":
            raise BadInput(f"{path}: y_{split} is {y.dtype}; it takes integers")
        if len(x) != len(y) or y.min() < 0 or y.max() >= image.num_classes:
            raise BadInput(
                f"{path}: y_{split} has {len(y)} labels from {y.min()} to {y.max()} for {len(x)} "
                f"images; it takes one of 0 to {image.num_classes - 1} per image"
            )
        tensors.append(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).to(device))
        tensors.append(torch.from_numpy(y.astype(np.int64)).to(device))
    train, train_y, test, test_y = tensors
    return Data(train, train_y, test, test_y, f"{digest:08x}")


class Run:
    """One output folder: finished parts, checkpoints, the log, and the clock."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        self.out, self.device, self.resume = options.out, device, options.resume
        limit = options.max_seconds
        self.deadline = time.monotonic() + limit if limit else float("inf")
        self.save_seconds = options.save_seconds
        (self.out / "checkpoints").mkdir(parents=True, exist_ok=True)

    def begin(self, names: Sequence[str]) -> None:
        """Without --resume, forget what an earlier run left of these parts: a later one that goes
        on would find it in its way."""
        for name in () if self.resume else names:
            (self.out / f"{name}.safetensors").unlink(missing_ok=True)
            self.checkpoint(name).unlink(missing_ok=True)

    def checkpoint(self, name: str) -> Path:
        """Where a part's checkpoint lies until the part is done."""
        return self.out / "checkpoints" / f"{name}.pt"

    def finished(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether this part's weights are there; BadInput where they are of other settings."""
        path = self.out / f"{name}.safetensors"
        if not self.resume or not path.exists():
            return False
        if weights.read_card(path).get("settings") != settings:
            raise BadInput(f"{path} was trained with other settings: another --out, or --no-resume")
        print(f"{name}: done before, in {path}")
        return True

    def train(
        self,
        name: str,
        task: Task,
        columns: Mapping[int, Tensor],
        y: Tensor,
        settings: Mapping[str, Any],
    ) -> None:
        """Train a part from its checkpoint or from the start. Raises TrainingStopped."""
        batches = TensorBatches(columns, y, task.to_h0, task.batch_size, task.seed)
        path, start = self.checkpoint(name), 0
        if self.resume and path.exists():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            if saved["settings"] != json.dumps(settings):
                raise BadInput(f"{path} is of other settings: another --out, or --no-resume")
            task.load_state_dict(saved["state"])
            start = saved["step"]
            print(f"{name}: goes on at image {start * task.batch_size:,}")

        def save(step: int, state: Mapping[str, Any]) -> None:
            temporary = path.with_suffix(f".{os.getpid()}")
            torch.save({"step": step, "state": state, "settings": json.dumps(settings)}, temporary)
            os.replace(temporary, path)

        reporter = Reporter(name, task, start * task.batch_size, self.out / "log.jsonl")
        hooks = Hooks(
            report=reporter,
            save=save,
            should_stop=lambda: time.monotonic() >= self.deadline,
            report_every=50,
            save_seconds=self.save_seconds,
        )
        train_task(task, batches, hooks, start=start)

    def grid(self, name: str, stack: Stack) -> None:
        """OUT/<name>.png: a row per class, ten samples each."""
        classes = stack.config.image.num_classes
        y = torch.arange(classes, device=self.device).repeat_interleave(10)
        noise = torch.Generator(self.device).manual_seed(0)
        images = stack.eval().sample_uint8(y, generator=noise).cpu().numpy()
        rows = images.reshape(classes, 10, *images.shape[1:])
        write_png(self.out / f"{name}.png", np.concatenate(np.concatenate(rows, 1), 1))
        stack.train()


class Reporter:
    """Prints a line every five seconds and appends every report to the log."""

    def __init__(self, name: str, task: Task, images: int, log: Path) -> None:
        self.name, self.task, self.log = name, task, log
        self.images, self.since, self.printed = images, time.monotonic(), 0.0

    def __call__(self, images: int, metrics: dict[str, float]) -> None:
        """`images` seen so far; metrics of the last step."""
        now = time.monotonic()
        rate = (images - self.images) / max(now - self.since, 1e-9)
        line = {"part": self.name, "images": images, "images_per_second": round(rate), **metrics}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if now - self.printed < 5 and images < self.task.total_images:
            return
        left = (self.task.total_images - images) / max(rate, 1e-9)
        main = [k for k in metrics if k.endswith(("/loss", "/loss_d_adv", "/loss_g_cond", "_ent"))]
        figures = "  ".join(f"{k.removeprefix('level')} {metrics[k]:.3f}" for k in main)
        total = self.task.total_images
        clock = f"{int(left // 60)} min {int(left % 60):02d} s left"
        print(f"{self.name}: {images:,}/{total:,}  {rate:,.0f} images/s  {clock}  {figures}")
        sys.stdout.flush()
        self.printed, self.since, self.images = now, now, images


def write_png(path: Path, image: np.ndarray) -> None:
    """uint8 [H, W, 1 or 3] as a PNG (the format's own filter 0, zlib), atomically."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    height, width, channels = image.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    os.replace(temporary, path)


@torch.no_grad()
def features(encoder: Encoder, pixels: Tensor) -> dict[int, Tensor]:
    """Columns for TensorBatches: pixels as level 0, then h_1 … h_{N-1} of every image."""
    parts = [encoder.encode(encoder.to_h0(part))[1:-1] for part in pixels.split(1000)]
    above = (torch.cat(column) for column in zip(*parts, strict=True))
    return {0: pixels, **dict(enumerate(above, start=1))}


def train_encoder(run: Run, data: Data, config: StackConfig) -> Encoder:
    """E, trained or read back, frozen on the device."""
    path = run.out / "encoder.safetensors"
    settings = {**to_dict(config.encoder), "data": data.digest}
    if not run.finished("encoder", settings):
        mean = data.train.float().mean(0) / 255
        task = classifier.pretraining(config.image, config.encoder, mean, device=run.device)
        run.train("encoder", task, {0: data.train}, data.train_y, settings)
        accuracy = classifier.accuracy(task.encoder, data.test, data.test_y)
        print(f"encoder: test accuracy {accuracy:.4f}")
        task.save(path, {"settings": settings, "test_accuracy": accuracy})
        run.checkpoint("encoder").unlink(missing_ok=True)
    return weights.load_encoder(path, run.device)


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names and values, so that other weights are not taken for these."""
    found = 0
    for name, tensor in tensors.items():
        found = zlib.crc32(tensor.cpu().numpy().tobytes(), zlib.crc32(name.encode(), found))
    return f"{found:08x}"


def train_gan(
    run: Run,
    name: str,
    task: AdversarialTask,
    columns: Mapping[int, Tensor],
    data: Data,
    given: Mapping[str, str],
) -> None:
    """The task's levels, unless they are there; weights to OUT/<name>.safetensors.

    given: digests of the weights that the task was put together of, by part.
    """
    settings = {str(i): to_dict(c) for i, c in task.settings.items()}
    settings |= {"joint": task.joint, "lower_weight": task.lower_weight, "data": data.digest}
    settings["given"] = dict(given)
    if run.finished(name, settings):
        return
    needed = {i: columns[i] for i in task.hidden_needed}
    run.train(name, task, needed, data.train_y, settings)
    task.save(run.out / f"{name}.safetensors", {"settings": settings})
    run.checkpoint(name).unlink(missing_ok=True)


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


def train(options: argparse.Namespace) -> None:
    """Every part in turn. Raises TrainingStopped where time is up."""
    config, joint = configure(options)
    try:
        kind, _, index = options.device.partition(":")
        device = choose_device(kind)
        if index:
            device = torch.device(device.type, int(index))
    except DeviceError as error:
        raise BadInput(f"--device {error}") from None
    except ValueError:
        raise BadInput(f"--device {options.device!r}: allowed: auto, cpu, cuda, cuda:1") from None
    torch.backends.cudnn.benchmark = True
    sizes = (c.batch_size for c in config.levels)
    batch = max(config.encoder.batch_size, joint.batch_size, *sizes)
    data = read_data(options.data, config.image, device, batch)
    run, count = Run(options, device), config.encoder.num_levels
    run.begin(["encoder", *(f"level{i}" for i in range(count)), "stack"])
    encoder = train_encoder(run, data, config)
    state, columns = encoder.state_dict(), features(encoder, data.train)
    given = {"encoder": weights_digest(state)}
    for i in reversed(range(count)):
        task = independent(config, i, state, device=device)
        train_gan(run, f"level{i}", task, columns, data, given)
    levels: dict[int, dict[str, Tensor]] = {}
    for i in range(count):
        levels |= weights.load_levels(run.out / f"level{i}.safetensors")
    task = jointly(config, joint, state, levels, device=device)
    run.grid("levels", task.stack)
    if options.joint_images:
        given |= {f"level{i}": weights_digest(levels[i]) for i in range(count)}
        train_gan(run, "stack", task, columns, data, given)
        run.grid("stack", weights.load_stack(run.out / "stack.safetensors", device))
    print(f"done: weights and samples in {run.out}")


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
    parser.add_argument("--joint-images", type=int, default=10_000_000, metavar="N", help="0: none")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--set", action="append", default=[], metavar="LEVEL.FIELD=JSON", help="a level's setting"
    )
    parser.add_argument("--max-seconds", type=float, default=0, metavar="S", help="0: no limit")
    parser.add_argument("--save-seconds", type=float, default=60, metavar="S")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-resume: forget what OUT holds, and train everything anew",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, or time is up and saved; 1: stopped by a loss; 2: bad input."""
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        train(options)
    except TrainingStopped as stop:
        if "as asked" not in str(stop):
            print(f"error: {stop}", file=sys.stderr)
            return 1
        same = "the same command" if options.resume else "the same command without --no-resume"
        print(f"time is up: {stop}, and saved; {same} goes on from there")
    except (BadInput, ConfigError, weights.WeightsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
