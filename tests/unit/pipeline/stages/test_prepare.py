"""The prepare stage on 2,500 real digits: what it leaves, and what MLflow sees."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import paths
from pipeline.data import shards
from pipeline.data.manifest import Manifest
from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages
from pipeline.stages import prepare


def test_the_shards_hold_the_images_that_the_source_has(project: Path, real: RealImages) -> None:
    for split in ("train", "test"):
        images, labels = shards.read_split(project / paths.DATA, split)
        np.testing.assert_array_equal(images, getattr(real, f"{split}_images"))
        np.testing.assert_array_equal(labels, getattr(real, f"{split}_labels"))


def test_metrics_and_the_run_say_the_same(project: Path, runs) -> None:
    metrics = json.loads((project / "metrics/prepare.json").read_text())
    assert metrics.pop("seconds") > 0
    found = metrics.pop("found")
    assert (found["form"], found["images_read"], found["left_out"]) == ("idx", 2500, [])
    assert metrics == {
        "train_images": 2000,
        "test_images": 500,
        "classes": 10,
        "skipped_images": 0,
        "left_out_images": 0,
    }
    (run,) = runs("prepare")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["prepare/train_images"] == 2000
    assert run.data.tags["sgan.data_digest"] == Manifest.load(project / paths.DATA).data_digest
    assert {key.split(".")[0] for key in run.data.params} == {"data"}


def test_a_second_time_gives_the_same_bytes(project: Path) -> None:
    """Whether anything changed, DVC tells by the bytes; what lay there before is gone."""

    def files() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (project / paths.DATA).iterdir()}

    before = files()
    (project / paths.DATA / "train-99999.tar").write_bytes(b"of an earlier, larger set")
    prepare.main()
    assert files() == before


def test_a_source_that_is_not_there_has_a_failed_run_and_leaves_the_data(edit, runs) -> None:
    edit("data", source="no/such/folder")
    with pytest.raises(UserError, match="no/such/folder"):
        prepare.main()
    done, failed = runs("prepare")
    assert (done.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert failed.data.params["data.source"] == "no/such/folder"
