"""Independent in-domain judges: small classifiers trained on real images only, never the encoder E.

The conditional loss of a Stacked GAN contains E, so any score taken with E is gamed. A judge here
has its own architecture (batch norm, global average pooling), its own seed and its own weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from pipeline.errors import UserError
from pipeline.scores.extractor import (
    batch_size,
    check_images,
    in_batches,
    place,
    to_input,
    weights_digest,
)
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge_network import Classifier, JudgeNetwork
from sgan.training.optimizers import AdamW
from sgan.training.precision import resolve

Progress = Callable[[int, int, float], None]
NAME = "judge CNN"


@dataclass(frozen=True)
class Judge:
    """A frozen classifier with its identity: `digest` is the SHA-256 of its weights.

    `network` offers features(x) and classify(features); pixel values p of 0..255 reach it as
    p * scale + shift. `facts` are strings that tell how it came to be (epochs, seed, source).
    """

    name: str
    network: Classifier
    image_shape: tuple[int, int, int]
    num_classes: int
    digest: str
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    scale: float = 1 / 127.5
    shift: float = -1.0
    slug: str = "judge"
    facts: dict[str, str] = field(default_factory=dict)

    portion: ClassVar[int] = 10_000  # five seconds of a core for images of 28 pixels
    no_logits: ClassVar[str] = ""

    @property
    def identity(self) -> str:
        """What its outputs are kept under."""
        return self.digest

    @property
    def code(self) -> str:
        """The modules that decide its outputs: this one, and that of its network and scale."""
        return f"{__name__} {type(self.network).__module__}"

    def outputs(
        self, images: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [N, H, W, C] -> (features float32 [N, F], logits float32 [N, K]), in float32.

        `progress(images done, in all)` is called per batch. Raises UserError where the images'
        shape is not the one that the judge was trained on.
        """
        check_images(images)
        channels, height, width = self.image_shape
        if tuple(images.shape[1:]) != (height, width, channels):
            raise UserError(
                f"images: the judge {self.name} reads {height}x{width}x{channels}, got "
                f"{'x'.join(map(str, images.shape[1:]))}; train a judge on images of that shape"
            )
        size = batch_size(self.image_shape, self.device)
        found = in_batches(self._read, images, size, self.device, progress)
        features, logits = zip(*found, strict=True)
        return torch.cat(features).numpy(), torch.cat(logits).numpy()

    def _read(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits of a batch, on the CPU."""
        batch = to_input(images, self.scale, self.shift, self.device)
        found = self.network.features(batch)
        return found.float().cpu(), self.network.classify(found).float().cpu()

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] -> penultimate features, float32 [N, F]."""
        return self.outputs(images)[0]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] -> class logits, float32 [N, K]."""
        return self.outputs(images)[1]

    def protocol(self) -> dict[str, str]:
        """Judge, weights' digest and resize filter (none: a judge reads its own size)."""
        return {"judge": self.name, "judge_sha256": self.digest, "resize": "none", **self.facts}


