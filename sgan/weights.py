"""Weights as safetensors with a model card, which holds what is needed to rebuild the nets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sgan.config import StackConfig, stack_config_from_dict, to_dict
from sgan.encoder import Encoder
from sgan.errors import WeightsError
from sgan.stack import Stack

CARD = "sgan"
FORMAT = 1


def save_encoder(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """E's weights and mean image. `about`: JSON-able facts for the card (metrics, digests)."""
    config = to_dict(StackConfig(encoder.image, encoder.config))
    _save(path, "encoder", encoder.state_dict(), config, about)


def save_levels(path: Path, stack: Stack, about: Mapping[str, Any]) -> None:
    """G_i, D_i and Q_i of the stack's active levels, without the encoder."""
    card = {**about, "active": list(stack.active)}
    _save(path, "levels", stack.levels.state_dict(), to_dict(stack.config), card)


def save_stack(path: Path, stack: Stack, about: Mapping[str, Any]) -> None:
    """The encoder and every level: all that sampling and evaluation need."""
    _save(path, "stack", stack.state_dict(), to_dict(stack.config), about)


def load_encoder(path: Path, device: str | torch.device = "cpu") -> Encoder:
    """E from `save_encoder`'s file, in eval mode. Raises WeightsError."""
    config = stack_config_from_dict(read_card(path, "encoder")["config"])
    encoder = Encoder(config.image, config.encoder)
    encoder.load_state_dict(_tensors(path))
    return encoder.freeze().to(device)


def load_stack(path: Path, device: str | torch.device = "cpu") -> Stack:
    """The whole stack from `save_stack`'s file, in eval mode. Raises WeightsError."""
    stack = Stack(stack_config_from_dict(read_card(path, "stack")["config"]))
    stack.load_state_dict(_tensors(path))
    return stack.eval().to(device)


def load_levels_into(stack: Stack, path: Path) -> None:
    """Put the levels of `save_levels`' file into a stack that holds them.

    Raises WeightsError, also where the file's nets have other shapes than the stack's.
    """
    card = read_card(path, "levels")
    tensors = _tensors(path)
    for index in card["active"]:
        prefix = f"{index}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            stack.level(index).load_state_dict(own)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"{path}: level {index} does not fit this stack: {error}") from error


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


def _tensors(path: Path) -> dict[str, Tensor]:
    return load_file(os.fspath(path))


def _save(
    path: Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
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
