"""Parameters for tests whose subject is not how they are composed: Hydra takes 0.2 s and more."""

import copy
import functools
from typing import Any

import yaml

from pipeline.params.compose import compose
from pipeline.params.loading import Params, from_values
from tests.project import holder


def params_of(*overrides: str) -> Params:
    """As `from_values(compose(overrides))`, for choices of groups (`budget=smoke`) and settings by
    their paths (`data.source=/a`); each choice of groups is composed once in a process.

    Raises UserError.
    """
    groups = tuple(one for one in overrides if "." not in one.partition("=")[0])
    values = copy.deepcopy(_composed(groups))
    for override in overrides:
        if override not in groups:
            _set(values, *override.split("=", 1))
    return from_values(values)


@functools.cache
def _composed(groups: tuple[str, ...]) -> dict[str, Any]:
    given = ("data.source=/to be set",) if "data=custom" in groups else ()
    return compose((*groups, *given))


def _set(values: dict[str, Any], path: str, text: str) -> None:
    mapping, last = holder(values, path)
    assert last in mapping, f"there is no setting {path}"
    mapping[last] = text if path == "data.source" else yaml.safe_load(text)
