"""The files that lie at a source, without their content: a folder's walk."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from pipeline.data.survey.bounds import require_bytes, require_shallow
from pipeline.data.survey.damage import damage_told, read_up_to
from pipeline.data.survey.description import LeftOut, Tally
from pipeline.data.survey.kinds import is_any_picture_name
from pipeline.data.survey.names import is_system, shown
from pipeline.errors import UserError

_NOT_COUNTED = (".git", ".dvc", ".hg", ".svn")  # each of their files would be one more left out
SYSTEM = "left behind by a system"


@dataclass(frozen=True)
class Entry:
    """A file: its path below the listing's root, with slashes, and its bytes."""

    path: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The path of its folder, "" for the root."""
        return self.path.rpartition("/")[0]


@dataclass
class Listing:
    """What lies at a source.

    where: how a person names it. place: folder, zip, tar, file or s3.
    entries: every file that may be read, sorted by the parts of its path.
    left: what is not looked at, by kind. empty: folders without any file. lost: images among what
        is not looked at.
    lies: of an entry of an uncompressed archive, the file, the first byte and the number of bytes.
    opener: a binary stream of an entry, by its path; notes: what to tell of the names.
    """

    where: str
    place: str
    entries: list[Entry]
    opener: Callable[[str], IO[bytes]]
    left: list[LeftOut] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    lies: Callable[[str], tuple[IO[bytes], int, int]] | None = None

    def open(self, path: str) -> IO[bytes]:
        """The content of an entry. Raises UserError where it cannot be read."""
        try:
            return self.opener(path)
        except OSError as error:
            raise UserError(f"{self.shown(path)}: cannot be read ({error.strerror})") from error

    def head(self, path: str, count: int) -> bytes:
        """The first bytes of an entry."""
        with self.open(path) as stream:
            with damage_told(f"{self.shown(path)}: cannot be read", "Fetch or pack it again."):
                return read_up_to(stream, count)

    def content(self, path: str, most: int) -> bytes:
        """The whole content of an entry of at most so many bytes. Raises UserError."""
        require_bytes(self._sizes.get(path, 0), most, self.shown(path))
        found = self.head(path, most + 1)
        require_bytes(len(found), most, self.shown(path))
        return found

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {entry.path: entry.size for entry in self.entries}

    def shown(self, path: str) -> str:
        """How a person finds an entry."""
        if self.place == "file":
            return shown(self.where)
        return shown(f"{self.where}/{path}" if path else self.where)

    def below(self, root: str) -> list[Entry]:
        """The entries in or below a folder."""
        prefix = f"{root}/" if root else ""
        return [entry for entry in self.entries if entry.path.startswith(prefix)]


def parts(path: str) -> list[str]:
    """The key by which paths are sorted: their parts, as `pathlib` compares them."""
    return path.split("/")


def is_wanted(path: str, tally: Tally) -> bool:
    """Whether no part of a path is what a system leaves behind; that is tallied."""
    system = any(map(is_system, path.split("/")))
    if system:
        tally.add(SYSTEM, path, int(is_any_picture_name(path)))
    return not system


def of_file(path: Path) -> Listing:
    """One file alone."""
    return Listing(
        str(path),
        "file",
        [Entry(path.name, path.stat().st_size)],
        lambda name: path.with_name(name).open("rb"),
    )


def of_folder(folder: Path, wanted: Callable[[str], bool] | None = None) -> Listing:
    """A folder's files, at any depth; folders that are linked to from outside of it are entered.

    wanted: paths to take; the others do not count, nor does what cannot be read among them.
    Raises UserError for a folder that may not be read; where only some paths are wanted, it is
    told of instead.
    """
    walk = _Walk(folder, wanted)
    walk.run()
    return Listing(
        str(folder),
        "folder",
        sorted(walk.entries, key=lambda entry: parts(entry.path)),
        lambda path: (folder / path).open("rb"),
        walk.tally.kinds(),
        sorted(walk.empty, key=parts),
        lost=walk.lost,
    )


class _Walk:
    """Each folder is entered once, however many links lead to it."""

    def __init__(self, root: Path, wanted: Callable[[str], bool] | None) -> None:
        self.root = root
        self._patterned, self._wanted = wanted is not None, wanted or (lambda _: True)
        self.entries: list[Entry] = []
        self.tally = Tally()
        self.empty: list[str] = []
        self.lost: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        self._links: list[tuple[str, str]] = []

    def run(self) -> None:
        """Real folders first: a link to what lies in the tree leads to nothing new."""
        self._enter(os.fspath(self.root), "")
        while self._links:
            path, name = self._links.pop(0)
            real = Path(path).resolve()
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in self._seen or self.root.resolve().is_relative_to(
                real
            ):
                self.tally.add("links to folders that are read already", name)
            else:
                self._enter(path, name)

    def _enter(self, folder: str, name: str) -> None:
        require_shallow(name, os.fspath(self.root))
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in self._seen:
            return
        self._seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(folder) as scanned:
                inside = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            if self._patterned:  # what is wanted may lie elsewhere
                self.tally.add(f"folders that cannot be read ({error.strerror})", name or folder)
                return
            raise UserError(
                f"{shown(folder)}: this folder cannot be read ({error.strerror})"
            ) from None
        if not inside and name and self._wanted(name):
            self.empty.append(name)
        for entry in inside:
            self._take(entry, f"{name}/{entry.name}" if name else entry.name)

    def _take(self, entry: "os.DirEntry[str]", path: str) -> None:
        if is_system(entry.name):
            for found in _files(entry, path):
                if self._wanted(found):
                    self.tally.add(SYSTEM, path, int(is_any_picture_name(found)))
        elif entry.is_dir(follow_symlinks=False):
            self._enter(entry.path, path)
        elif entry.is_symlink() and os.path.isdir(entry.path):  # entry.is_dir() fails in a circle
            self._links.append((entry.path, path))
        elif self._wanted(path):
            self._take_file(entry, path)

    def _take_file(self, entry: "os.DirEntry[str]", path: str) -> None:
        try:
            status = entry.stat()
        except FileNotFoundError:
            self._lose("dead links", path)
            return
        except OSError as error:
            self._lose(f"links that cannot be followed ({error.strerror})", path)
            return
        if stat.S_ISREG(status.st_mode):
            self.entries.append(Entry(path, status.st_size))
        else:
            self.tally.add("pipes, sockets and devices", path)

    def _lose(self, kind: str, path: str) -> None:
        image = is_any_picture_name(path)
        self.tally.add(kind, path, int(image))
        self.lost += [path] if image else []


def _files(entry: "os.DirEntry[str]", path: str) -> Iterator[str]:
    """The paths of the files at or below a system's entry, whose own is `path`; it alone for a
    repository."""
    if not entry.is_dir(follow_symlinks=False) or entry.name in _NOT_COUNTED:
        yield path
        return
    for folder, _, names in os.walk(entry.path):
        yield from (f"{path}{folder[len(entry.path) :]}/{name}" for name in names)
