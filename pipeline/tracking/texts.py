"""Settings and tags as MLflow takes them: one level of short strings without credentials."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.tracking.redaction import HIDDEN, is_secret_name, redact, redact_tree

_LONGEST_VALUE = 6000
_LONGEST_TAG = 5000


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`params` as one level of strings with dotted keys: `{"levels.1.lr": "0.0001"}`.

    Dataclasses count as mappings; lists, None and booleans become JSON. Credentials are hidden,
    and values over MLflow's 6000 characters are cut, with a note of their length.
    """
    flat: dict[str, str] = {}
    for name, value in params.items():
        key = f"{prefix}{plain_key(str(name))}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{key}."))
        else:
            flat[key] = HIDDEN if value is not None and is_secret_name(key) else _as_text(value)
    return flat


def tag_values(tags: Mapping[str, Any]) -> dict[str, str]:
    """`tags` as MLflow takes them: redacted strings of at most 5000 characters, no None."""
    return {key: _as_text(value, _LONGEST_TAG) for key, value in tags.items() if value is not None}


def plain_key(key: str) -> str:
    """`key` with what MLflow refuses in names replaced by an underscore."""
    return re.sub(r"[^\w.\-/: ]", "_", key)


def _as_text(value: Any, longest: int = _LONGEST_VALUE) -> str:
    plain = value is None or isinstance(value, (bool, list, tuple, Mapping))
    shown = json.dumps(redact_tree(value), default=str) if plain else str(value)
    text = redact(shown)
    if len(text) <= longest:
        return text
    note = f"... [cut, {len(text)} characters]"
    return text[: longest - len(note)] + note
