"""params.yaml -> the settings of method and workflow, checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.params.file import read, shown
from pipeline.params.sections import check, line, unknown_key
from pipeline.params.settings import DataConfig, EvaluateConfig, PromoteConfig, RuntimeConfig
from pipeline.params.tuning import TuneConfig, space_problems
from pipeline.paths import PARAMS, project_root
from sgan.config import (
    ARCHITECTURES,
    ConfigError,
    EncoderConfig,
    ImageConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
    alternatives,
    to_dict,
)

SECTIONS = ("data", "encoder", "levels", "joint", "evaluate", "promote", "tune", "runtime")
_OPTIONAL = ("promote", "tune", "runtime")


@dataclass(frozen=True)
class Params:
    """Everything that params.yaml says, checked.

    raw: all sections as plain JSON values, defaults filled in, levels by "0", "1", …: what is
    tracked and hashed. `promote` and `runtime` are in it; whoever makes a key or a digest leaves
    them out. `tune` is not: it is of `sgan tune` alone, whose own runs tell of it.
    """

    data: DataConfig
    encoder: EncoderConfig
    levels: dict[int, LevelConfig]
    joint: JointConfig
    evaluate: EvaluateConfig
    promote: PromoteConfig
    tune: TuneConfig
    runtime: RuntimeConfig
    raw: dict[str, Any] = field(repr=False)
    shown: str = field(default=str(PARAMS), repr=False)  # how messages call the file

    def image_config(self, shape: tuple[int, int, int], num_classes: int) -> ImageConfig:
        """What h_0 is, for the images that `prepare` found: (C, H, W) and K.

        Raises UserError where the encoder's architecture cannot take them.
        """
        channels, height, width = shape
        try:
            image = ImageConfig(channels, height, width, num_classes, self.data.centre)
            self.encoder.check_image(image)
        except ConfigError as error:
            raise UserError(
                f"{self.shown}: encoder.architecture = {self.encoder.architecture!r} cannot take "
                f"the images of data.name = {self.data.name!r}: {error}"
            ) from None
        return image

    @property
    def images_of_g0(self) -> int:
        """Images that G_0 sees in all its training: alone, then with the other levels.

        Joint training from scratch starts without the weights of the former.
        """
        joint = self.joint.total_images if self.joint.enabled else 0
        from_levels = not self.joint.enabled or self.joint.init == "levels"
        return joint + (self.levels[0].total_images if from_levels else 0)

    def stack_config(self, image: ImageConfig) -> StackConfig:
        """The configuration of the whole stack for such images."""
        levels = tuple(self.levels[i] for i in range(self.encoder.num_levels))
        return StackConfig(image, self.encoder, levels)


def load(path: Path | None = None, root: Path | None = None) -> Params:
    """Read and check the parameters; nothing is written.

    Args:
        path: the file; by default `params.yaml` below `root`.
        root: the project's root; by default `pipeline.paths.project_root`.

    Raises:
        UserError: with one line per problem, each naming the field's path, its value and what is
            allowed.
    """
    root = root or project_root()
    path = path or root / PARAMS
    name = str(path.relative_to(root) if path.is_relative_to(root) else path)
    return from_values(read(path, name), name)


def from_values(values: dict[str, Any], shown_as: str = str(PARAMS)) -> Params:
    """Check parameters that are in memory; `load` tells what is raised.

    Args:
        values: sections by name, JSON types, keys as text.
        shown_as: how messages call where they come from.
    """
    sections, problems = _sections(values)
    if not problems:
        problems = _contradictions(sections)
    if problems:
        raise UserError("\n".join(f"{shown_as}: {problem}" for problem in problems))
    return Params(**sections, raw=_raw(sections), shown=shown_as)


def _sections(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    problems = [unknown_key("", key, SECTIONS) for key in values if key not in SECTIONS]
    missing = [name for name in SECTIONS if name not in values and name not in _OPTIONAL]
    problems += [f"{name}: section missing; needed: {', '.join(SECTIONS[:5])}" for name in missing]
    sections: dict[str, Any] = {}

    def take(cls: type, name: str) -> None:
        if name in values or name in _OPTIONAL:
            given = values.get(name)
            given = {} if given is None and name in _OPTIONAL else given
            sections[name], found = check(cls, given, name)
            problems.extend(found)

    take(DataConfig, "data")
    take(EncoderConfig, "encoder")
    if "levels" in values:
        sections["levels"], found = _levels(values["levels"], sections.get("encoder"))
        problems += found
    take(JointConfig, "joint")
    take(EvaluateConfig, "evaluate")
    take(PromoteConfig, "promote")
    take(TuneConfig, "tune")
    if isinstance(sections.get("tune"), TuneConfig):
        encoder = sections.get("encoder")
        problems += space_problems(sections["tune"], encoder.num_levels if encoder else None)
    take(RuntimeConfig, "runtime")
    return sections, problems


def _levels(values: Any, encoder: EncoderConfig | None) -> tuple[dict[int, LevelConfig], list[str]]:
    """Each level's settings by its number; the numbers must fit where the encoder is cut."""
    if not isinstance(values, dict):
        rule = "must be a mapping from the levels' numbers ('0' is the image) to their settings"
        return {}, [f"levels = {shown(values)}: {rule}"]
    levels: dict[int, LevelConfig] = {}
    problems: list[str] = []
    numbers = {key for key in values if key.isdecimal() and str(int(key)) == key}
    for key in values:
        if key not in numbers:
            problems.append(f"levels.{key}: unknown key; allowed: the levels' numbers, 0, 1, …")
            continue
        level, found = check(LevelConfig, values[key], f"levels.{key}")
        problems += found
        if level is not None:
            levels[int(key)] = level
    if encoder is not None and len(numbers) == len(values):
        fitting = [str(i) for i in range(encoder.num_levels)]
        if sorted(values) != sorted(fitting):
            problems.append(
                f"levels = {', '.join(values) or 'none'}: must be {', '.join(fitting)}: levels "
                f"that do not fit the encoder, as encoder.cut = {shown(encoder.cut)} makes "
                f"{len(fitting)}"
            )
    return dict(sorted(levels.items())), problems


