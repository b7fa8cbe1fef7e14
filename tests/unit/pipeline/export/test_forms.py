"""The forms: their names, and that each holds every sample with its label.

Their bytes after a kill and on a cluster: test_generation.py, tests/integration/test_generate.py.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.export.forms import ABOUT, FORMS, Recipe, form_by_name, written
from pipeline.export.samples import ARRAY, SHARD, write_shard

RECIPE = Recipe("ab" * 32, 3, 25, ("cat", "dog", "../x"), (3, 1, 1), (1, 8, 8), "npz")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (25, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def chunks(tmp_path: Path, images: np.ndarray) -> list[Path]:
    """Folders with 10, 10 and 5 samples, as arrays and as shards."""
    found = []
    for start in (0, 10, 20):
        folder = tmp_path / "chunks" / str(start)
        folder.mkdir(parents=True)
        np.save(folder / ARRAY, images[start : start + 10])
        write_shard(
            folder / SHARD, images[start : start + 10], start, RECIPE.labels[start : start + 10]
        )
        found.append(folder)
    return found


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a/b.npz", "npz"),
        ("B.NPZ", "npz"),
        ("shards/", "webdataset"),
        ("mnist-shards", "webdataset"),
        ("samples", "folder"),
        ("shards/images", "folder"),
    ],
)
def test_the_name_chooses_the_form(name: str, form: str) -> None:
    assert form_by_name(Path(name)) == form


def test_an_npz_is_streamed_as_numpy_would_write_it(
    tmp_path: Path, chunks: list[Path], images: np.ndarray
) -> None:
    for name in ("a.npz", "b.npz"):
        FORMS["npz"].write(tmp_path / name, chunks, RECIPE)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive.files == ["arr_0", "arr_1", "about"]
        assert np.array_equal(archive["arr_0"], np.repeat(images, 3, axis=3))
        assert archive["arr_1"].tolist() == RECIPE.labels.tolist()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert written(tmp_path / "a.npz", "npz") == RECIPE.as_json()


def test_colour_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    colour = np.arange(2 * 48, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.save(tmp_path / "0" / ARRAY, colour)
    recipe = replace(RECIPE, count=2, image_shape=(3, 4, 4))
    FORMS["npz"].write(tmp_path / "c.npz", [tmp_path / "0"], recipe)
    with np.load(tmp_path / "c.npz") as archive:
        assert np.array_equal(archive["arr_0"], colour)


def test_a_folder_per_class_has_safe_names(tmp_path: Path, chunks: list[Path]) -> None:
    recipe = replace(RECIPE, form="folder")
    FORMS["folder"].write(tmp_path / "out", chunks, recipe)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"0", "1", "2", ABOUT}  # one reading for all, and "../x" can be no folder
    assert [path.name for path in sorted((tmp_path / "out" / "1").iterdir())] == [
        f"{k:08d}.png" for k in np.flatnonzero(RECIPE.labels == 1)
    ]
    assert written(tmp_path / "out", "folder") == recipe.as_json()


def test_a_class_without_a_sample_has_no_folder(tmp_path: Path, chunks: list[Path]) -> None:
    recipe = replace(RECIPE, form="folder", classes=("a", "b", "c", "rare"))
    recipe = replace(recipe, frequencies=(*RECIPE.frequencies, 0))
    FORMS["folder"].write(tmp_path / "out", chunks, recipe)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "c", ABOUT}


def test_shards_are_numbered(tmp_path: Path, chunks: list[Path]) -> None:
    recipe = replace(RECIPE, form="webdataset")
    FORMS["webdataset"].write(tmp_path / "shards", chunks, recipe)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["00000.tar", "00001.tar", "00002.tar", ABOUT]
    assert written(tmp_path / "shards", "webdataset") == recipe.as_json()


def test_what_is_something_else_has_no_recipe(tmp_path: Path) -> None:
    assert written(tmp_path / "none", "folder") is None
    assert written(tmp_path, "folder") is None
    np.savez(tmp_path / "x.npz", np.zeros(3))
    assert written(tmp_path / "x.npz", "npz") is None
    (tmp_path / "y.npz").write_text("no")
    assert written(tmp_path / "y.npz", "npz") is None
    (tmp_path / "empty.npz").touch()
    assert written(tmp_path / "empty.npz", "npz") is None
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert written(tmp_path / "array.npz", "npz") is None
