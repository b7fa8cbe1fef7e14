"""Checking one section of params.yaml against its dataclass, a line per thing that is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pipeline.params.file import shown
from sgan.config import ConfigError, alternatives

Section = TypeVar("Section")

_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
_PLURALS = {int: "integers", float: "numbers", str: "names"}
# What older files say, and where it is said now.
_MOVED = {
    "runtime.workers_per_level": "levels.N.workers, joint.workers and encoder.workers, as the "
    "number of workers is part of the recipe",
}


def check(cls: type[Section], values: Any, path: str) -> tuple[Section | None, list[str]]:
    """An instance of the dataclass `cls` from plain values, or None and what is wrong.

    Types are strict: no text for numbers, no true for 1; integers serve as numbers, lists as
    tuples. Keys that `cls` does not have are refused. What is left out takes its default.

    Args:
        values: as read from the file (JSON types).
        path: of the section, which each line begins with: `levels.1`.
    """
    if not isinstance(values, dict):
        return None, [f"{path} = {shown(values)}: must be a mapping of settings"]
    try:
        model = _model(cast(type, cls)).model_validate_json(json.dumps(values))
    except ValidationError as error:
        return None, _lines(cls, values, path, error)
    try:
        return cls(**{name: getattr(model, name) for name in model.model_fields_set}), []
    except ConfigError as error:
        # As it stands in the file: -1, not the -1.0 that it became.
        written = values.get(error.field_name, error.value)
        return None, [line(path, ConfigError(error.field_name, written, error.allowed))]


def line(path: str, error: ConfigError) -> str:
    """`levels.1.lr_g = -1: must be > 0 and <= 1`, on one line."""
    return f"{path}.{error.field_name} = {shown(error.value)}: must be {error.allowed}"


def unknown_key(path: str, key: str, allowed: Iterable[str]) -> str:
    """The line for a key that nobody reads, with where it went or the nearest that is read."""
    if f"{path}{key}" in _MOVED:
        return f"{path}{key}: no such setting any more; it is now {_MOVED[f'{path}{key}']}"
    allowed = list(allowed)
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return f"{path}{key}: unknown key;{hint} allowed: {', '.join(allowed)}"


@cache
def _model(cls: type) -> type[BaseModel]:
    """A pydantic model with the fields of a dataclass; pydantic checks types, the class values."""
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {
        field.name: (hints[field.name], None) for field in dataclasses.fields(cls)
    }
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model(cls.__name__, __config__=config, **fields)


def _lines(cls: type, values: dict[str, Any], path: str, error: ValidationError) -> list[str]:
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(problem["loc"][0])
        if name not in hints:
            found[name] = unknown_key(f"{path}.", name, names)
            continue
        allowed = describe(hints[name])
        if problem["type"] == "finite_number":
            allowed = "a finite number" if allowed == "a number" else f"{allowed}, all finite"
        if str in _parts(hints[name]):
            allowed += f"; in quotes where it reads as something else: {name}: '…', -S '…=\"…\"'"
        found[name] = f"{path}.{name} = {shown(values[name])}: must be {allowed}"
    return list(found.values())


def describe(hint: Any) -> str:
    """What a type allows, in words: `a number or null`, `'auto' or 'cpu'`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return alternatives(_choices(hint))
    if origin in (Union, types.UnionType):
        return alternatives([choice for part in args for choice in _choices(part)])
    if origin is list:
        return f"a list of {_plural(args[0])}"
    if origin is tuple:
        return f"a list of {_plural(args[0])}"
    if origin is dict:
        return f"a mapping from names to {_plural(args[1])}"
    return _WORDS[hint]


def _parts(hint: Any) -> tuple[Any, ...]:
    """The types of which a value may be one."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [repr(choice) for choice in get_args(hint)]
    return ["null"] if hint is types.NoneType else [describe(hint)]


def _plural(hint: Any) -> str:
    if get_origin(hint) is list:
        return f"lists of {_plural(get_args(hint)[0])}"
    if get_origin(hint) is tuple:
        names = ", ".join(_WORDS[part].split()[-1] for part in get_args(hint))
        return f"[{names}] pairs"
    if get_origin(hint) is dict:
        return "mappings"
    return _PLURALS[hint]
