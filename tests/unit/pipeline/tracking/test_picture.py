"""A picture of a step, as MLflow's page takes it: once, whoever sends it again."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.tracking.lineage import Lineage
from pipeline.tracking.picture import FOLDER, Picture
from pipeline.tracking.tracker import Tracker


@pytest.fixture
def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def names(tracker: Tracker, run_id: str) -> list[str]:
    """Of the PNG files, without what MLflow makes up."""
    found = tracker.client.list_artifacts(run_id, FOLDER)
    return sorted(f.path.split("+timestamp")[0] for f in found if f.path.endswith(".png"))


def test_the_run_has_it_by_key_and_step(tracker: Tracker, line: Lineage, png: bytes) -> None:
    with tracker.stage(line, "joint", part_key="k") as run:
        for step in (100, 200, 100):
            run.log_image("level 0/samples", png, step)
    assert names(tracker, run.run_id) == [
        "images/level 0~samples+step+100",
        "images/level 0~samples+step+200",
    ]
    assert tracker.client.get_run(run.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_what_a_run_has_already_is_not_sent_again(
    tracker: Tracker, line: Lineage, png: bytes
) -> None:
    """Training goes on from a checkpoint before the picture, in another process."""
    with pytest.raises(KeyboardInterrupt):
        with tracker.stage(line, "joint", part_key="k") as run:
            run.log_image("samples", png, 100)
            raise KeyboardInterrupt
    with tracker.stage(line, "joint", part_key="k") as again:
        again.log_image("samples", png, 100)
        again.log_image("samples", png, 1000)
    assert again.run_id == run.run_id
    assert names(tracker, run.run_id) == ["images/samples+step+100", "images/samples+step+1000"]


def test_it_is_kept_as_plain_types(png: bytes) -> None:
    one = Picture("samples", png, 3, 5)
    assert Picture.from_json(one.as_json()) == one
