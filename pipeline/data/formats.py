"""Which format lies at a path, and decoding it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.data import archives, array_files, cifar, collections, manifest
from pipeline.data.archives import is_hidden
from pipeline.data.dataset import DataSettings
from pipeline.data.decoded import Decoded
from pipeline.data.images import resize_all
from pipeline.data.scratch import Images
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED, SVHN_FILES
from pipeline.paths import cache_dir
from pipeline.storage.atomic import TEMPORARY_PREFIX

FORMATS = ("auto", "idx", "npz", "folder", "parquet", "webdataset")
_FOLDER_DEPTH = 3


@contextmanager
def opened(path: Path, tar_is_shard: bool = False) -> Iterator[Path]:
    """`path`, or for an archive (or a folder with nothing but one) the folder that it is
    extracted to until the block ends. A .tar of WebDataset samples is no archive; with
    `tar_is_shard` no .tar is.

    Raises UserError for a damaged archive.
    """
    inside = [] if path.is_file() else [e for e in path.iterdir() if not is_hidden(e.name)]
    archive = inside[0] if len(inside) == 1 else path
    shard = tar_is_shard and archive.suffix == ".tar"
    if (
        shard
        or not archive.is_file()
        or not archives.is_archive(archive)
        or archives.is_webdataset_shard(archive)
    ):
        yield path
        return
    cache_dir().mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=cache_dir()) as folder:
        yield archives.extract(archive, Path(folder))


def detect(path: Path) -> str:
    """idx, npz, folder, parquet, webdataset, cifar or svhn, by what lies at `path`.

    Raises UserError for an empty folder or anything else.
    """
    if path.is_file():
        if path.suffix == ".npz":
            return "npz"
        if path.suffix == ".parquet":
            return "parquet"
        if archives.is_webdataset_shard(path):
            return "webdataset"
        raise UserError(f"data.source: {path} has no known format ({_allowed()})")
    if not any(not is_hidden(entry.name) for entry in path.iterdir()):
        raise UserError(f"data.source: {path} is an empty folder ({_allowed()})")
    if array_files.find_idx(path):
        return "idx"
    if cifar.cifar_form(path):
        return "cifar"
    if any((path / name).is_file() for name in SVHN_FILES.values()):
        return "svhn"
    for suffix, name in ((".npz", "npz"), (".tar", "webdataset"), (".parquet", "parquet")):
        if any(path.glob(f"*{suffix}")) or any(path.glob(f"*/*{suffix}")):
            return name
    if collections.class_folders(path):
        return "folder"
    if any(entry.suffix.lower() in archives.IMAGE_SUFFIXES for entry in path.iterdir()):
        raise UserError(
            f"data.source: {path} holds images but no folders: put those of each class in a folder "
            "of its own"
        )
    raise UserError(f"data.source: {path} has no known format ({_allowed()})")


def _allowed() -> str:
    return (
        "allowed: a folder per class, .npz, .parquet, the four IDX files, WebDataset .tar shards, "
        "or a tar or zip of one of these; see data.format"
    )


def find_root(path: Path) -> Path:
    """The folder at most three below `path` in which IDX, CIFAR or SVHN files lie, such as
    `package/data`; else `path` itself."""
    if path.is_file():
        return path
    level = [path]
    for _ in range(_FOLDER_DEPTH):
        for folder in level:
            if _has_known_files(folder):
                return folder
        level = [f for folder in level for f in collections.class_folders(folder)]
        if len(level) > 100:
            break
    return path


def _has_known_files(folder: Path) -> bool:
    svhn = any((folder / name).is_file() for name in SVHN_FILES.values())
    return bool(array_files.find_idx(folder) or cifar.cifar_form(folder) or svhn)


def decode(path: Path, settings: DataSettings) -> tuple[Decoded, str]:
    """Decode what lies at `path` (an archive is extracted first); returns it and its format.

    Raises UserError, naming the file and the remedy, for anything that cannot be used.
    """
    if settings.format not in FORMATS:
        raise UserError(f"data.format is {settings.format!r}; allowed: {', '.join(FORMATS)}")
    if settings.on_bad_image not in ("error", "skip"):
        raise UserError(f"data.on_bad_image is {settings.on_bad_image!r}; allowed: error, skip")
    with opened(path, tar_is_shard=settings.format == "webdataset") as content:
        root = find_root(content)
        try:
            name = settings.format if settings.format != "auto" else detect(root)
            decoded = _decode(name, root, settings)
        except UserError as error:
            if content == path:
                raise
            inside = str(error).replace(f"{content}", str(path))
            raise UserError(inside) from error
    return decoded, name


def _decode(name: str, root: Path, settings: DataSettings) -> Decoded:
    size, on_bad = settings.image_size, settings.on_bad_image
    square = settings.name not in NAMED
    if name == "folder":
        if not root.is_dir():
            raise UserError(f"{root}: data.format is folder, but this is a file")
        return collections.decode_folder(root, size, on_bad, square)
    if name == "parquet":
        return collections.decode_parquet(root, size, on_bad, square)
    if name == "webdataset":
        decoded = collections.decode_webdataset(root, size, on_bad, square)
        if (root / manifest.FILE).is_file():  # shards of our own know their classes' names
            decoded.classes = manifest.Manifest.load(root).classes
        return decoded
    if name == "npz":
        return array_files.decode_npz(_only_file(root, ".npz"), size, square)
    if name == "idx":
        return array_files.decode_idx(root, size, square)
    readers = {"cifar": cifar.decode_cifar, "svhn": array_files.decode_svhn}
    return _resized(readers[name](root), size)


def _only_file(path: Path, suffix: str) -> Path:
    if path.is_file():
        return path
    files = sorted(path.rglob(f"*{suffix}"))
    if len(files) != 1:
        raise UserError(f"{path}: {len(files)} {suffix} files, expected one; name it itself")
    return files[0]


def _resized(decoded: Decoded, size: int | None) -> Decoded:
    def resize(part: tuple[Images, np.ndarray]) -> tuple[Images, np.ndarray]:
        return resize_all(np.asarray(part[0]), size), part[1]

    test = resize(decoded.test) if decoded.test is not None else None
    return replace(decoded, train=resize(decoded.train), test=test)
