"""Archives: listed without being unpacked, and unpacked to the folder and nowhere else."""

import io
import stat
import tarfile
import zipfile

import pytest

from pipeline.data.survey import archive_listing as archives
from pipeline.data.survey import bounds
from pipeline.errors import UserError


def tar_with(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            content = b"content"
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def paths(listing) -> list[str]:
    return [entry.path for entry in listing.entries]


@pytest.mark.parametrize(
    "member",
    ["../out.txt", "/out.txt", link("a", "/etc/passwd"), link("a", "../../out", tarfile.LNKTYPE)],
    ids=["parent", "absolute", "symlink", "hardlink"],
)
def test_tar_member_that_leaves_the_folder_is_refused(tmp_path, member):
    tar_with(tmp_path / "bad.tar.gz", member)
    with pytest.raises(UserError, match=r"bad\.tar\.gz: refused to extract"):
        archives.of_tar(tmp_path / "bad.tar.gz")


@pytest.mark.parametrize(
    "name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt"]
)
def test_zip_member_that_leaves_the_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "content")
    with pytest.raises(UserError, match=r"bad\.zip: refused to extract"):
        archives.of_zip(tmp_path / "bad.zip")


def test_zip_symlink_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="refused to extract 'link'"):
        archives.of_zip(tmp_path / "bad.zip")


@pytest.mark.parametrize("form", ["tgz", "zip", "tar"])
def test_truncated_archive_is_named(tmp_path, form):
    path = tmp_path / f"data.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", b"content" * 100)
    else:
        mode = "w:gz" if form == "tgz" else "w"
        tar_with(path, *(f"{number}.png" for number in range(200)), mode=mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"data\.{form}: truncated (or damaged archive|tar)"):
        archives.of_zip(path) if form == "zip" else archives.of_tar(path)


def test_content_is_unpacked_as_plain_files_links_too(tmp_path):
    members = (
        "cat/1.png",
        link("cat/2.png", "cat/1.png", tarfile.LNKTYPE),
        link("dog/3.png", "../cat/1.png"),
    )
    tar_with(tmp_path / "a.tar", *members, mode="w")
    listing = archives.of_tar(tmp_path / "a.tar")
    assert paths(listing) == ["cat/1.png", "cat/2.png", "dog/3.png"]
    archives.unpack(listing, paths(listing), tmp_path / "to")
    for name in paths(listing):
        assert (tmp_path / "to" / name).read_bytes() == b"content"
        assert not (tmp_path / "to" / name).is_symlink()


def test_a_link_that_leads_nowhere_is_counted(tmp_path):
    tar_with(tmp_path / "a.tar", "a.png", link("b.png", "c.png"), mode="w")
    listing = archives.of_tar(tmp_path / "a.tar")
    assert paths(listing) == ["a.png"] and listing.lost == ["b.png"]
    assert [(left.kind, left.images) for left in listing.left] == [("links that lead nowhere", 1)]


def test_what_systems_pack_is_counted_and_not_read(tmp_path):
    tar_with(tmp_path / "a.tgz", "cat/1.png", "cat/._1.png", "__MACOSX/x.png", "@eaDir/1.png")
    listing = archives.of_tar(tmp_path / "a.tgz")
    assert paths(listing) == ["cat/1.png"]
    assert [(left.count, left.images) for left in listing.left] == [(3, 3)]


def test_a_damaged_member_is_told_when_it_is_unpacked(tmp_path, zipped):
    path = zipped(tmp_path / "a.zip", ["a.png"])
    path.write_bytes(path.read_bytes().replace(b"content", b"CONTENT"))
    listing = archives.of_zip(path)
    with pytest.raises(UserError, match=r"a\.zip: a\.png cannot be unpacked \(Bad CRC-32"):
        archives.unpack(listing, ["a.png"], tmp_path / "to")


def test_a_member_that_stands_twice_is_told(tmp_path, zipped):
    with pytest.warns(UserWarning, match="Duplicate name"):
        listing = archives.of_zip(zipped(tmp_path / "a.zip", ["a/1.png", "a/1.png"]))
    assert paths(listing) == ["a/1.png"]
    assert [(left.kind[:24], left.count, left.images) for left in listing.left] == [
        ("members that stand twice", 1, 1)
    ]


def test_what_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch, zipped):
    monkeypatch.setattr(bounds, "RATIO_FROM", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(5 << 20))
    with pytest.raises(UserError, match=r"bomb\.zip: .* that unpack to 5,242,880, .* hostile"):
        archives.of_zip(tmp_path / "bomb.zip")
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("a.png")
        info.size = 5 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(UserError, match=r"bomb\.tgz: .* that unpack to .*: hostile"):
        archives.of_tar(tmp_path / "bomb.tgz")
    monkeypatch.setattr(bounds, "MOST_IMAGES", 2)
    with pytest.raises(UserError, match=r"many\.zip: 3 members; at most 2"):
        archives.of_zip(zipped(tmp_path / "many.zip", ["a", "b", "c"]))


def test_empty_folders_are_known(tmp_path, zipped):
    listing = archives.of_zip(zipped(tmp_path / "a.zip", ["cat/", "cat/1.png", "dog/"]))
    assert listing.empty == ["dog"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_two_tars_in_one_file_are_told(tmp_path, mode):
    tar_with(tmp_path / "a.tar", "cat/1.png", mode=mode)
    tar_with(tmp_path / "b.tar", "dog/1.png", mode=mode)
    both = (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    (tmp_path / "both.tar").write_bytes(both)
    with pytest.raises(UserError, match=r"both\.tar: truncated or damaged archive \(more at byte"):
        archives.of_tar(tmp_path / "both.tar")
