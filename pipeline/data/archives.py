"""Tar and zip archives: recognised by name, extracted without letting a member leave the folder."""

import errno
import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_SUFFIXES = (".zip",)
_TAR_END = 1024
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, LZMAError, OSError)


def is_archive(path: Path) -> bool:
    """Whether the file's name is that of a tar or zip archive."""
    return path.name.lower().endswith(TAR_SUFFIXES + ZIP_SUFFIXES)


def is_webdataset_shard(path: Path) -> bool:
    """Whether `path` is a tar whose first members are samples: `KEY.cls`, `KEY.json` or
    `KEY.y.npy` beside an image. Damaged archives are not; extraction says what is wrong."""
    if not path.name.lower().endswith(".tar"):
        return False
    try:
        with tarfile.open(path, "r:") as archive:
            names = {member.name for _, member in zip(range(4), archive, strict=False)}
    except _DAMAGED:
        return False
    pairs = {name.removesuffix(".json") + suffix for name in names for suffix in IMAGE_SUFFIXES}
    return any(name.endswith((".cls", ".y.npy")) for name in names) or bool(pairs & names)


def extract(path: Path, folder: Path) -> Path:
    """Extract the archive into `folder`; returns the folder that holds the data: `folder`,
    or the one folder that wraps everything else in it.

    Raises UserError for a damaged or truncated archive, a member that would be written outside
    of `folder` (absolute, `..`, links and devices), or a full disk.
    """
    try:
        if path.name.lower().endswith(ZIP_SUFFIXES):
            _extract_zip(path, folder)
        else:
            if path.suffix.lower() == ".tar":
                require_whole_tar(path)
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise UserError(
            f"{path}: refused to extract it: {error}. Repack it with plain relative paths."
        ) from error
    except _DAMAGED as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: no room in {folder.parent} to extract it") from error
        raise UserError(
            f"{path}: truncated or damaged archive ({error}). Fetch or pack it again."
        ) from error
    return unwrap(folder)


def require_whole_tar(path: Path) -> None:
    """Raise UserError where an uncompressed tar does not end as tars do, with two blocks of
    zeros. Readers take one that was cut between two members, or in a header, for a shorter one.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _TAR_END))
        tail = file.read()
    if len(tail) < _TAR_END or any(tail):
        raise UserError(
            f"{path}: truncated tar: it breaks off at byte {end}, without the zeros that end one. "
            "Fetch or pack it again."
        )


def _extract_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename.replace("\\", "/"))
            link = stat.S_ISLNK(member.external_attr >> 16)
            if name.is_absolute() or ".." in name.parts or link:
                raise UserError(
                    f"{path}: refused to extract {member.filename!r}, which could be written "
                    "outside of the target. Repack it with plain relative paths."
                )
            archive.extract(member, folder)


def unwrap(folder: Path) -> Path:
    """`folder`, or the folder inside that alone holds everything (archives often wrap twice).

    A lone folder without folders or data files of its own stays: it may be a class of images.
    """
    while True:
        inside = [entry for entry in folder.iterdir() if not is_hidden(entry.name)]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        if all(_is_image(entry) for entry in inside[0].iterdir() if not is_hidden(entry.name)):
            return folder
        folder = inside[0]


def _is_image(entry: Path) -> bool:
    return entry.is_file() and entry.suffix.lower() in IMAGE_SUFFIXES


# .heic and .heif are not read: named here, they are told of like any other unreadable image.
IMAGE_SUFFIXES = tuple(
    ".png .jpg .jpeg .jfif .bmp .gif .webp .avif .tif .tiff .ppm .pgm .heic .heif".split()
)


def is_hidden(name: str) -> bool:
    """Names that systems leave behind: dot files and `__MACOSX`."""
    return name.startswith((".", "__MACOSX"))
