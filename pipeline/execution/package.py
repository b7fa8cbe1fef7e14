"""What of a checkout travels to a cluster as a job's folder: code, settings, small data."""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import paths
from pipeline.errors import UserError
from pipeline.tracking.revision import git, why_no_git

# The job server keeps a package in the head's memory and unpacks it on the head.
LIMIT_BYTES = 100 * 2**20

# Where data from outside the project lies in a package.
SENT_DATA = Path(".sent-data")

# What the pipeline writes: the job makes it anew, or finds it in DVC's run-cache.
_OUTPUTS = ("dvc.lock", *(f"{folder}/" for folder in (paths.METRICS, paths.PLOTS, paths.STORAGE)))
_RAYIGNORE = ".rayignore"


def files(root: Path, named: Sequence[Path] = ()) -> list[Path]:
    """What travels: all that git does not ignore, less what `.rayignore` names and the pipeline's
    own outputs.

    Args:
        root: the checkout.
        named: files and folders below `root` that travel although they are ignored.

    Returns paths relative to `root`, sorted.
    Raises UserError where `root` is not in a git checkout.
    """
    skip = ["--exclude-from", _RAYIGNORE] if (root / _RAYIGNORE).is_file() else []
    found = _listed(root, "--cached")
    if skip:
        found -= _listed(root, "--cached", "--ignored", *skip)
    found |= _listed(root, "--others", "--exclude-standard", *skip)
    travel = {Path(name) for name in found if not name.startswith(_OUTPUTS)}
    for path in named:
        travel |= {file.relative_to(root) for file in below(path)}
    return sorted(path for path in travel if (root / path).is_file())


def below(path: Path) -> list[Path]:
    """The file `path`, or all files below the folder `path`."""
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _listed(root: Path, *options: str) -> set[str]:
    done = git(root, "ls-files", "-z", *options)
    if done.returncode:
        raise UserError(f"git says what travels to the cluster, and cannot: {why_no_git(root)}")
    return set(filter(None, done.stdout.decode().split("\0")))


def members(root: Path, travel: Iterable[Path], outside: Path | None = None) -> dict[str, Path]:
    """Each file of a package by its name there.

    Args:
        root: the checkout.
        travel: files of it, relative.
        outside: data from elsewhere, a file or a folder, sent along below `SENT_DATA`.

    Raises UserError where they are too large together.
    """
    found = {path.as_posix(): root / path for path in travel}
    if outside:
        for file in below(outside):
            found[(sent_as(outside) / file.relative_to(outside)).as_posix()] = file
    size = sum(path.stat().st_size for path in found.values())
    if size > LIMIT_BYTES:
        name, largest = max(found.items(), key=lambda item: item[1].stat().st_size)
        raise UserError(
            f"{len(found)} files of {size / 2**20:,.0f} MB would travel to the cluster, and "
            f"{LIMIT_BYTES / 2**20:.0f} MB is the limit; the largest is {name} "
            f"({largest.stat().st_size / 2**20:,.1f} MB). Name what the cluster does not need in "
            ".gitignore or .rayignore; upload data and set data.source to its s3:// address"
        )
    return found


def sent_as(outside: Path) -> Path:
    """Where data from outside the project lies in a package; relative to its root."""
    return SENT_DATA / outside.name


def digest(contents: dict[str, Path]) -> str:
    """SHA-256 (hex) of a package: its names and contents, and nothing else of the files."""
    total = hashlib.sha256()
    for name, path in sorted(contents.items()):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{inner}  {name}\n".encode())
    return total.hexdigest()


def write(contents: dict[str, Path], target: Path) -> None:
    """Write a package as .zip: the same contents give the same bytes, whatever their dates."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(contents.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())
