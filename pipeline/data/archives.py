"""Tar and zip archives: recognised by name, extracted without letting a member leave the folder."""

import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_SUFFIXES = (".zip",)
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, LZMAError, OSError)


def is_archive(path: Path) -> bool:
    """Whether the file's name is that of a tar or zip archive."""
    return path.name.lower().endswith(TAR_SUFFIXES + ZIP_SUFFIXES)


def is_webdataset_shard(path: Path) -> bool:
    """Whether ``path`` is a tar whose first members are samples: ``KEY.cls`` or ``KEY.y.npy``
    beside an image. Damaged archives are not; extraction says what is wrong with them."""
    if not path.name.lower().endswith(".tar"):
        return False
    try:
        with tarfile.open(path, "r:") as archive:
            for _, member in zip(range(4), archive, strict=False):
                if member.name.endswith((".cls", ".y.npy")):
                    return True
    except _DAMAGED:
        return False
    return False


def extract(path: Path, folder: Path) -> Path:
    """Extract the archive into ``folder``; returns the folder that holds the data: ``folder``,
    or the one folder that wraps everything else in it.

    Raises UserError for a damaged or truncated archive, a member that would be written outside
    of ``folder`` (absolute, ``..``, links and devices), or a full disk.
    """
    try:
        if path.name.lower().endswith(ZIP_SUFFIXES):
            _extract_zip(path, folder)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise UserError(
            f"{path}: refused to extract it: {error}. Repack it with plain relative paths."
        ) from error
    except _DAMAGED as error:
        raise UserError(
            f"{path}: truncated or damaged archive, or no room in {folder} ({error}). "
            "Fetch or pack it again."
        ) from error
    return unwrap(folder)


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
    """``folder``, or the folder inside that alone holds everything (archives often wrap twice).

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


IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def is_hidden(name: str) -> bool:
    """Names that systems leave behind: dot files and ``__MACOSX``."""
    return name.startswith((".", "__MACOSX"))
