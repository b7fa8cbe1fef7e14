"""The survey of arrays on disk: IDX, .npz, CIFAR-10's and SVHN's files, by their headers alone."""

import gzip
import io
import re
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import IO, Any

import numpy as np

from pipeline.data.survey.bounds import MOST_IMAGES, require_ratio
from pipeline.data.survey.choices import Choices
from pipeline.data.survey.damage import DAMAGED, damage_told, read_up_to, reason
from pipeline.data.survey.description import TEST, TRAIN, Description, Plan, Split, Tally
from pipeline.data.survey.labels import MOST_CLASSES, by_given, distinct
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed
from pipeline.data.survey.splits import Group, SplitsSetting, decide
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
    """Describe a set of IDX files. Raises UserError for settings that do not fit it."""
    made = Description(listing.where, "idx", listing.place, [], None, "the files of labels")
    made.notes += listing.notes
    plan = Plan("idx", arrays=dict(paths))
    if choices.classes:
        made.classes = distinct(listing.where, choices.classes)
    labels = {s: _idx_labels(listing, paths.get(f"{s}_labels")) for s in ("train", "test")}
    made.classes = _named(listing, labels["train"], made.classes)
    for split, role in (("train", TRAIN), ("test", TEST)):
        path = paths.get(f"{split}_images")
        if path is not None:
            count, found = _idx_count(listing, path), _counts(labels[split], made.classes)
            made.splits.append(Split(path.rpartition("/")[2], role, "its name", count, found))
    _require_roles(made, choices.splits)
    made.left_out = tally.kinds()
    return made, plan


def _idx_count(listing: Listing, path: str) -> int:
    """How many images its header promises; -1 where that cannot be read: decoding tells why."""
    try:
        with listing.open(path) as raw, _unzipped(raw) as stream:
            head = read_up_to(stream, 8)
    except DAMAGED:
        return -1
    return int.from_bytes(head[4:8], "big") if len(head) == 8 and head[:2] == b"\0\0" else -1


def _idx_labels(listing: Listing, path: str | None) -> np.ndarray | None:
    """The labels of an IDX file; None where there are none that can be read: decoding tells."""
    if path is None:
        return None
    try:
        with listing.open(path) as raw, _unzipped(raw) as stream:
            head = read_up_to(stream, 8)
            count = int.from_bytes(head[4:], "big")
            if head[:4] != b"\0\0\x08\x01" or len(head) < 8 or count > MOST_IMAGES:
                return None
            content = head + read_up_to(stream, count + 1)
    except DAMAGED:
        return None
    if len(content) != 8 + count:
        return None
    return np.frombuffer(content, np.uint8, offset=8)


