"""The method's settings: one frozen dataclass per concept, each field with its unit and source.

Paper = arXiv 1612.04357; authors' code = github.com/xunhuang1995/SGAN. Where the two differ, the
difference is a field here, so that paper, authors' code and our own recipe are settings of one
program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sgan.checks import ConfigError as ConfigError
from sgan.checks import alternatives as alternatives
from sgan.checks import require, require_g_steps, require_number, require_workers

BatchNorm = Literal["per_rank", "synchronised"]


@dataclass(frozen=True)
class Architecture:
    """A family of nets.

    `module` of sgan/architectures/ builds them; `points` are where E can be cut, in forward order;
    `image_shape` (C, H, W) is the one that they take, None for any square of 28 to 128 pixels.
    `has_width`: whether `encoder.width` says how wide they are, or their table does.
    """

    module: str
    points: tuple[str, ...]
    image_shape: tuple[int, int, int] | None = None
    has_width: bool = False


ARCHITECTURES = {
    "mnist": Architecture("mnist", ("conv1", "conv2", "fc"), (1, 28, 28)),
    "svhn": Architecture("cifar10", ("conv1", "conv2", "fc"), (3, 32, 32)),
    "cifar10": Architecture("cifar10", ("conv1", "conv2", "fc"), (3, 32, 32)),
    "pyramid": Architecture("pyramid", ("conv1", "conv2", "conv3", "fc"), has_width=True),
}


@dataclass(frozen=True)
class ImageConfig:
    """What h_0 is.

    `centre`: 'none' leaves pixels in [0, 1] (MNIST); 'pixel_mean' subtracts the per-pixel mean of
    the training images, as the authors do on CIFAR-10 (cifar/train_*.py), and G_0 then puts out
    sigmoid minus that mean image.
    """

    channels: int
    height: int
    width: int
    num_classes: int
    centre: Literal["none", "pixel_mean"] = "none"

    def __post_init__(self) -> None:
        require(self, "channels", self.channels in (1, 3), "1 or 3")
        require_number(self, "num_classes", 2)
        require(self, "width", self.width == self.height, f"equal to height ({self.height})")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class EncoderConfig:
    """E: its architecture, where it is cut into E_0 … E_{N-1}, and how it is pretrained.

    `cut` names the points (in forward order) whose outputs are h_1 … h_{N-1}; h_N is the label.
    The paper's stacks use ("fc",): N = 2. An empty cut gives N = 1: one GAN conditioned on labels.
    """

    architecture: str = "mnist"  # one of ARCHITECTURES
    cut: tuple[str, ...] = ("fc",)
    width: int = 32  # channels of pyramid's first convolution; the others are fixed by the table
    total_images: int = 240_000  # images seen in training
    batch_size: int = 128
    learning_rate: float = 2e-3  # peak of a one-cycle schedule (ours; the authors ship weights)
    weight_decay: float = 1e-4
    horizontal_flip: bool = False  # True on CIFAR-10 (paper, section 4)
    shift_pixels: int = 0  # random translation by up to this many pixels (ours)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 1
    workers: int = 1  # data-parallel; each takes batch_size / workers images of a step
    batch_norm: BatchNorm = "per_rank"  # of several workers, see LevelConfig; pyramid's E has some

    def __post_init__(self) -> None:
        known = self.architecture in ARCHITECTURES
        require(self, "architecture", known, alternatives(map(repr, ARCHITECTURES)))
        points = ARCHITECTURES[self.architecture].points
        in_order = tuple(p for p in points if p in self.cut)
        require(self, "cut", self.cut == in_order, f"a subset, in order, of {list(points)}")
        require_number(self, "width", 4, 512)
        require_number(self, "total_images batch_size", 1)
        require_number(self, "learning_rate", 0, 1, open_low=True)
        require_number(self, "weight_decay", 0, 1)
        require_number(self, "shift_pixels", 0, 16)
        require_number(self, "seed", 0, 2**31 - 1)
        require_workers(self, self.workers, self.batch_size)

    @property
    def num_levels(self) -> int:
        """N, the number of GANs in the stack."""
        return len(self.cut) + 1

    def check_image(self, image: ImageConfig) -> None:
        """Raise ConfigError when this architecture cannot take such images."""
        fixed = ARCHITECTURES[self.architecture].image_shape
        if fixed and image.shape != fixed:
            allowed = f"'pyramid' for images of shape {image.shape} (this one takes {fixed} only)"
            raise ConfigError("architecture", self.architecture, allowed)
        if not fixed and (image.height % 4 or not 28 <= image.height <= 128):
            allowed = "28 to 128 pixels a side, divisible by 4, for the pyramid"
            raise ConfigError("image size", image.height, allowed)


@dataclass(frozen=True)
class LevelConfig:
    """One level's GAN: G_i, D_i, Q_i, its losses and its optimisation.

    Defaults are the paper's with the authors' MNIST code where the paper is silent.
    """

    z_dim: int = 50  # z_i ~ U(0,1)^z_dim; 50 (MNIST), 50 and 16 (CIFAR-10 levels 1 and 0)
    total_images: int = 12_000_000  # images seen; authors: 200 epochs
    batch_size: int = 100

    lambda_adv: float = 1.0  # λ1 (paper, section 3.2)
    lambda_cond: float = 1.0  # λ2
    lambda_ent: float = 10.0  # λ3
    lambda_class: float = 1.0  # D's class cross-entropy on real h_i; 'class_logits' only
    d_objective: Literal["binary", "class_logits"] = "binary"  # Improved-GAN logits on CIFAR-10
    g_objective: Literal["non_saturating", "saturating"] = "non_saturating"
    cond_loss: Literal["auto", "mse", "cross_entropy"] = "auto"  # auto: labels CE, features MSE
    q_output: Literal["sigmoid", "linear"] = "sigmoid"
    halve_d: bool = True  # authors' code halves each of D's two adversarial terms; paper does not

    instance_noise: float = 0.0  # σ of the Gaussian noise D adds to its inputs
    hidden_noise: float = 0.0  # σ of the noise inside CIFAR-10's D_1 (authors: 0.2, joint only)
    dropout: float = 0.0  # in D_0 (CIFAR-10: 0.1 independent, 0.3 joint)
    # CIFAR-10's D_i (the others have none): as the authors; "none" (ours), since real and fake
    # images come in batches of their own, whose contrast batch norm hides from D
    d_norm: Literal["batch", "none"] = "batch"
    # (threshold, steps) pairs: as many G steps as the first pair whose threshold is below the mean
    # of D's two adversarial terms (the authors' loss, with halve_d or without); the last threshold
    # is 0. ((0, 1),) is one G step per D step.
    g_steps: tuple[tuple[float, int], ...] = ((0.0, 1),)

    # True: the first G step takes D's ĥ_i again, which saves a pass through G; False: it draws
    # new noise, as the authors' code does
    reuse_fakes: bool = False

    # D_i's and Q_i's first weights: N(0, 0.02) (authors), or He et al. 2015 (arXiv 1502.01852),
    # whose signal reaches Q undiminished: z_i is recovered after far fewer steps (ours)
    d_init: Literal["normal", "he"] = "normal"
    z_gain: float = 1.0  # factor on z_i's embedding in G_i, beside its condition (ours)
    # Channels and units inside G_i, D_i and Q_i, as a share of the table's; what embeds z_i and
    # the condition keeps its size (ours)
    width: float = 1.0

    lr_g: float = 1e-4
    lr_d: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    # Adam's eps, outside the root. The authors' Adam has 1e-8 inside it (nn.py): about 1e-4 here
    adam_eps: float = 1e-8
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    ema_half_life_images: int = 0  # 0: no moving average of G (ours, off in the paper's recipe)
    spectral_norm: bool = False  # in D (ours)
    r1_gamma: float = 0.0  # weight of R1 on real h_i (ours)
    augment_pixels: int = 0  # differentiable translation of D_0's images, real and fake (ours)
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    seed: int = 1

    # Data-parallel workers on the level: each takes batch_size / workers images of a step, and
    # draws noise of its own
    workers: int = 1
    # Over which images of a step several workers' batch norm takes its statistics in training:
    # each worker's own (as DDP does, without exchange), or all of them, as one worker would
    batch_norm: BatchNorm = "per_rank"

    def __post_init__(self) -> None:
        require_number(self, "z_dim total_images", 1)
        require_number(self, "batch_size", 2)
        require_number(self, "lambda_adv lambda_cond lambda_ent lambda_class", 0)
        require_number(self, "instance_noise hidden_noise r1_gamma ema_half_life_images", 0)
        require_number(self, "augment_pixels", 0, 16)
        require(self, "dropout", 0 <= self.dropout < 1, ">= 0 and < 1")
        require_number(self, "lr_g lr_d adam_eps", 0, 1, open_low=True)
        require_number(self, "z_gain", 0, 100, open_low=True)
        require_number(self, "width", 0.1, 4)
        for name in ("beta1", "beta2"):
            require(self, name, 0 <= getattr(self, name) < 1, ">= 0 and < 1")
        require_number(self, "seed", 0, 2**31 - 1)
        require_workers(self, self.workers, self.batch_size, least=2)
        require_g_steps(self, self.g_steps)


@dataclass(frozen=True)
class JointConfig:
    """Joint training: every level at once, h_{i+1} from the generator above (paper, section 3.3).

    `lower_weight` w: G_{i+1} also minimises w times the loss of level i, through ĥ_{i+1} as input
    and as conditional target (authors' CIFAR-10 code: 0.01; MNIST code: 0, no gradient).
    The level above that receives w² of it, and so on.
    None in `lr_g`, `lr_d`, `dropout` and the noises: as in each level's own settings. One step
    serves all levels, so None in `precision`, `g_steps` and `reuse_fakes` is level 0's.
    """

    enabled: bool = True
    init: Literal["levels", "scratch"] = "levels"
    total_images: int = 12_000_000
    batch_size: int = 100
    lower_weight: float = 0.0
    encoder_share: float = 0.0  # of a batch whose conditions stay the encoder's h_{i+1} (ours)
    lr_g: float | None = None
    lr_d: float | None = None
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    dropout: float | None = None  # D_0's, in joint training
    instance_noise: float | None = None  # in every D, in joint training
    hidden_noise: float | None = None  # inside CIFAR-10's D_1 (authors: 0.2)
    precision: Literal["auto", "float32", "bfloat16"] | None = None  # None: level 0's
    g_steps: tuple[tuple[float, int], ...] | None = None  # None: level 0's
    reuse_fakes: bool | None = None  # None: level 0's
    seed: int = 1
    workers: int = 1  # data-parallel, see LevelConfig; not the levels'
    batch_norm: BatchNorm = "per_rank"  # of several workers, see LevelConfig; not the levels'

    def __post_init__(self) -> None:
        require_number(self, "total_images", 1)
        require_number(self, "batch_size", 2)
        require_number(self, "lower_weight encoder_share", 0, 1)
        for name in ("lr_g", "lr_d"):
            if getattr(self, name) is not None:
                require_number(self, name, 0, 1, open_low=True)
        for name in ("dropout", "instance_noise", "hidden_noise"):
            if getattr(self, name) is not None:
                require_number(self, name, 0, 0.99)
        if self.g_steps is not None:
            require_g_steps(self, self.g_steps)
        require_number(self, "seed", 0, 2**31 - 1)
        require_workers(self, self.workers, self.batch_size, least=2)

    def levels(self, configs: Sequence[LevelConfig]) -> tuple[LevelConfig, ...]:
        """Every level's settings, level 0 first, as joint training uses them."""
        own = ("lr_g", "lr_d", "dropout", "instance_noise", "hidden_noise")
        common = ("precision", "g_steps", "reuse_fakes")
        joints = ("total_images", "batch_size", "lr_schedule", "seed", "workers", "batch_norm")
        shared = {n: getattr(self, n) for n in joints}
        shared |= {n: getattr(configs[0], n) for n in common}
        given = {n: getattr(self, n) for n in own + common if getattr(self, n) is not None}
        return tuple(dataclasses.replace(c, **shared | given) for c in configs)


@dataclass(frozen=True)
class StackConfig:
    """Everything that fixes the nets of a stack; travels in the weights' model card."""

    image: ImageConfig
    encoder: EncoderConfig
    levels: tuple[LevelConfig, ...] = field(default=())

    def __post_init__(self) -> None:
        self.encoder.check_image(self.image)
        if self.levels and len(self.levels) != self.encoder.num_levels:
            allowed = (
                f"{self.encoder.num_levels} levels, for encoder.cut = {list(self.encoder.cut)}"
            )
            raise ConfigError("levels", len(self.levels), allowed)
        for i, level in enumerate(self.levels[:-1]):
            if level.cond_loss == "cross_entropy":
                allowed = "'auto' or 'mse' below the top level, whose condition is features"
                raise ConfigError(f"levels.{i}.cond_loss", level.cond_loss, allowed)


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON-able values (tuples become lists)."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value

    return plain(dataclasses.asdict(config))


def stack_config_from_dict(values: dict[str, Any]) -> StackConfig:
    """The inverse of `to_dict` for a StackConfig. Raises ConfigError on values that cannot be."""
    encoder = dict(values["encoder"], cut=tuple(values["encoder"]["cut"]))
    levels = tuple(level_config_from_dict(v) for v in values["levels"])
    return StackConfig(ImageConfig(**values["image"]), EncoderConfig(**encoder), levels)


def level_config_from_dict(values: dict[str, Any]) -> LevelConfig:
    """The inverse of `to_dict` for a LevelConfig."""
    return LevelConfig(**dict(values, g_steps=tuple((t, n) for t, n in values["g_steps"])))
