"""The members of a zip or a tar, without unpacking them, and their safe unpacking."""

import io
import os
import posixpath
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.data.survey.bounds import require_count, require_ratio, require_shallow
from pipeline.data.survey.damage import damage_told
from pipeline.data.survey.description import Tally
from pipeline.data.survey.kinds import is_any_picture_name
from pipeline.data.survey.listing import Entry, Listing, is_wanted, parts
from pipeline.data.survey.names import is_system, shortened
from pipeline.data.survey.tar_files import Place, members_of, require_whole, section, unpacked
from pipeline.data.survey.zip_names import Names
from pipeline.errors import UserError

_ENCRYPTED_FLAG = 1
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "IBM TERSE", 93: "Zstandard", 94: "MP3",
    95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
}  # fmt: skip
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def of_zip(path: Path, encoding: str | None = None) -> Listing:
    """A zip's members. Names with backslashes are read as Windows meant them; names in a legacy
    code page as `encoding`, or as zip says (cp437), which the listing's notes tell.

    Raises UserError for a damaged, encrypted or hostile zip, and for methods that nobody here
    unpacks.
    """
    with _damage_told(path):
        archive = zipfile.ZipFile(path)  # closed with the listing's garbage
    names = Names(path, archive.infolist(), encoding)
    files: dict[str, zipfile.ZipInfo] = {}
    tally = Tally()
    empty: set[str] = set()
    require_count(len(archive.infolist()), "members", str(path))
    unpacked_size = sum(member.file_size for member in archive.infolist())
    require_ratio(path.stat().st_size, unpacked_size, str(path))
    for member in archive.infolist():
        name = _safe(
            names.of(member), path, link=(member.external_attr >> 16) & 0o170000 == 0o120000
        )
        if member.filename.endswith(("/", "\\")):
            empty.add(name)
        elif is_wanted(name, tally):
            _require_readable(path, member, name)
            if name in files:
                tally.add(
                    "members that stand twice (the last one counts)",
                    name,
                    is_any_picture_name(name),
                )
            files[name] = member

    def opener(name: str) -> IO[bytes]:
        with _damage_told(path):
            return archive.open(files[name])

    entries = [Entry(name, member.file_size) for name, member in files.items()]
    return _listing(path, "zip", entries, opener, tally, empty, names.notes())


def _listing(
    path: Path,
    place: str,
    entries: list[Entry],
    opener: Callable[[str], IO[bytes]],
    tally: Tally,
    folders: Iterable[str],
    notes: list[str],
) -> Listing:
    entries.sort(key=lambda entry: parts(entry.path))
    filled = {str(above) for entry in entries for above in PurePosixPath(entry.path).parents}
    empty = sorted((f for f in set(folders) - filled if not _is_system_path(f)), key=parts)
    return Listing(str(path), place, entries, opener, tally.kinds(), empty, notes)


def _is_system_path(name: str) -> bool:
    return any(is_system(part) for part in name.split("/"))


def _safe(name: str, path: Path, link: bool = False) -> str:
    """A member's name as a path below the target. Raises UserError for one that leaves it."""
    pure = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if pure.is_absolute() or drive or ".." in pure.parts or link or "\0" in name:
        raise UserError(
            f"{path}: refused to extract {shortened(name)!r}, which could be written outside of "
            "the "
            "target. Repack it with plain relative paths."
        )
    require_shallow(str(pure), str(path))
    return str(pure)


def _require_readable(path: Path, member: zipfile.ZipInfo, name: str) -> None:
    repack = "zip -r new.zip FOLDER"
    if member.flag_bits & _ENCRYPTED_FLAG or member.compress_type == 99:
        raise UserError(
            f"{path}: {shortened(name)} is encrypted, and passwords are not taken. Unpack it with "
            f"the password (7z x {path.name}) and let data.source name the folder, or pack it "
            f"again without one ({repack})"
        )
    if member.compress_type not in _READ:
        method = _METHODS.get(member.compress_type, f"number {member.compress_type}")
        raise UserError(
            f"{path}: {shortened(name)} is packed by the method {method}, which is not read. "
            "Unpack "
            f"it (7z x {path.name}) and let data.source name the folder, or pack it again with "
            f"Deflate ({repack})"
        )


def of_tar(path: Path) -> Listing:
    """A tar's members, compressed or not; links within it count as what they lead to.

    Raises UserError for a damaged tar, and for members that would be written outside of a target.
    """
    tally, files, folders = Tally(), dict[str, Place](), set[str]()
    lost: list[str] = []
    content = unpacked(path.open("rb"), path.name, str(path))  # closed with the listing's garbage
    require_whole(content, str(path))
    with _damage_told(path):
        for member in members_of(content):
            require_count(len(files), "members", str(path))
            name = _safe(member.name, path)
            if member.isdir():
                folders.add(name)
            elif is_wanted(name, tally):
                _take_member(path, member, name, files, tally, lost)

    def opener(name: str) -> IO[bytes]:
        return io.BufferedReader(section(content, files[name]))

    entries = [Entry(name, place.size) for name, place in files.items()]
    made = _listing(path, "tar", entries, opener, tally, folders - {"."}, [])
    made.lost = lost
    made.lies = lambda name: (content, files[name].start, files[name].size)
    return made


def _take_member(
    path: Path,
    member: tarfile.TarInfo,
    name: str,
    files: dict[str, Place],
    tally: Tally,
    lost: list[str],
) -> None:
    image = int(is_any_picture_name(name))
    if member.islnk() or member.issym():
        base = posixpath.dirname(name) if member.issym() else ""
        target = posixpath.normpath(posixpath.join(base, member.linkname))
        if target.startswith(("../", "/")) or target == "..":
            raise UserError(
                f"{path}: refused to extract {shortened(name)!r}, a link that leads out of it. "
                "Repack it with plain relative paths."
            )
        if target not in files:
            tally.add("links that lead nowhere", name, image)
            lost += [name] if image else []
            return
        place = files[target]
    elif member.issparse():
        tally.add("sparse members", name, image)
        lost += [name] if image else []
        return
    elif not member.isreg():
        tally.add("pipes, sockets and devices", name)
        return
    else:
        place = Place(member.offset_data, member.size)
    if name in files:
        tally.add("members that stand twice (the last one counts)", name, image)
    files[name] = place


def unpack(listing: Listing, paths: Iterable[str], folder: Path) -> None:
    """Write these entries below `folder`, as plain files.

    Raises UserError for damaged content, and for names that no disk holds or that are both a file's
    and a folder's; OSError where the disk is full.
    """
    for name in sorted(set(paths), key=parts):
        target = folder / name
        with damage_told(f"{listing.where}: {shortened(name)} cannot be unpacked", "Repack it."):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                if listing.lies is not None and _copied(*listing.lies(name), out):
                    continue
                with listing.opener(name) as source:
                    shutil.copyfileobj(source, out, 1 << 20)


def _copied(content: IO[bytes], start: int, size: int, out: IO[bytes]) -> bool:
    """Whether the system copied these bytes of a file by itself; else nothing was written."""
    if not hasattr(os, "copy_file_range"):
        return False
    try:
        done = 0
        while done < size:
            moved = os.copy_file_range(
                content.fileno(), out.fileno(), size - done, start + done, done
            )
            if not moved:
                return False
            done += moved
    except OSError:
        out.truncate(0)
        return False  # across file systems, or full: copying tells
    return True


def _damage_told(path: Path) -> AbstractContextManager[None]:
    return damage_told(f"{path}: truncated or damaged archive", "Fetch or pack it again.")
