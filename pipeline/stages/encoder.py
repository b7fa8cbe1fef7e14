"""encoder: pretrain E as a classifier (paper, section 3.1)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.execution.stage import opened, part_metrics
from pipeline.parts.curve import write_curve
from pipeline.parts.supplying import data_bundle, file_bundle
from pipeline.storage.atomic import write_json

_ROWS = 1000  # judged at once


def main() -> None:
    """Writes artifacts/encoder, metrics/encoder.json and plots/encoder.csv."""
    with opened("encoder") as stage:
        from pipeline.execution.beforehand import beside_training
        from pipeline.parts.part import Identity

        manifest, config = stage.manifest(), stage.stack_config()
        identity = Identity.of_encoder(config, stage.data_inputs())
        part = stage.part(identity)
        tags = {"sgan.data_digest": manifest.data_digest}
        with stage.run("encoder", tags, part.key) as run:
            beside = beside_training(stage, "encoder")
            result = stage.train([part], {"encoder": run}, beside=beside)["encoder"]
            weights = stage.path(paths.ENCODER_WEIGHTS)
            stage.fetch_weights(part, weights)
            data = data_bundle(stage.path(paths.DATA), ["test"])
            score = stage.heavy(
                share_read_right,
                {"encoder": file_bundle(weights), "data": data},
                weights.parent,
                kind="encoder",
                device=stage.params.runtime.device,
            )
            metrics = {"test_accuracy": round(score, 5), **part_metrics(result)}
            run.log_metrics([("encoder/test_accuracy", score, result["images_seen"])])
            write_curve(stage.path(paths.PLOTS / "encoder.csv"), result["curve"])
            write_json(stage.path(paths.metrics_file("encoder")), metrics)
            run.log_artifact(weights, "weights")
        print(f"encoder: test accuracy {score:.2%}, {stage.seconds()} s")


def share_read_right(inputs: Mapping[str, str], _: Path, __: Any, *, device: str) -> float:
    """Share of the test images in the shards whose label E predicts, wherever that is looked at."""
    import torch

    from pipeline.data import shards
    from pipeline.parts.device import device_of
    from sgan.training.classifier import accuracy
    from sgan.weights import load_encoder

    encoder, hits, rows = load_encoder(Path(inputs["encoder"]), device_of(device)), 0, 0
    for batch in shards.in_order(inputs["data"], "test", _ROWS):
        pixels = torch.from_numpy(batch.images).permute(0, 3, 1, 2)
        hits += round(accuracy(encoder, pixels, torch.from_numpy(batch.labels)) * len(batch.labels))
        rows += len(batch.labels)
    return hits / rows
