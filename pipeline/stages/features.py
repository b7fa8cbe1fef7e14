"""features: encode the training split once, so that upper levels never touch an image."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.execution.stage import Stage, opened
from pipeline.parts.supplying import data_bundle, file_bundle
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.tracking.run import StageRun

_ROWS = 1000  # described at once


def main() -> None:
    """Writes artifacts/features/features.arrow: a column per h_i (0 < i < N), and y.

    Raises UserError where E or the data are missing or damaged; its MLflow run is FAILED then.
    """
    with opened("features") as stage, stage.run("encoder") as run:
        _features(stage, run)


def _features(stage: Stage, run: "StageRun") -> None:
    inputs = {
        "encoder": file_bundle(stage.path(paths.ENCODER_WEIGHTS)),
        "data": data_bundle(stage.path(paths.DATA), ["train"]),
    }
    about = {"encoder": inputs["encoder"].digest, "data": stage.manifest().data_digest}
    run.set_tags({f"sgan.{name}_digest": digest for name, digest in about.items()})
    metrics, rows = stage.heavy(
        encode,
        inputs,
        stage.path(paths.FEATURES),
        kind="encoder",
        device=stage.params.runtime.device,
        about=about,
    )
    seconds = stage.seconds()
    write_json(stage.path(paths.metrics_file("features")), {**metrics, "seconds": seconds})
    flat = [(f"features/{n}_{k}", v, 0) for n, d in metrics.items() for k, v in d.items()]
    run.log_metrics([*flat, ("features/seconds", seconds, 0)])
    print(f"features: {', '.join(metrics) or 'labels'} of {rows:,} images, {stage.seconds()} s")


def encode(
    inputs: Mapping[str, str], out: Path, _: Any, *, device: str, about: Mapping[str, str]
) -> tuple[dict[str, dict[str, float]], int]:
    """The work itself, wherever it is done: writes the features into `out`; returns what each
    column is like, and the number of images."""
    from pipeline.data import features
    from pipeline.data.encoding import encode_split
    from pipeline.parts.device import device_of
    from sgan.weights import load_encoder

    encoder = load_encoder(Path(inputs["encoder"]), device_of(device))
    target = out / paths.FEATURES_FILE.name
    names, rows = encode_split(encoder, inputs["data"], target, about)
    return {name: _describe(features.read(target, name)) for name in names}, rows


def _describe(h: "Tensor") -> dict[str, float]:
    """Scale and sparsity of h_i, what G_i has to hit; taken in pieces."""
    total = squares = zeros = 0.0
    for piece in h.split(_ROWS):
        values = piece.double()
        total += values.sum().item()
        squares += values.square().sum().item()
        zeros += (values == 0).sum().item()
    mean = total / h.numel()
    variance = (squares - total * mean) / max(1, h.numel() - 1)
    return {
        "mean": round(mean, 5),
        "std": round(max(0.0, variance) ** 0.5, 5),
        "zero_share": round(zeros / h.numel(), 5),
    }
