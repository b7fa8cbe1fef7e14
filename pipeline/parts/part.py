"""A trained part of the stack (encoder, a level, joint): what it is, its key, and where it runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from pipeline.code import closure_digest
from sgan.config import (
    ARCHITECTURES,
    EncoderConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
    to_dict,
)

if TYPE_CHECKING:
    from pipeline.cluster.supply import Sent
    from pipeline.storage.backend import Backend

Kind = Literal["encoder", "level", "joint"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Settings = TypeVar("Settings", EncoderConfig, LevelConfig, JointConfig)


@dataclass(frozen=True)
class Identity:
    """All that fixes a part's result, and nothing else: its key follows from this and the code.

    Made by `of_encoder`, `of_level` and `of_joint`, which leave out what does not count: how E was
    trained, where E's digest is among the inputs; the settings of other levels, and in joint
    training those that it has its own of; what batch norm does across workers, where there is one.

    Attributes:
        kind: the recipe, a module of `pipeline.parts.recipes`.
        config: the nets, and the settings of those that are trained.
        inputs: SHA-256 by name of everything it is trained from.
        level: i, for a level.
        joint: joint training's settings.
        key: SHA-256 (20 hex digits) of the other fields and of the code that trains.
    """

    kind: Kind
    config: StackConfig
    inputs: Mapping[str, str]
    level: int | None = None
    joint: JointConfig | None = None
    key: str = field(init=False)

    def __post_init__(self) -> None:
        meaning = {
            "kind": self.kind,
            "config": to_dict(self.config),
            "inputs": dict(self.inputs),
            "level": self.level,
            "joint": None if self.joint is None else to_dict(self.joint),
            "code": code_version(self.kind, self.config.encoder.architecture),
        }
        text = json.dumps(meaning, sort_keys=True)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest()[:20])

    @classmethod
    def of_encoder(cls, config: StackConfig, inputs: Mapping[str, str]) -> "Identity":
        """E's training. inputs: digests of the data."""
        encoder = replace(config.encoder, width=_width_of(config.encoder))
        return cls("encoder", StackConfig(config.image, _across_workers(encoder)), inputs)

    @classmethod
    def of_level(cls, config: StackConfig, level: int, inputs: Mapping[str, str]) -> "Identity":
        """Level i alone. inputs: digests of data, encoder and features."""
        own = _across_workers(config.levels[level])
        levels = tuple(own if i == level else LevelConfig() for i in range(len(config.levels)))
        nets = StackConfig(config.image, _nets_of(config.encoder), levels)
        return cls("level", nets, inputs, level=level)

    @classmethod
    def of_joint(
        cls, config: StackConfig, joint: JointConfig, inputs: Mapping[str, str]
    ) -> "Identity":
        """All levels together. inputs: digests of data, encoder, features and levels; the levels'
        are left out where joint training starts from scratch."""
        joint = _across_workers(joint)
        levels = joint.levels(config.levels)
        if joint.init == "levels":  # whose weights replace the first ones
            levels = tuple(replace(level, d_init=LevelConfig.d_init) for level in levels)
        elif joint.enabled:
            inputs = {name: sha for name, sha in inputs.items() if not name.startswith("level")}
        return cls(
            "joint",
            StackConfig(config.image, _nets_of(config.encoder), levels),
            inputs,
            joint=joint,
        )

    @property
    def name(self) -> str:
        """`encoder`, `level0` …, `joint`."""
        return self.kind if self.level is None else f"level{self.level}"

    @property
    def section(self) -> str:
        """Its section of params.yaml: `encoder`, `levels.0` …, `joint`."""
        return self.kind if self.level is None else f"levels.{self.level}"

    @property
    def settings(self) -> EncoderConfig | LevelConfig | JointConfig:
        """The part's own settings."""
        if self.level is not None:
            return self.config.levels[self.level]
        return self.joint or self.config.encoder

    @property
    def total_images(self) -> int:
        """Images seen by the end of the training."""
        return self.settings.total_images

    @property
    def workers(self) -> int:
        """Data-parallel workers; in the key, as they draw noise of their own."""
        return self.settings.workers


@dataclass(frozen=True)
class Placement:
    """Where and on how much a part runs, and where its files lie; in no key.

    Attributes:
        inputs: absolute paths or addresses by name: `data` (shards), `encoder`, `features`,
            `levelI`.
        storage: address of checkpoints and results, or what reaches them (`storage.backend`).
        objects: what `cluster.supply.opened` opens `object://` addresses by.
        threads: that the numerics run on, on a CPU; the record tells, no key does.
        cpus, gpus: what Ray sets aside for each worker; cpus None is one for each thread, as far as
            one node has them, gpus None shares what the cluster has among the parts.
        device: as `RuntimeConfig.device`.
        checkpoint_seconds: between checkpoints.
        resident_bytes: image sets up to this size are held on the training device.
    """

    inputs: Mapping[str, str]
    storage: "str | Backend"
    objects: "Mapping[str, Sent]" = field(default_factory=dict)
    threads: int = 1
    cpus: float | None = None
    gpus: float | None = None
    device: str = "auto"
    checkpoint_seconds: float = 20.0
    resident_bytes: int = 2**31

    @property
    def addresses(self) -> tuple[object, ...]:
        """Where its worker reads and writes."""
        return (self.storage, *self.inputs.values())


@dataclass(frozen=True)
class Part:
    """One training: what it is, and where it runs."""

    identity: Identity
    placement: Placement

    @property
    def name(self) -> str:
        """`encoder`, `level0` …, `joint`."""
        return self.identity.name

    @property
    def key(self) -> str:
        """What its result is kept under."""
        return self.identity.key

    @property
    def folder(self) -> str:
        """Storage prefix of this part's files: `<name>/<key>`."""
        return f"{self.name}/{self.key}"

    @property
    def workers(self) -> int:
        """Data-parallel workers, each with `placement`'s cores and GPUs."""
        return self.identity.workers

    def placed(self, **changes: object) -> "Part":
        """The same part with another placement; fields of `Placement` by name."""
        return replace(self, placement=replace(self.placement, **changes))  # type: ignore[arg-type]


def _nets_of(encoder: EncoderConfig) -> EncoderConfig:
    """What counts of E once it is trained: its nets."""
    return EncoderConfig(encoder.architecture, encoder.cut, _width_of(encoder))


def _across_workers(settings: Settings) -> Settings:
    """One worker's batch norm has nobody to be synchronised with."""
    return settings if settings.workers > 1 else replace(settings, batch_norm="per_rank")


def _width_of(encoder: EncoderConfig) -> int:
    """The width where it shapes the nets, else always the same."""
    return encoder.width if ARCHITECTURES[encoder.architecture].has_width else EncoderConfig.width


@cache
def code_version(kind: Kind, architecture: str) -> str:
    """SHA-256 (hex) of the code that trains a kind of part: the import closure of its recipe, with
    the nets of this architecture and of no other."""
    nets = {"sgan.architectures": ARCHITECTURES[architecture].module}
    return closure_digest(f"pipeline.parts.recipes.{kind}", chosen=nets)
