"""The walk of a folder: every file once, and a word for each that is not read."""

import os
import re

import pytest

from pipeline.data.survey.listing import SYSTEM, of_file, of_folder
from pipeline.errors import UserError


def paths(folder) -> list[str]:
    return [entry.path for entry in of_folder(folder).entries]


def left(folder) -> dict[str, int]:
    return {one.kind: one.count for one in of_folder(folder).left}


def test_files_come_by_the_parts_of_their_paths(grow) -> None:
    folder = grow("a-b/1.png", "a/2.png", "a/10.png", "a/b/0.png", "c.png")
    assert paths(folder) == ["a/10.png", "a/2.png", "a/b/0.png", "a-b/1.png", "c.png"]


def test_linked_folders_are_entered_once_and_dead_links_counted(grow, tmp_path) -> None:
    folder, other = grow("cat/0.png"), grow("1.png", "2.png", root="other")
    (folder / "cat" / "more").symlink_to(other)
    (folder / "dog").symlink_to(folder / "cat")
    (folder / "up").symlink_to(tmp_path)
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    assert paths(folder) == ["cat/0.png", "cat/more/1.png", "cat/more/2.png"]
    assert left(folder) == {"links to folders that are read already": 2, "dead links": 1}
    assert of_folder(folder).lost == ["cat/gone.png"]


def test_what_systems_leave_is_counted_with_its_images(grow) -> None:
    folder = grow("cat/0.png", "cat/@eaDir/0.png", "cat/@eaDir/x.txt", ".cache/1.png", "Thumbs.db")
    listing = of_folder(folder)
    assert paths(folder) == ["cat/0.png"]
    assert [(one.count, one.images) for one in listing.left] == [(4, 2)]


def test_pipes_and_empty_folders(grow) -> None:
    folder = grow("cat/0.png")
    os.mkfifo(folder / "pipe")
    (folder / "dog").mkdir()
    assert left(folder) == {"pipes, sockets and devices": 1}
    assert of_folder(folder).empty == ["dog"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_folder_that_may_not_be_read_is_named(grow) -> None:
    folder = grow("cat/0.png")
    (folder / "cat").chmod(0)
    with pytest.raises(UserError, match=r"cat: this folder cannot be read \(Permission denied"):
        of_folder(folder)
    (folder / "cat").chmod(0o700)


def test_what_is_not_wanted_does_not_count(grow) -> None:
    folder = grow("cat/0.png", "cat/.0.png", "dog/0.png", "dog/.0.png", "@eaDir/cat/0.png")
    (folder / "eel").mkdir()
    for name in ("cat", "dog"):
        (folder / name / "gone.png").symlink_to("nowhere")
    os.mkfifo(folder / "dog" / "pipe")
    found = of_folder(folder, re.compile(r"cat/[^/]*\.png").fullmatch)
    assert [entry.path for entry in found.entries] == ["cat/0.png"]
    assert found.lost == ["cat/gone.png"] and found.empty == []
    assert {one.kind: one.count for one in found.left} == {"dead links": 1, SYSTEM: 1}
    assert of_folder(folder, re.compile("eel").fullmatch).empty == ["eel"]
    assert [(one.count, one.images) for one in of_folder(folder, _thumbnail).left] == [(1, 1)]


def _thumbnail(path: str) -> bool:
    return path == "@eaDir/cat/0.png"


def test_a_folder_that_may_not_be_read_stops_no_pattern(grow, monkeypatch) -> None:
    folder, scandir = grow("cat/0.png", "eel/0.png"), os.scandir

    def refusing(path):
        if os.fspath(path).endswith("eel"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = of_folder(folder, re.compile(r"cat/[^/]*\.png").fullmatch)
    assert [(one.kind, one.example) for one in found.left] == [
        ("folders that cannot be read (Permission denied)", "eel")
    ]
    with pytest.raises(UserError, match=r"eel: this folder cannot be read \(Permission denied"):
        of_folder(folder)


def test_a_file_that_vanishes_is_named(grow) -> None:
    folder = grow("cat/0.png")
    listing = of_folder(folder)
    (folder / "cat/0.png").unlink()
    with pytest.raises(UserError, match=r"cat/0\.png: cannot be read \(No such file"):
        listing.open("cat/0.png")


def test_one_file_alone(grow) -> None:
    path = grow("a.png") / "a.png"
    listing = of_file(path)
    assert listing.head("a.png", 4) == b"\x89PNG" and listing.shown("a.png") == str(path)
