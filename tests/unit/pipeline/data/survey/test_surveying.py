"""Which form lies at a path, in whatever it is packed, and what is said where none does."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

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
