"""prepare: find the data set, check its digest, write shards and a manifest."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.stage import Stage, opened
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun


def main() -> None:
    """Writes artifacts/data and metrics/prepare.json.

    Raises UserError; then nothing is written, and the stage's MLflow run is FAILED.
    """
    with opened("prepare") as stage, stage.run("data") as run:
        _prepare(stage, run)


def _prepare(stage: Stage, run: "StageRun") -> None:
    from pipeline.data import shard_writer, sources

    settings = stage.params.data
    elsewhere = os.environ.get(paths.DATA_SOURCE_VARIABLE)
    if elsewhere:
        settings = replace(settings, source=elsewhere)
    dataset, provenance = sources.load(settings)
    folder = stage.path(paths.DATA)
    shard_writer.write(dataset, folder, settings, provenance)
    manifest = stage.manifest()
    metrics = {
        "train_images": manifest.rows("train"),
        "test_images": manifest.rows("test"),
        "classes": len(manifest.classes),
        "skipped_images": dataset.skipped,
        "seconds": stage.seconds(),
    }
    write_json(stage.path(paths.metrics_file("prepare")), metrics)
    run.set_tags({"sgan.data_digest": manifest.data_digest, "sgan.data_origin": provenance.origin})
    run.log_metrics([(f"prepare/{k}", v, 0) for k, v in metrics.items()])
    run.log_artifact(folder / "manifest.parquet")
    left_out = f" ({dataset.skipped:,} unusable ones skipped)" if dataset.skipped else ""
    print(
        f"prepare: {metrics['train_images']:,} + {metrics['test_images']:,} images of "
        f"{manifest.name} from {provenance.origin}{left_out}, {stage.seconds()} s"
    )