def train_judge(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    epochs: float = 1,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    batch: int | None = None,
    precision: str = "auto",
) -> Judge:
    """Train a judge on real images (or, for CAS, on samples only).

    images uint8 [N, H, W, C], labels int64 [N] in 0..num_classes-1. `epochs` may be a fraction.
    AdamW, one-cycle learning rate with a peak of 0.003. precision: "bfloat16", "float32", or
    "auto", which is bfloat16 where the machine is quick at it.
    batch: 128 by default, down to 16 for small sets, so that an epoch has 40 steps or more.
    `progress(images done, images in all, loss)` is called about 100 times. One epoch of MNIST gives
    99.2..99.4 % test accuracy. Neither reads nor moves the global random state.
    Raises UserError for wrong shapes, labels out of range or fewer than two images.
    """
    labels = np.asarray(labels)
    _check_training(images, labels, num_classes, epochs)
    device = torch.device(device)
    _, height, width, channels = images.shape
    shape = (channels, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = JudgeNetwork(shape, num_classes)
    place(network.train(), device)
    batch = batch or max(16, min(128, len(images) // 40))
    low = _low(precision, device)
    _fit(network, images, labels.astype(np.int64), epochs, seed, device, progress, batch, low)
    return _trained(network, shape, num_classes, device, epochs, seed, len(images), low)


def _check_training(
    images: np.ndarray, labels: np.ndarray, num_classes: int, epochs: float
) -> None:
    check_images(images, "judge training images")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise UserError(
            f"judge training labels: expected {len(images)} integers, got "
            f"{labels.dtype} {list(labels.shape)}"
        )
    if len(images) < 2 or labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(
            f"judge training labels: {len(images)} images with labels "
            f"{labels.min()}..{labels.max()}; needed: two images or more, labels in "
            f"0..{num_classes - 1}"
        )
    if not epochs > 0:
        raise UserError(f"judge epochs: {epochs} is not allowed; give a number above 0")


def _low(precision: str, device: torch.device) -> bool:
    return resolve(precision, device) == torch.bfloat16


def _named(low_precision: bool) -> str:
    return "bfloat16" if low_precision else "float32"


def _fit(
    network: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    epochs: float,
    seed: int,
    device: torch.device,
    progress: Progress | None,
    batch: int,
    low_precision: bool,
) -> None:
    batch = min(batch, len(images))
    per_epoch = len(images) // batch
    steps = max(1, round(per_epoch * epochs))
    optimizer = AdamW(network.parameters(), lr=0.003, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=max(steps, 2))
    targets = torch.from_numpy(labels).to(device)
    order = np.empty(0, dtype=np.int64)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        position = step % per_epoch
        if position == 0:
            order = rng.permutation(len(images))
        rows = order[position * batch : (position + 1) * batch]
        inputs = to_input(images[rows], 1 / 127.5, -1.0, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
            logits = network.classify(network.features(inputs))
        loss = nn.functional.cross_entropy(logits.float(), targets[torch.from_numpy(rows)])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None and (step % max(1, steps // 100) == 0 or step == steps - 1):
            progress((step + 1) * batch, steps * batch, loss.item())


def kept_judge(
    real: RealImages,
    kept: Kept,
    *,
    epochs: float = 1,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    precision: str = "auto",
) -> Judge:
    """The judge for this data and these settings, trained where its weights are not kept yet."""
    low = _low(precision, torch.device(device))

    def compute() -> dict[str, np.ndarray]:
        judge = train_judge(
            real.train_images,
            real.train_labels,
            num_classes=len(real.classes),
            epochs=epochs,
            seed=seed,
            device=device,
            progress=progress,
            precision=_named(low),
        )
        return {name: value.cpu().numpy() for name, value in judge.network.state_dict().items()}

    recipe = f"{real.identity}:{len(real.classes)}:{epochs}:{seed}:{_named(low)}"
    found = kept(__name__, recipe, compute)
    state = {name: torch.from_numpy(value) for name, value in found.items()}
    _, height, width, channels = real.train_images.shape
    shape, num_classes = (channels, height, width), len(real.classes)
    network = JudgeNetwork(shape, num_classes)
    network.load_state_dict(state)
    place(network, torch.device(device))
    count = len(real.train_images)
    return _trained(network, shape, num_classes, torch.device(device), epochs, seed, count, low)


def _trained(
    network: JudgeNetwork,
    shape: tuple[int, int, int],
    num_classes: int,
    device: torch.device,
    epochs: float,
    seed: int,
    images: int,
    low_precision: bool,
) -> Judge:
    network.eval().requires_grad_(False)
    facts = {"judge_epochs": f"{epochs:g}", "judge_seed": str(seed), "judge_images": str(images)}
    facts["judge_precision"] = _named(low_precision)
    digest = weights_digest(network.state_dict())
    return Judge(NAME, network, shape, num_classes, digest, device, facts=facts)
