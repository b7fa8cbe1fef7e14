"""A look at a source and a few of its images, of every form."""

import numpy as np
import pytest

from pipeline.data import inspecting
from pipeline.data.inspecting import EACH, SIDE, look, look_closely
from tests import people


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("wrapped-zip", ("cat", "dog")),
        ("parquet-class-names", ("cat", "dog")),
        ("shard-gz", ("0", "1")),
        ("npz-bytes-names", ("cat", "dog", "eel")),
        ("idx-gz-unpacked", ("0", "1")),
    ],
)
def test_images_of_each_class(tmp_path, settings, name, classes) -> None:
    (override, *_) = people.write(name, tmp_path / "data")
    source = override.removeprefix("data.source=")
    description, contact = look_closely(source, settings(source=source))
    assert contact.classes == classes
    assert contact.images.shape[:3] == (len(classes) * EACH, SIDE, SIDE)
    assert all(image.std() > 10 for image in contact.images)
    assert look(source, settings(source=source)).as_dict() == description.as_dict()


def test_a_class_with_few_images_has_blank_places(grow_class, settings) -> None:
    _, contact = look_closely(str(grow_class), settings(source=str(grow_class)))
    blank = [bool((image == 255).all()) for image in contact.images]
    assert blank == [False] * 6 + [True] * 2 + [False] * 6 + [True] * 2


@pytest.fixture
def grow_class(image_folder):
    return image_folder


def test_objects_of_s3_are_listed_and_not_fetched(monkeypatch, settings, image_folder) -> None:
    files = list(image_folder.rglob("*.png"))
    listed = [
        inspecting.s3.S3Object(f"pre/{p.relative_to(image_folder)}", p.stat().st_size, "x")
        for p in sorted(files)
    ]
    monkeypatch.setattr(inspecting.s3, "list_objects", lambda uri: listed)
    monkeypatch.delattr(inspecting.s3, "open_stream")
    found = look("s3://bucket/pre", settings())
    assert (found.place, found.classes, found.read) == ("s3", ("cat", "dog"), 12)
    assert np.sum(found.splits[0].counts) == 12
