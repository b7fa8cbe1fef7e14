"""encoder: pretrain E as a classifier (paper, section 3.1)."""

from pipeline import paths
from pipeline.execution.stage import opened, part_metrics
from pipeline.parts.curve import write_curve
from pipeline.storage.atomic import write_json


def main() -> None:
    """Writes artifacts/encoder, metrics/encoder.json and plots/encoder.csv."""
    with opened("encoder") as stage:
        import torch

        from pipeline.data import shards
        from pipeline.parts.part import Identity
        from sgan.training.classifier import accuracy
        from sgan.weights import load_encoder

        manifest, config = stage.manifest(), stage.stack_config()
        identity = Identity.of_encoder(config, stage.data_inputs())
        part = stage.part(identity)
        tags = {"sgan.data_digest": manifest.data_digest}
        with stage.run("encoder", tags, part.key) as run:
            result = stage.train([part], {"encoder": run})["encoder"]
            weights = stage.path(paths.ENCODER_WEIGHTS)
            stage.fetch_weights(part, weights)
            images, labels = shards.read_split(stage.path(paths.DATA), "test")
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
            score = accuracy(load_encoder(weights), pixels, torch.from_numpy(labels))
            metrics = {"test_accuracy": round(score, 5), **part_metrics(result)}
            run.log_metrics([("encoder/test_accuracy", score, result["images_seen"])])
            write_curve(stage.path(paths.PLOTS / "encoder.csv"), result["curve"])
            write_json(stage.path(paths.metrics_file("encoder")), metrics)
            run.log_artifact(weights, "weights")
        print(f"encoder: test accuracy {score:.2%}, {stage.seconds()} s")
