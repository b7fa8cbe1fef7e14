"""prepare: find the data set, check its digest, write shards and a manifest."""

import os
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
    from pipeline.data.preparing import prepare

    folder = stage.path(paths.DATA)
    source = os.environ.get(paths.DATA_SOURCE_VARIABLE)
    made = prepare(stage.params, folder, source, lambda line: print(f"prepare: {line}", flush=True))
    manifest, skipped = made.manifest, made.dataset.skipped
    metrics = {
        "train_images": manifest.rows("train"),
        "test_images": manifest.rows("test"),
        "classes": len(manifest.classes),
        "skipped_images": skipped,
        "left_out_images": made.description.not_read,
        "seconds": stage.seconds(),
    }
    found = made.description.as_dict()
    write_json(stage.path(paths.metrics_file("prepare")), {**metrics, "found": found})
    run.set_tags(
        {"sgan.data_digest": manifest.data_digest, "sgan.data_origin": made.provenance.origin}
    )
    run.log_metrics([(f"prepare/{k}", v, 0) for k, v in metrics.items()])
    run.log_artifact(folder / "manifest.parquet")
    run.log_artifact(stage.path(paths.metrics_file("prepare")))
    left_out = f" ({skipped:,} unusable ones skipped)" if skipped else ""
    print(
        f"prepare: {metrics['train_images']:,} + {metrics['test_images']:,} images of "
        f"{manifest.name} from {made.provenance.origin}{left_out}, {stage.seconds()} s"
    )