def _named(
    listing: Listing, labels: np.ndarray | None, given: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """The classes by what is set, else by their numbers; None where only decoding tells."""
    if labels is None or not len(labels) or labels.min() < 0 or labels.max() >= MOST_CLASSES:
        return given
    count = int(labels.max()) + 1
    if given is not None and len(given) != count:
        raise UserError(
            f"{listing.where}: {len(given)} class names ({listed(given)}), and the labels are 0 to "
            f"{count - 1}: there must be {count} names, in the order of the labels"
        )
    return given or tuple(str(number) for number in range(count))


def _counts(
    labels: np.ndarray | None,
    classes: tuple[str, ...] | None,
    numbers: Mapping[Any, int] | None = None,
) -> tuple[int, ...]:
    """Images by class; () where a label is of none of them, of which decoding tells.

    numbers: the class of each label; None where a label is its class's number.
    """
    if labels is None or classes is None or not len(labels):
        return ()
    if labels.min() < 0 or labels.max() >= len(classes):
        return ()
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    order = sorted(numbers, key=numbers.__getitem__) if numbers else range(len(counts))
    return tuple(counts[label] for label in order)


def _require_roles(made: Description, setting: SplitsSetting) -> None:
    """Raise UserError where data.splits asks for what the readers of arrays cannot do: others than
    the training arrays to train on, and than the test arrays to hold out."""
    if setting is None or not made.splits:
        return
    groups = [Group(split.name, split.role, True, split.images) for split in made.splits]
    roles = [role for role, _ in decide(groups, setting, made.where)]
    if roles != [split.role for split in made.splits]:
        told = {TRAIN: "trained on", TEST: "held out"}
        raise UserError(
            f"{made.where}: data.splits cannot change that "
            f"{' and '.join(f'{split.name} is {told[split.role]}' for split in made.splits)}. "
            "Remove it, or write one .npz: numpy.savez('set.npz', images=x, labels=y)"
        )


def _unzipped(stream: IO[bytes]) -> Any:
    head = stream.read(2)
    stream.seek(0)
    return gzip.open(stream) if head == b"\x1f\x8b" else stream


def survey_files(
    form: str, listing: Listing, folder: str, tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe CIFAR-10's or SVHN's files in a folder, which only decoding counts. Raises UserError
    for settings that do not fit them."""
    made = Description(listing.where, form, listing.place, [], None, "the set's own files")
    if choices.classes:
        made.classes = distinct(listing.where, choices.classes)
    made.splits = [
        Split(name, role, "its name", -1) for name, role in (("train", TRAIN), ("test", TEST))
    ]
    _require_roles(made, choices.splits)
    made.left_out = tally.kinds()
    return made, Plan(form, root=folder)


def npz_header(listing: Listing, path: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array of an .npz. Raises UserError where it is damaged."""
    found = {}
    where = listing.shown(path)
    with npz_damage_told(where), listing.open(path) as stream:
        require_npz_ratio(stream, where)
        with zipfile.ZipFile(stream) as archive:
            for member in archive.namelist():
                with archive.open(member) as array:
                    header = _HEADERS.get(np.lib.format.read_magic(array))
                    shape, _, dtype = header(array) if header else ((), True, np.dtype(object))
                    found[member.removesuffix(".npy")] = (shape, dtype)
    return found


def require_npz_ratio(stream: IO[bytes], where: str) -> None:
    """Raise UserError for an .npz whose arrays unpack to many times its size."""
    with zipfile.ZipFile(stream) as archive:
        packed = stream.seek(0, io.SEEK_END)
        require_ratio(packed, sum(member.file_size for member in archive.infolist()), where)


def npz_damage_told(where: str) -> AbstractContextManager[None]:
    """Inside it, what reading a damaged .npz raises is a UserError."""
    what = f"{where}: truncated, damaged, or not a plain .npz"
    return damage_told(what, "Write it with numpy.savez from arrays of numbers.")


def survey_npz(
    listing: Listing, path: str, tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe an .npz by its arrays' shapes; its reader checks the rest. Raises UserError."""
    header = npz_header(listing, path)
    made = Description(listing.where, "npz", listing.place, [], None, "an array beside the images")
    made.notes += listing.notes
    plan = Plan("npz", arrays={"file": path})
    if choices.classes:
        made.classes = distinct(listing.where, choices.classes)
    pair = next((pair for pair in NPZ_PAIRS if pair[0] in header), None)
    pairs = ((pair or ("", ""), TRAIN), (("x_test", "y_test"), TEST))
    found = {role: _npz_labels(listing, path, header, names[1]) for names, role in pairs}
    names = _npz_array(listing, path, "classes") if "classes" in header else None
    if names is not None:
        given = npz_names(listing.shown(path), names)
        made.classes, plan.numbers = by_given(listing.shown(path), given, choices)
    made.classes = _named(listing, found[TRAIN], made.classes)
    for (name, _), role in pairs:
        if name in header:
            shape, counts = header[name][0], _counts(found[role], made.classes, plan.numbers)
            made.splits.append(Split(name, role, "its name", shape[0] if shape else 0, counts))
    _require_roles(made, choices.splits)
    known = {*(pair or ()), "x_test", "y_test", "classes"}
    for name, (shape, _) in header.items():
        if name not in known:
            images = shape[0] if len(shape) in (3, 4) else 0
            tally.add("arrays of other names", name, images)
    made.left_out = tally.kinds()
    return made, plan


def _npz_labels(
    listing: Listing, path: str, header: dict[str, tuple[tuple[int, ...], np.dtype]], name: str
) -> np.ndarray | None:
    """An array of labels; None where its reader will refuse it."""
    shape, dtype = header.get(name, ((), np.dtype(float)))
    if dtype.kind not in "iu" or not shape or shape[1:] not in ((), (1,)) or shape[0] > MOST_IMAGES:
        return None
    labels = _npz_array(listing, path, name)
    return None if labels is None else labels.reshape(-1)


def _npz_array(listing: Listing, path: str, name: str) -> np.ndarray | None:
    try:
        with listing.open(path) as stream, np.load(stream, allow_pickle=False) as archive:
            return archive[name]
    except DAMAGED:
        return None


def npz_names(path: str, names: np.ndarray) -> tuple[str, ...]:
    """The classes' names, of text or of bytes. Raises UserError for others, and doubled ones."""
    where = f"{path}: classes"
    if names.dtype.kind == "S":
        try:
            names = np.char.decode(names, "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{where}: names in bytes that are not UTF-8 ({reason(error)})"
            ) from error
    if names.dtype.kind not in "Uiu" or names.ndim != 1:
        raise UserError(
            f"{where}: of dtype {names.dtype} and shape {list(names.shape)}; they must be names in "
            "one dimension, one per class"
        )
    with damage_told(f"{where}: no text", "Write it again."):  # such as beyond Unicode
        return distinct(where, names.tolist())


def only(found: list[str], what: str, listing: Listing) -> str:
    """The one of these; raises UserError where there are several."""
    if len(found) > 1:
        raise UserError(
            f"{listing.where}: {len(found)} {what}, expected one ({listed(found, 4)}); name it "
            f"itself: data.source={listing.shown(found[0])}"
        )
    return found[0]
