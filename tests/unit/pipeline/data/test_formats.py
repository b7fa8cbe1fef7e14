"""Which format lies at a path, and what is said where none does."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import formats
from pipeline.errors import UserError


def npz(path: Path, count: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)
    np.savez(path, images=images, labels=np.arange(count) % 2)
    return path


def packed(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, folder.name)
    return archive


def test_formats_are_told_by_what_lies_there(mnist_small: Path, image_folder: Path, tmp_path: Path):
    assert formats.detect(mnist_small) == "idx"
    assert formats.detect(image_folder) == "folder"
    assert formats.detect(npz(tmp_path / "one.npz")) == "npz"
    assert formats.detect(npz(tmp_path / "deep" / "er" / "one.npz").parent.parent) == "npz"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, r"is an empty folder \(allowed: a folder per class"),
        (".DS_Store", r"is an empty folder"),
        ("notes.txt", r"has no known format"),
        ("one.png", r"holds images but no folders"),
    ],
)
def test_what_is_no_data_is_told_with_what_is(tmp_path: Path, name: str | None, message: str):
    folder = tmp_path / "set"
    folder.mkdir()
    if name:
        (folder / name).write_bytes(b"x")
    with pytest.raises(UserError, match=rf"data.source: {folder} {message}"):
        formats.detect(folder)


def test_a_file_of_no_format(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(UserError, match=r"x.bin has no known format"):
        formats.detect(tmp_path / "x.bin")


def test_the_root_is_found_below_a_package_s_folders(mnist_small: Path, tmp_path: Path) -> None:
    below = tmp_path / "package" / "data"
    below.mkdir(parents=True)
    for file in mnist_small.glob("*.gz"):
        (below / file.name).write_bytes(file.read_bytes())
    (tmp_path / "package" / "src").mkdir()
    assert formats.find_root(tmp_path) == below
    assert formats.find_root(below) == below


def test_a_root_deeper_than_three_folders_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    assert formats.find_root(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "tfrecord"}, r"data.format is 'tfrecord'; allowed: auto, idx, npz"),
        ({"on_bad_image": "ignore"}, r"data.on_bad_image is 'ignore'; allowed: error, skip"),
        ({"format": "folder"}, r"data.format is folder, but this is a file"),
    ],
)
def test_settings_that_do_not_exist_or_fit(tmp_path: Path, settings, change, message) -> None:
    with pytest.raises(UserError, match=message):
        formats.decode(npz(tmp_path / "x.npz"), settings(**change))


def test_an_archive_is_opened_and_gone_afterwards(tmp_path: Path, settings, own_cache: Path):
    plain, _ = formats.decode(npz(tmp_path / "set" / "x.npz"), settings())
    archive = packed(tmp_path / "set", tmp_path / "set.tar")
    decoded, name = formats.decode(archive, settings())
    assert name == "npz"
    np.testing.assert_array_equal(decoded.train[0], plain.train[0])
    assert list(own_cache.iterdir()) == []


def test_what_is_wrong_inside_an_archive_names_the_archive(tmp_path: Path, settings) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("x")
    archive = packed(tmp_path / "set", tmp_path / "set.tar")
    with pytest.raises(UserError, match=rf"data.source: {archive}.* has no known format"):
        formats.decode(archive, settings())


def test_two_files_where_one_is_needed(tmp_path: Path, settings) -> None:
    npz(tmp_path / "set" / "a.npz")
    npz(tmp_path / "set" / "b.npz")
    with pytest.raises(UserError, match=r"2 \.npz files, expected one; name it itself"):
        formats.decode(tmp_path / "set", settings())


def test_every_array_is_resized(tmp_path: Path, settings) -> None:
    decoded, _ = formats.decode(npz(tmp_path / "x.npz"), settings(image_size=28))
    assert decoded.train[0].shape[1:] == (28, 28, 1)
    assert decoded.test is None
