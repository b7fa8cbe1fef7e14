"""What a search came to: the best trial as a patch of params.yaml, and as overrides of conf/."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.params.compose import compose, quoted
from pipeline.params.loading import Params, from_values, load
from pipeline.params.tuning import TuneConfig
from pipeline.storage.atomic import write_bytes
from pipeline.tracking.lineage import leaves
from pipeline.tuning.records import Look
from pipeline.tuning.space import Setting
from sgan.config import to_dict

# What YAML and Hydra read as the text that it is, `_WORDS` aside.
_PLAIN = re.compile(r"[A-Za-z_/][\w./:@+-]*", re.ASCII)
_WORDS = ("null", "true", "false", "inf", "nan")
_ENVIRONMENT = ("promote", "runtime")  # sections that decide no result
_READABLE = 15  # overrides on a line


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: 0 is the present settings.
        setting: what it trained with.
        key: of its part.
        looks: at it, in order of images seen, a failure last.
    """

    number: int
    setting: Setting
    key: str
    looks: tuple[Look, ...]

    @property
    def last(self) -> Look | None:
        """The look at it that counts."""
        return self.looks[-1] if self.looks else None

    @property
    def fate(self) -> str:
        """What became of it, in a word or two."""
        if self.last is None:
            return "not begun"
        if self.last.failed:
            return "diverged"
        if self.last.final and self.last.collapsed:
            return "collapsed"
        return ("reused" if self.last.reused else "trained") if self.last.final else "stopped"


@dataclass(frozen=True)
class Outcome:
    """A search that has ended.

    Attributes:
        level: i.
        settings: how it was searched.
        total_images: of a whole training.
        floor: Fréchet distance of real h_i to other real ones.
        tried: every trial, by number.
        best: the winner's number; None where every trial collapsed or diverged.
        confirmed: (best, present settings) on samples that nothing was chosen by; None where there
            is no winner, or the present settings were not trained to their end.
    """

    level: int
    settings: TuneConfig
    total_images: int
    floor: float
    tried: tuple[Tried, ...]
    best: int | None
    confirmed: tuple[float, float] | None = None

    @property
    def winner(self) -> Tried | None:
        """The best trial."""
        return None if self.best is None else self.tried[self.best]

    @property
    def changes(self) -> dict[str, Any]:
        """What the best trial changes of the level's settings."""
        return dict(self.winner.setting.changes) if self.winner else {}

    def patch(self) -> str:
        """The best trial's changes as a part of params.yaml."""
        lines = [f"    {name}: {_yaml(value)}" for name, value in self.changes.items()]
        return "\n".join(["levels:", f"  '{self.level}':", *lines]) + "\n" if lines else ""

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        from dataclasses import asdict

        return {
            "level": self.level,
            "settings": asdict(self.settings),
            "total_images": self.total_images,
            "floor": self.floor,
            "best": self.best,
            "changes": self.changes,
            "confirmed": self.confirmed,
            "trials": [
                {
                    "trial": one.number,
                    "key": one.key,
                    "fate": one.fate,
                    "changes": dict(one.setting.changes),
                    "looks": [asdict(look) for look in one.looks],
                }
                for one in self.tried
            ],
        }


def overrides(params: Params, level: int, changes: Mapping[str, Any], conf: Path) -> list[str]:
    """What `dvc exp run -S` has to be given so that conf/ composes params.yaml as it is with these
    `changes`, where things run aside; [] where settings alone do not make it.

    Args:
        params: what was tuned.
        level: i.
        changes: of its settings, JSON types.
        conf: the folder of the groups.
    """
    levels = {**params.raw["levels"]}
    levels[str(level)] = {**levels[str(level)], **changes}
    wanted = from_values({**params.raw, "levels": levels}, params.shown)
    try:
        usual = leaves(_decisive(from_values(compose((), conf=conf))))
        found = [
            _override(path, value)
            for path, value in leaves(_decisive(wanted)).items()
            if usual.get(path, ...) != value
        ]
        made = from_values(compose(found, conf=conf))
    except UserError:
        return []
    return found if _decisive(made) == _decisive(wanted) else []


def line(found: Sequence[str], level: int, changes: Mapping[str, Any]) -> str:
    """The command that runs such an experiment: with all of `found`, or, where that is none or too
    much to read, with the level's changes alone."""
    if not 0 < len(found) <= _READABLE:
        found = [_override(("levels", str(level), name), v) for name, v in changes.items()]
        return f"dvc exp run … {_options(found)}\n(… is what conf/ makes your params.yaml of)"
    return f"dvc exp run {_options(found)}"


def apply(path: Path, level: int, changes: Mapping[str, Any]) -> None:
    """Write the changes into params.yaml; its comments and all else in it stay as they are.

    Raises UserError where they do not fit, before anything is written.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes null where that stood, and not nothing."""

    def null(representer: Representer, _: None) -> Any:
        return representer.represent_scalar("tag:yaml.org,2002:null", "null")

    Representer.add_representer(type(None), null)
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes, yaml.width = True, 100
    content = yaml.load(path.read_text(encoding="utf-8"))
    levels = content["levels"]
    section = levels[str(level) if str(level) in levels else level]
    for name, value in changes.items():
        if isinstance(value, list):
            value = CommentedSeq(value)
            value.fa.set_flow_style()
        section[name] = value
    text = io.StringIO()
    yaml.dump(content, text)
    written = text.getvalue()
    plain = YAML(typ="safe", pure=True).load(written)
    from_values(json.loads(json.dumps(plain)), shown_as=str(path.name))
    write_bytes(path, written.encode())
    found = to_dict(load(path).levels[level])
    if any(found[name] != value for name, value in changes.items()):
        raise UserError(f"{path}: does not say what was written into it; is it edited meanwhile?")


def _decisive(params: Params) -> dict[str, Any]:
    return {name: section for name, section in params.raw.items() if name not in _ENVIRONMENT}


def _options(found: Sequence[str]) -> str:
    return " ".join(f"-S {shlex.quote(one)}" for one in found)


def _override(path: Sequence[str], value: Any) -> str:
    return f"{'.'.join(path)}={_hydra(value)}"


def _yaml(value: Any) -> str:
    """On one line, as params.yaml has it."""
    return value if isinstance(value, str) and _is_plain(value) else json.dumps(value)


def _hydra(value: Any) -> str:
    """In the grammar of Hydra's overrides."""
    if isinstance(value, str):
        return value if _is_plain(value) else quoted(value)
    if isinstance(value, list):
        return "[" + ",".join(_hydra(one) for one in value) + "]"
    return json.dumps(value)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS
