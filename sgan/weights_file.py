"""A weights file: safetensors with a model card, which holds what is needed to rebuild the nets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sgan.config import ConfigError, StackConfig, stack_config_from_dict
from sgan.errors import WeightsError

CARD = "sgan"
FORMAT = 1


def read_card(path: Path, kind: str | None = None) -> dict[str, Any]:
    """The model card: `kind`, `config` (a StackConfig as a dict) and what was said about it.

    Raises WeightsError where the file is missing, damaged, not ours, or of another kind.
    """
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file; train first (`dvc repro`)") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error
    if CARD not in metadata:
        raise WeightsError(f"{path}: safetensors without an sgan model card; not written by sgan")
    card: dict[str, Any] = json.loads(metadata[CARD])
    if card.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: card format {card.get('format')!r}; this version reads {FORMAT}"
        )
    if kind and card["kind"] != kind:
        raise WeightsError(f"{path}: holds {card['kind']!r} weights; {kind!r} are needed here")
    return card


def read_config(path: Path, kind: str) -> StackConfig:
    """The nets that the model card describes. Raises WeightsError as `read_card`, and where the
    card has settings that this version does not know, or lacks some that it needs."""
    values = read_card(path, kind)["config"]
    try:
        return stack_config_from_dict(values)
    except (TypeError, KeyError, ConfigError) as error:
        raise WeightsError(
            f"{path}: its model card is of another version of sgan ({error}); train again, or read "
            "it with the version that wrote it"
        ) from error


def fill(module: nn.Module, tensors: Mapping[str, Tensor], misfit: str) -> None:
    """Load tensors into a module. Raises WeightsError, beginning with `misfit`, where they are not
    the module's."""
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise WeightsError(f"{misfit}: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A file's tensors by name, on the CPU."""
    return load_file(os.fspath(path))


def write(
    path: Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """Write tensors with a model card that holds `kind`, `config` and what `about` says; atomic."""
    card = {**about, "format": FORMAT, "kind": kind, "config": dict(config)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        save_file(plain, os.fspath(temporary), {CARD: json.dumps(card, sort_keys=True)})
        temporary.chmod(0o644)  # safetensors writes for the owner alone; servers read it too
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
