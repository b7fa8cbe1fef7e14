"""Which form lies at a path, and what is said where none or several do."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError


def npz(path: Path, count: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)
    np.savez(path, images=images, labels=np.arange(count) % 2)
    return path


def test_forms_are_told_by_what_lies_there(mnist_small, grow, tmp_path, look, made) -> None:
    assert look(mnist_small).form == "idx"
    assert look(grow(cat=2, dog=2)).form == "folder"
    assert look(npz(tmp_path / "one.npz")).form == "npz"
    assert look(npz(tmp_path / "deep/er/and/deeper/one.npz").parent.parent).form == "npz"
    made.table(tmp_path / "t" / "a.parquet", [0, 1])
    assert look(tmp_path / "t").form == "parquet"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, r"is an empty folder \(allowed: a folder per class"),
        (".DS_Store", r"is an empty folder"),
        ("notes.txt", r"has no known format \(allowed"),
        ("one.png", r"holds images but no folders"),
        ("pets.7z", r"has no known format: pets\.7z is an archive that is not read; unpack it"),
        ("cat/1.psd", r"has no known format: pictures such as cat/1\.psd are not read"),
    ],
)
def test_what_is_no_data_is_told_with_what_is(tmp_path: Path, look, name, message) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    if name:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    with pytest.raises(UserError, match=rf"data.source: {folder} {message}"):
        look(folder)


def test_a_file_of_no_format(tmp_path: Path, look) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(UserError, match=r"x.bin has no known format"):
        look(tmp_path / "x.bin")


def test_forms_side_by_side_have_to_be_told_apart(grow, look, made) -> None:
    folder = grow(cat=2, dog=2)
    npz(folder / "x.npz")
    with pytest.raises(UserError, match=r"holds \.npz files, folders of images.*data\.format=npz"):
        look(folder)
    assert look(folder, format="npz").not_read == 4
    assert look(folder, format="folder").read == 4
    np.savez(folder / "x.npz", statistics=np.zeros(4))
    assert look(folder).form == "folder"


def test_pointers_of_git_lfs_are_told_in_containers_too(grow, look) -> None:
    folder = grow("readme.md")
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{0:064x}\nsize 3000\n"
    (folder / "train.parquet").write_text(text)
    with pytest.raises(UserError, match=r"train\.parquet: a Git LFS pointer.*git lfs pull"):
        look(folder)


def test_a_form_that_is_not_there(grow, look) -> None:
    with pytest.raises(UserError, match=r"no parquet files in it, as data\.format asks for"):
        look(grow(a=1, b=1), format="parquet")
