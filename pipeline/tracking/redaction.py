"""Keeping credentials out of what is printed, logged and tracked."""

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "RAY_AUTH_TOKEN",
)
# A name counts by its last word: `access_key` and `s3.secret` do, `tokens_seen` does not.
_SECRET_NAME = re.compile(
    r"(?:^|[._\-/])(?:\w*(?:password|passwd|secret|credentials?)|\w*(?:access|secret)_key(?:_id)?|"
    r"\w*api_key|(?:\w*_)?token)$",
    re.IGNORECASE,
)
# Greedy up to the last @ before the path: a password may hold an @ of its own.
_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
# The same without a scheme, as proxies and DSNs are written; `image:tag@sha256:…` has no password.
_BARE_USERINFO = re.compile(
    r"(?<![\w.+\-/@])(?!mailto:)[\w.+\-]+:[^\s/\\@'\"]+@(?!sha\d+:)"
    r"(?=(?:[\w\-]+\.)+[\w\-]|localhost\b|[\w\-]+:\d)"
)
_QUERY_SECRET = re.compile(
    r"(?<=[?&])([\w.\-]*(?:password|secret|token|signature|credential|access_key)[\w.\-]*)=[^&\s]*",
    re.IGNORECASE,
)
# Shorter values ("test", "minio") are no secrets, and replacing them would garble plain words.
_SHORTEST_SECRET = 8


def redact(text: str) -> str:
    """`text` with user names and passwords of addresses, secret query values and the values of the
    environment's credentials replaced by `***`."""
    for variable in _SECRET_VARIABLES:
        value = os.environ.get(variable, "")
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    text = _BARE_USERINFO.sub(f"{HIDDEN}@", _USERINFO.sub(f"{HIDDEN}@", text))
    return _QUERY_SECRET.sub(rf"\1={HIDDEN}", text)


def is_secret_name(key: str) -> bool:
    """True if a parameter of this (dotted) name holds a credential: `storage.access_key`."""
    return _SECRET_NAME.search(key) is not None


def redact_tree(value: Any, key: str = "") -> Any:
    """A copy of JSON-like `value` with every string redacted and secret-named entries hidden."""
    if isinstance(value, Mapping):
        return {name: redact_tree(inner, str(name)) for name, inner in value.items()}
    if value is not None and is_secret_name(key):
        return HIDDEN
    if isinstance(value, (list, tuple)):
        return [redact_tree(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value
