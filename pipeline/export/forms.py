"""The forms in which samples are handed on, put together from the chunks that were drawn."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.data.survey.names import is_system
from pipeline.export.samples import ARRAY, SHARD
from pipeline.scores.asked import asked
from pipeline.storage.atomic import write_json

ABOUT = "generate.json"
_ABOUT_ARRAY = "about"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the archive's dates: the same bytes each time


@dataclass(frozen=True)
class Recipe:
    """What decides every byte that is written, but for the machine's kind.

    Attributes:
        weights_sha256: of the stack's file.
        seed: of the samples.
        count: how many.
        classes: names by label.
        frequencies: how often each is asked, as `asked` takes them.
        image_shape: (C, H, W).
        form: one of FORMS.
    """

    weights_sha256: str
    seed: int
    count: int
    classes: tuple[str, ...]
    frequencies: tuple[int, ...]
    image_shape: tuple[int, int, int]
    form: str

    @property
    def labels(self) -> np.ndarray:
        """Of every sample, int64 [count]."""
        return asked(self.frequencies, 0, self.count)

    def as_json(self) -> dict[str, Any]:
        """As it is kept beside the samples."""
        plain = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}


@dataclass(frozen=True)
class Form:
    """How samples are written.

    Attributes:
        told: what it is, for a person.
        encoded: whether chunks are shards of PNGs, else arrays.
        write: makes a file or a folder of the chunks' folders, in their order.
    """

    told: str
    encoded: bool
    write: Callable[[Path, Sequence[Path], Recipe], None]


def form_by_name(path: Path) -> str:
    """The form that the name of what is to be written asks for: `.npz`, a name that ends in
    `shards`, else a folder per class."""
    if path.suffix.lower() == ".npz":
        return "npz"
    return "webdataset" if path.name.lower().endswith("shards") else "folder"


def written(path: Path, form: str) -> dict[str, Any] | None:
    """The recipe of a finished set of samples, as JSON; None where something else is there."""
    try:
        if form == "npz":
            with np.load(path, allow_pickle=False) as archive:
                found = json.loads(str(archive[_ABOUT_ARRAY]))
        else:
            found = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile):
        return None
    return found if isinstance(found, dict) else None


def _folder(target: Path, chunks: Sequence[Path], recipe: Recipe) -> None:
    """`<class>/<index>.png`; no folder for a class without a sample."""
    names, labels = _folder_names(recipe.classes), recipe.labels
    for label in np.unique(labels):
        (target / names[label]).mkdir(parents=True)
    for chunk in chunks:
        with tarfile.open(chunk / SHARD, "r:") as shard:
            for member in shard:
                if member.name.endswith(".png"):
                    content = shard.extractfile(member)
                    assert content is not None
                    label = labels[int(member.name.removesuffix(".png"))]
                    (target / names[label] / member.name).write_bytes(content.read())
    write_json(target / ABOUT, recipe.as_json())


def _folder_names(classes: Sequence[str]) -> list[str]:
    """The classes' names where all can be folders' that `sgan evaluate --images` reads, else all
    their numbers: it reads never some so and some so."""
    named = [c for c in classes if c == Path(c).name and not is_system(c) and c.isprintable()]
    alone = {c.casefold() for c in classes}  # where disks do not tell case apart
    usable = len(named) == len(alone) == len(classes)
    return [*classes] if usable else [str(label) for label in range(len(classes))]


def _shards(target: Path, chunks: Sequence[Path], recipe: Recipe) -> None:
    """`00000.tar`, `00001.tar`, …"""
    target.mkdir(parents=True)
    for number, chunk in enumerate(chunks):
        shutil.copyfile(chunk / SHARD, target / f"{number:05d}.tar")
    write_json(target / ABOUT, recipe.as_json())


def _npz(target: Path, chunks: Sequence[Path], recipe: Recipe) -> None:
    """`arr_0`, uint8 [N, H, W, 3] as ADM's evaluator reads it (grey is repeated), `arr_1`, the
    labels int64 [N], and `about`, the recipe."""
    channels, height, width = recipe.image_shape
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        with _member(archive, "arr_0") as file:
            header = {"descr": "|u1", "fortran_order": False}
            shape = (recipe.count, height, width, 3)
            np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
            for chunk in chunks:
                images = np.load(chunk / ARRAY, mmap_mode="r", allow_pickle=False)
                file.write(np.ascontiguousarray(np.repeat(images, 3 // channels, axis=3)).data)
        about = np.array(json.dumps(recipe.as_json()))
        for name, values in (("arr_1", recipe.labels), (_ABOUT_ARRAY, about)):
            buffer = io.BytesIO()
            np.save(buffer, values, allow_pickle=False)
            with _member(archive, name) as file:
                file.write(buffer.getvalue())


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)


FORMS = {
    "folder": Form("a folder per class", True, _folder),
    "npz": Form("arr_0 of an npz", False, _npz),
    "webdataset": Form("WebDataset shards", True, _shards),
}
