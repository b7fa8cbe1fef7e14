"""features: encode the training split once, so that upper levels never touch an image."""

from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.data.batches import LABELS, column
from pipeline.execution.stage import Stage, file_sha256, opened
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.tracking.run import StageRun

_BATCH = 1000


def run() -> None:
    """Writes artifacts/features/features.arrow: a column per h_i (0 < i < N), and y.

    Raises UserError where E or the data are missing or damaged; its MLflow run is FAILED then.
    """
    with opened("features") as stage, stage.run("encoder") as run:
        _features(stage, run)


def _features(stage: Stage, run: "StageRun") -> None:
    import torch

    from pipeline.data import features, shards
    from pipeline.parts.tasks import choose_device
    from sgan.weights import load_encoder

    manifest = stage.manifest()
    weights = stage.path(paths.ENCODER_WEIGHTS)
    device = choose_device(stage.params.runtime.device)
    encoder = load_encoder(weights, device)
    images, labels = shards.read_split(stage.path(paths.DATA), "train")
    with torch.no_grad():
        probe = encoder.encode(torch.zeros(1, *manifest.image_shape, device=device))
    inner = range(1, encoder.num_levels)
    shapes = {column(i): tuple(probe[i].shape[1:]) for i in inner} | {LABELS: ()}
    about = {"encoder": file_sha256(weights), "data": manifest.data_digest}
    run.set_tags({f"sgan.{name}_digest": digest for name, digest in about.items()})
    target = stage.path(paths.FEATURES_FILE)
    target.parent.mkdir(parents=True, exist_ok=True)
    dtypes = {LABELS: "int64"}
    with features.Writer(target, len(labels), shapes, about, dtypes) as writer:
        for start in range(0, len(labels), _BATCH):
            rows = slice(start, start + _BATCH)
            pixels = torch.from_numpy(images[rows]).permute(0, 3, 1, 2).to(device)
            with torch.no_grad():
                hidden = encoder.encode(encoder.to_h0(pixels))
            batch = {column(i): hidden[i].cpu().numpy() for i in inner}
            writer.append({**batch, LABELS: labels[rows]})
    metrics = {name: _describe(features.read(target, name)) for name in shapes if name != LABELS}
    seconds = stage.seconds()
    write_json(stage.path(paths.metrics_file("features")), {**metrics, "seconds": seconds})
    flat = [(f"features/{n}_{k}", v, 0) for n, d in metrics.items() for k, v in d.items()]
    run.log_metrics([*flat, ("features/seconds", seconds, 0)])
    print(f"features: {', '.join(shapes)} of {len(labels):,} images, {stage.seconds()} s")


def _describe(h: "Tensor") -> dict[str, float]:
    """Scale and sparsity of h_i: what G_i has to hit."""
    zero = (h == 0).float().mean().item()
    return {
        "mean": round(h.mean().item(), 5),
        "std": round(h.std().item(), 5),
        "zero_share": round(zero, 5),
    }
