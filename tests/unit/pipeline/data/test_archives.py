import io
import stat
import tarfile
import zipfile

import pytest

from pipeline.data import archives
from pipeline.errors import UserError


def tar_with(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            content = b"content"
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    ["../out.txt", link("a", "/etc/passwd"), link("a", "../../out", tarfile.LNKTYPE)],
    ids=["parent", "symlink", "hardlink"],
)
def test_tar_member_that_leaves_the_folder_is_refused(tmp_path, member):
    tar_with(tmp_path / "bad.tar.gz", member)
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match=r"bad\.tar\.gz: refused to extract"):
        archives.extract(tmp_path / "bad.tar.gz", tmp_path / "to")
    assert not (tmp_path / "out.txt").exists() and not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_zip_member_that_leaves_the_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "content")
    with pytest.raises(UserError, match=r"bad\.zip: refused to extract"):
        archives.extract(tmp_path / "bad.zip", tmp_path / "to")
    assert not (tmp_path / "out.txt").exists()


def test_zip_symlink_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="refused to extract 'link'"):
        archives.extract(tmp_path / "bad.zip", tmp_path / "to")


@pytest.mark.parametrize("form", ["tgz", "zip"])
def test_truncated_archive_is_named(tmp_path, form):
    path = tmp_path / f"data.{form}"
    if form == "tgz":
        tar_with(path, *(f"{number}.png" for number in range(200)))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", b"content" * 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match=rf"data\.{form}: truncated or damaged archive"):
        archives.extract(path, tmp_path / "to")


def test_wrapping_folders_are_taken_off_but_not_a_class(tmp_path):
    tar_with(tmp_path / "a.tgz", "set/v1/cat/1.png", "set/v1/dog/1.png", "__MACOSX/x")
    (tmp_path / "to").mkdir()
    assert archives.extract(tmp_path / "a.tgz", tmp_path / "to") == tmp_path / "to/set/v1"
    tar_with(tmp_path / "b.tgz", "set/cat/1.png", "set/cat/2.png")
    (tmp_path / "other").mkdir()
    assert archives.extract(tmp_path / "b.tgz", tmp_path / "other") == tmp_path / "other/set"


def test_shards_are_told_from_archives(tmp_path):
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for name in ("0.png", "0.cls"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with tarfile.open(tmp_path / "folder.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("cat/0.png"), io.BytesIO())
    assert archives.is_webdataset_shard(tmp_path / "shard.tar")
    assert not archives.is_webdataset_shard(tmp_path / "folder.tar")
    assert archives.is_archive(tmp_path / "folder.tar")
