"""Which form lies at a path, in whatever it is packed, and what is said where none does."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.data import patterns
from pipeline.data.survey.surveying import surveyed
from pipeline.errors import UserError


@pytest.mark.parametrize(
    "form", ["zip", "tar", "gztar", "zip in a folder", "tar in a zip", "wrapped"]
)
def test_every_place_gives_the_same(grow, look, tmp_path, form: str, own_cache) -> None:
    folder = grow(train__cat=3, train__dog=2, test__cat=1)
    plain = look(folder)
    base, target = str(tmp_path / "packed"), tmp_path / "outer"
    target.mkdir()
    if form in ("zip", "tar", "gztar"):
        path = Path(shutil.make_archive(base, form, folder))
    elif form == "wrapped":
        shutil.copytree(folder, target / "a" / "b")
        (target / "README.md").write_text("x")
        path = target
    elif form == "zip in a folder":
        path = target
        shutil.move(shutil.make_archive(base, "zip", folder), target / "x.zip")
        (target / "README.md").write_text("x")
    else:
        with zipfile.ZipFile(target / "x.zip", "w") as archive:
            archive.write(shutil.make_archive(base, "tar", folder), "inner.tar")
        path = target / "x.zip"
    found = look(path)
    assert found.classes == plain.classes
    assert [(s.role, s.counts) for s in found.splits] == [(s.role, s.counts) for s in plain.splits]
    assert list(own_cache.iterdir()) == []


def test_plain_files_lie_where_it_says(grow, settings, tmp_path) -> None:
    folder = grow(cat=2, dog=2)
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    with surveyed(path, settings()) as found:
        root = found.local()
        assert all((root / name).is_file() for name, _ in found.plan.files["train"])
    assert not root.exists()


def test_several_archives_have_to_be_unpacked(grow, look, tmp_path) -> None:
    folder, target = grow(a=2, b=2), tmp_path / "two"
    target.mkdir()
    for name in ("x", "y"):
        shutil.make_archive(str(target / name), "zip", folder)
    with pytest.raises(UserError, match=r"holds 2 archives \(x\.zip, y\.zip\): unpack them"):
        look(target)


def test_tars_of_folders_and_of_samples_are_told_apart(tmp_path, look, made) -> None:
    sample = [("0.png", made.png), ("0.cls", b"0"), ("1.png", made.png), ("1.cls", b"1")]
    assert look(made.shard(tmp_path / "a.tar", sample)).form == "webdataset"
    files = [("cat/0.png", made.png), ("dog/0.png", made.png), ("cat/0.json", b'{"box": 1}')]
    assert look(made.shard(tmp_path / "b.tar", files)).form == "folder"
    with tarfile.open(tmp_path / "c.tgz", "w:gz") as tar:
        tar.add(tmp_path / "a.tar", "a.tar")
    assert look(tmp_path / "c.tgz").form == "webdataset"


SETS = [("train-images-idx3-ubyte", "idx"), ("data_batch_1", "cifar"), ("train_32x32.mat", "svhn")]


@pytest.mark.parametrize(("name", "form"), SETS)
def test_an_archive_beside_a_set_of_arrays_is_not_entered(grow, look, name: str, form: str) -> None:
    folder = grow()
    (folder / name).write_bytes(b"word")
    shutil.make_archive(str(folder / "old"), "zip", grow(cat=2, dog=2, root="other"))
    found = look(folder)
    assert found.form == form
    assert [(left.kind, left.example) for left in found.left_out] == [(".zip files", "old.zip")]
    assert look(folder, format="folder").classes == ("cat", "dog")


def test_what_lies_beside_the_archive_that_is_entered_is_counted(grow, look) -> None:
    folder = grow("a.svg", "b.svg", "c.mp4", "README.md")
    shutil.make_archive(str(folder / "pets"), "zip", grow(cat=2, dog=2, root="other"))
    found = look(folder)
    assert (found.read, found.not_read) == (4, 3)
    assert {left.kind: left.count for left in found.left_out} == {
        ".svg files, pictures that are not read": 2,
        ".mp4 files, pictures that are not read": 1,
        ".md files": 1,
    }


def test_errors_inside_of_an_archive_name_the_archive(tmp_path, look) -> None:
    def packed(content: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("in/b.zip"), content)
        return tmp_path / "a.zip"

    inner = rf"^{tmp_path}/a\.zip/in/b\.zip"
    with pytest.raises(UserError, match=rf"{inner}: truncated or damaged archive"):
        look(packed(b"PK\x03\x04 and no more"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("bare"), b"word")
    with pytest.raises(UserError, match=rf"{inner}: truncated or damaged archive"):
        look(packed(b"PK\x07\x08" + buffer.getvalue()[4:]))  # found when the member is opened


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz"])
def test_an_archive_that_is_a_pointer_of_git_lfs_is_told(tmp_path, look, name: str) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{0:064x}\nsize 3000\n"
    (tmp_path / name).write_text(text)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=rf"^{tmp_path}/{name}: a Git LFS pointer.*git lfs"):
            look(path)


def test_what_a_pattern_does_not_name_decides_nothing(grow, settings) -> None:
    folder = grow(cat=2, dog=2, fox=2)
    (folder / "eel").mkdir()
    (folder / "fox" / "gone.png").symlink_to("nowhere")
    wanted = patterns.parse("{cat,dog}/*.png").matches
    with surveyed(folder, settings(), wanted=wanted) as found:
        assert found.description.classes == ("cat", "dog") and not found.description.left_out
