"""The survey of arrays on disk: IDX, .npz, CIFAR-10's and SVHN's files, by their headers alone."""

import gzip
import re
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from pipeline.data.survey.description import TEST, TRAIN, Description, Plan, Split, Tally
from pipeline.data.survey.labels import distinct
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed
from pipeline.data.survey.trees import Choices
from pipeline.errors import UserError
from pipeline.params.named_sets import SVHN_FILES

_IDX = re.compile(
    r"(?P<prefix>.*?)(?P<split>train|t10k|test|val|valid)[-_.]?(?P<what>images?|labels?)"
    r"[-_.]?idx[13][-_.]?ubyte(\.gz)?$",
    re.IGNORECASE,
)
CIFAR_BATCHES = {
    "train": [f"data_batch_{number}" for number in range(1, 6)],
    "test": ["test_batch"],
}
CIFAR_ENDINGS = {"python": "", "binary": ".bin", "sheets": ".png"}
CIFAR_SHEET_LABELS = {
    "train": "train_lables.json",
    "test": "test_lables.json",
}  # the package's spelling
NPZ_PAIRS = (("x_train", "y_train"), ("images", "labels"))
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def idx_sets(entries: list[Entry]) -> dict[str, dict[str, str]]:
    """The IDX files, by folder and prefix: each a set's paths by array name."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        match = _IDX.match(entry.name)
        if match:
            split = "train" if match["split"].lower() == "train" else "test"
            what = "images" if match["what"].lower().startswith("image") else "labels"
            key = f"{entry.folder}/{match['prefix']}" if entry.folder else match["prefix"]
            found.setdefault(key, {}).setdefault(f"{split}_{what}", entry.path)
    return found


def cifar_folders(entries: list[Entry]) -> list[str]:
    """The folders that hold CIFAR-10's batches, in any of their forms."""
    first = CIFAR_BATCHES["train"][0]
    names = {first + ending for ending in CIFAR_ENDINGS.values()}
    return list(dict.fromkeys(entry.folder for entry in entries if entry.name in names))


def svhn_folders(entries: list[Entry]) -> list[str]:
    """The folders that hold one of SVHN's files."""
    names = set(SVHN_FILES.values())
    return list(dict.fromkeys(entry.folder for entry in entries if entry.name in names))


def file_names(form: str) -> set[str]:
    """The names of all files that a set of CIFAR-10's or SVHN's form may consist of."""
    if form == "svhn":
        return set(SVHN_FILES.values())
    batches = [name for names in CIFAR_BATCHES.values() for name in names]
    named = {name + ending for name in batches for ending in CIFAR_ENDINGS.values()}
    return named | set(CIFAR_SHEET_LABELS.values())


def survey_idx(
    listing: Listing, paths: dict[str, str], tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe a set of IDX files. Raises UserError for a split without images or labels."""
    made = Description(listing.where, "idx", listing.place, [], None, "the files of labels")
    made.notes += listing.notes
    plan = Plan("idx", arrays=dict(paths))
    if choices.classes:
        made.classes = distinct(listing.where, choices.classes)
    for split, role in (("train", TRAIN), ("test", TEST)):
        path = paths.get(f"{split}_images")
        if path is not None:
            count = _idx_count(listing, path)
            made.splits.append(Split(path.rpartition("/")[2], role, "its name", count))
    made.left_out = tally.kinds()
    return made, plan


def _idx_count(listing: Listing, path: str) -> int:
    """How many images its header promises; -1 where that cannot be read: decoding tells why."""
    try:
        with listing.open(path) as raw, _unzipped(raw) as stream:
            head = stream.read(8)
    except (OSError, EOFError, zlib.error):
        return -1
    return int.from_bytes(head[4:8], "big") if len(head) == 8 and head[:2] == b"\0\0" else -1


def _unzipped(stream: IO[bytes]) -> Any:
    head = stream.read(2)
    stream.seek(0)
    return gzip.open(stream) if head == b"\x1f\x8b" else stream


def survey_files(
    form: str, listing: Listing, folder: str, tally: Tally
) -> tuple[Description, Plan]:
    """Describe CIFAR-10's or SVHN's files in a folder, which only decoding counts."""
    made = Description(listing.where, form, listing.place, [], None, "the set's own files")
    made.splits = [
        Split(name, role, "its name", -1) for name, role in (("train", TRAIN), ("test", TEST))
    ]
    made.left_out = tally.kinds()
    return made, Plan(form, root=folder)


def npz_header(listing: Listing, path: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array of an .npz. Raises UserError where it is damaged."""
    found = {}
    try:
        with listing.open(path) as stream, zipfile.ZipFile(stream) as archive:
            for member in archive.namelist():
                with archive.open(member) as array:
                    header = _HEADERS.get(np.lib.format.read_magic(array))
                    shape, _, dtype = header(array) if header else ((), True, np.dtype(object))
                    found[member.removesuffix(".npy")] = (shape, dtype)
    except (
        OSError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise UserError(
            f"{listing.shown(path)}: truncated, damaged, or not a plain .npz ({error}). Write it "
            "with numpy.savez from arrays of numbers."
        ) from error
    return found


def survey_npz(
    listing: Listing, path: str, tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe an .npz by its arrays' shapes; its reader checks the rest. Raises UserError."""
    header = npz_header(listing, path)
    made = Description(listing.where, "npz", listing.place, [], None, "an array beside the images")
    made.notes += listing.notes
    if choices.classes:
        made.classes = distinct(listing.where, choices.classes)
    pair = next((pair for pair in NPZ_PAIRS if pair[0] in header), None)
    for name, role in ((pair[0] if pair else None, TRAIN), ("x_test", TEST)):
        if name in header:
            shape = header[name][0]
            made.splits.append(Split(name, role, "its name", shape[0] if shape else 0))
    known = {*(pair or ()), "x_test", "y_test", "classes"}
    for name, (shape, _) in header.items():
        if name not in known:
            images = shape[0] if len(shape) in (3, 4) else 0
            tally.add("arrays of other names", name, images)
    made.left_out = tally.kinds()
    return made, Plan("npz", arrays={"file": path})


def only(found: list[str], what: str, listing: Listing) -> str:
    """The one of these; raises UserError where there are several."""
    if len(found) > 1:
        raise UserError(
            f"{listing.where}: {len(found)} {what}, expected one ({listed(found, 4)}); name it "
            f"itself: data.source={listing.shown(found[0])}"
        )
    return found[0]