def _contradictions(sections: dict[str, Any]) -> list[str]:
    """What is wrong between sections that are each right."""
    data, encoder = sections["data"], sections["encoder"]
    levels = sections["levels"]
    problems = _image_problems(data, encoder)
    if data.max_train is not None:
        parts = {"encoder": encoder}
        parts |= {f"levels.{i}": level for i, level in levels.items()}
        parts |= {"joint": sections["joint"]} if sections["joint"].enabled else {}
        problems += [
            f"{name}.batch_size = {part.batch_size}: must be <= data.max_train ({data.max_train})"
            for name, part in parts.items()
            if part.batch_size > data.max_train
        ]
    for i in list(levels)[:-1]:
        if levels[i].cond_loss == "cross_entropy":
            allowed = "'auto' or 'mse' below the top level, whose condition is features"
            problems.append(
                line(f"levels.{i}", ConfigError("cond_loss", levels[i].cond_loss, allowed))
            )
    judge = sections["evaluate"].judge
    if judge != "cnn" and data.name != "cifar10":
        allowed = f"'cnn' for data.name = {data.name!r}: the published judges read CIFAR-10"
        problems.append(line("evaluate", ConfigError("judge", judge, allowed)))
    return problems


def _image_problems(data: DataConfig, encoder: EncoderConfig) -> list[str]:
    """Whether the architecture takes the data set's images, as far as these are known."""
    if data.shape is not None:
        channels, height, width = data.shape
        image = ImageConfig(channels, height, width, data.num_classes or 2)
        if _takes(encoder.architecture, image):
            return []
        fitting = [repr(name) for name in ARCHITECTURES if _takes(name, image)]
        return [
            f"encoder.architecture = {encoder.architecture!r}: must be {alternatives(fitting)} for "
            f"data.name = {data.name!r}, whose images are {channels}x{height}x{width}"
        ]
    if data.image_size is None:
        return []
    fixed = ARCHITECTURES[encoder.architecture].image_shape
    channels = fixed[0] if fixed else 3
    image = ImageConfig(channels, data.image_size, data.image_size, 2)
    if _takes(encoder.architecture, image):
        return []
    allowed = f"{fixed[1]}" if fixed else "28 to 128 and divisible by 4"
    return [
        f"data.image_size = {data.image_size}: must be {allowed} for encoder.architecture = "
        f"{encoder.architecture!r}"
    ]


def _takes(architecture: Any, image: ImageConfig) -> bool:
    try:
        EncoderConfig(architecture=architecture, cut=()).check_image(image)
    except ConfigError:
        return False
    return True


def _raw(sections: dict[str, Any]) -> dict[str, Any]:
    raw = {name: to_dict(sections[name]) for name in SECTIONS if name not in ("levels", "tune")}
    return raw | {"levels": {str(i): to_dict(level) for i, level in sections["levels"].items()}}
