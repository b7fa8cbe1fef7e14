"""The survey of WebDataset shards: their headers and their labels."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.data import manifest
from pipeline.data.npy import array_of
from pipeline.data.survey import samples
from pipeline.data.survey.bounds import (
    MOST_IMAGE_BYTES,
    MOST_LABEL_BYTES,
    MOST_SIDECAR_BYTES,
    require_bytes,
)
from pipeline.data.survey.choices import Choices
from pipeline.data.survey.damage import damage_told, read_up_to
from pipeline.data.survey.description import LEFT, TRAIN, Description, Plan, Tally
from pipeline.data.survey.groups import Container, by_word, described
from pipeline.data.survey.labels import (
    LABEL_NAMES,
    by_name,
    by_number,
    is_hidden_label,
    kinds_of_labels,
)
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed, shortened, shown
from pipeline.data.survey.samples import BLOCK, Sample
from pipeline.data.survey.tar_files import unpacked
from pipeline.errors import UserError

_DIGITS = 18  # of a label that is a number
FIELDS = LABEL_NAMES


@dataclass
class Part(Container):
    """A shard: its path, its images, how many of them have which label, and its first sample
    without one."""

    path: str
    rows: int = 0
    labels: Counter[Any] = field(default_factory=Counter)
    without: Sample | None = None
    blocks: bool = False


def survey(
    listing: Listing, files: list[Entry], tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe shards, and plan how to read them.

    Raises UserError for damaged shards, for samples that cannot be told apart, and for labels that
    contradict one another.
    """
    parts = {entry.path: read(listing, entry.path, tally) for entry in files}
    if not any(part.labelled for part in parts.values()):
        for part in parts.values():
            _require_labels(listing, part)
    groups = by_word(listing.where, files, parts, choices.splits)
    made = Description(listing.where, "webdataset", listing.place, [], None, "each sample's label")
    made.notes += listing.notes
    plan = Plan("webdataset", parts={TRAIN: []})
    for group in groups:
        if group.role != LEFT:
            plan.parts.setdefault(group.role, []).extend(parts[path] for path in group.paths)
    used = [part for one in plan.parts.values() for part in one]
    for part in used:
        _require_labels(listing, part)
    _require_one_form(listing, used)
    text, _ = kinds_of_labels(listing.where, [part.labels for part in used])
    trained = {label for part in plan.parts[TRAIN] for label in part.labels}
    if text:
        made.classes, plan.numbers = by_name(listing.where, text, choices)
    else:
        own = _own_classes(listing, used, choices)
        made.classes = own or by_number(listing.where, trained, choices)
    made.splits += described(groups, parts, made.classes, plan.numbers)
    made.left_out = tally.kinds()
    return made, plan


def _own_classes(listing: Listing, parts: list[Part], choices: Choices) -> tuple[str, ...] | None:
    """The classes' names in the manifest of ours in whose folder these shards lie, if there is one;
    one shard that was named by itself has to be in it.

    Raises UserError, in one line, for a damaged one, for two that differ, and where data.classes
    says otherwise.
    """
    found: dict[tuple[str, ...], str] = {}
    for entry in listing.entries:
        inside = f"{entry.folder}/" if entry.folder else ""
        below = [p.path.removeprefix(inside) for p in parts if p.path.startswith(inside)]
        if entry.name != manifest.FILE or not below:
            continue
        content = listing.content(entry.path, MOST_SIDECAR_BYTES)
        beside = listing.place == "file"
        where = str(Path(listing.where).with_name(entry.name)) if beside else None
        if not manifest.is_ours(content):
            continue
        try:
            made = manifest.Manifest.parse(content, where or listing.shown(entry.path))
        except UserError as error:
            raise UserError(shown(" ".join(str(error).split()))) from error
        listed_there = {shard.shard for split in made.splits.values() for shard in split}
        if not beside or listed_there.intersection(below):
            found.setdefault(made.classes, entry.path)
    if len(found) > 1:
        raise UserError(
            f"{listing.where}: {listed(found.values())} name other classes, so the labels of these "
            "shards differ in meaning: let data.source name the folder of one"
        )
    names = next(iter(found), None)
    if names and choices.classes and tuple(choices.classes) != names:
        raise UserError(
            f"{listing.where}: data.classes names {listed(choices.classes)}, and {manifest.FILE} "
            f"names {listed(names)}, in the order of the labels. Remove data.classes"
        )
    return names


def _require_one_form(listing: Listing, parts: list[Part]) -> None:
    if len({part.blocks for part in parts}) > 1:
        raise UserError(f"{listing.where}: both single images and blocks of them; use one")


def _require_labels(listing: Listing, part: Part) -> None:
    hidden = sum(n for label, n in part.labels.items() if is_hidden_label(label))
    if not hidden:
        return
    where = (
        f"{listing.shown(part.path)}: sample {shortened(part.without.key if part.without else '')}"
    )
    if part.without is not None and not set(samples.LABELS) & set(part.without.endings):
        members = [shortened(ending) for ending in part.without.endings[:6]]
        if not part.labelled and "/" in part.without.key:
            raise UserError(
                f"{where}: no label (cls) in any sample, but folders. If it is an archive of class "
                f"folders and no shard, unpack it (tar -xf {shown(part.path)}) and let data.source "
                "name the folder"
            )
        raise UserError(
            f"{where}: has {members}; expected an image (png, jpg, …) and cls, whose names are "
            "alike up to the first dot, or up to these endings"
        )
    raise UserError(
        f"{where}: its label says no class (-1 or empty), as those of {hidden:,} of {part.rows:,}. "
        "Remove these, or move them into a shard of their own, such as unlabelled-000.tar"
    )


def opened(listing: Listing, path: str) -> IO[bytes]:
    """A shard as a seekable stream of a tar."""
    return unpacked(listing.open(path), path.rpartition("/")[2], listing.shown(path))


def read(listing: Listing, path: str, tally: Tally) -> Part:
    """A shard's samples and labels; no image is read. Raises UserError."""
    where = listing.shown(path)
    part = Part(path)
    with opened(listing, path) as stream:
        shard = samples.index(stream, path, where)
        for sample in shard.samples:
            label = label_of(sample, stream, where)
            found = [label] if sample.image is not None else label.tolist()
            part.blocks = part.blocks or sample.image is None
            part.rows += len(found)
            part.labels.update(found)
            if part.without is None and any(map(is_hidden_label, found)):
                part.without = sample
    for kind, count in shard.left.items():
        tally.add(kind, f"{path}: {shard.examples[kind]}", shard.images_left[kind], count)
    return part


def content(sample: Sample, ending: str, stream: IO[bytes], where: str) -> bytes:
    """A member's bytes. Raises UserError where the shard ends before them."""
    place = sample.members[ending]
    told = f"{where}: sample {shortened(sample.key)}: {ending}"
    if ending not in BLOCK:
        most = MOST_LABEL_BYTES if ending in samples.LABELS else MOST_IMAGE_BYTES
        require_bytes(place.size, most, told)
    stream.seek(place.start)
    found = read_up_to(stream, place.size)
    if len(found) != place.size:
        raise UserError(f"{told} is truncated. Fetch or pack the shard again")
    return found


def block(sample: Sample, ending: str, stream: IO[bytes], where: str) -> np.ndarray:
    """The array of a block. Raises UserError for a damaged one."""
    raw = content(sample, ending, stream, where)
    told = f"{where}: sample {shortened(sample.key)}"
    with damage_told(f"{told}: damaged block", "Write it again."):
        return array_of(raw)


def label_of(sample: Sample, stream: IO[bytes], where: str) -> Any:
    """The label that stands in a sample: an integer, a name, None where it says none; of a block
    its array of them. Raises UserError for what is no label."""
    told = f"{where}: sample {shortened(sample.key)}"
    if sample.image is None:
        return block(sample, BLOCK[1], stream, where).reshape(-1)
    named = [ending for ending in samples.LABELS if ending in sample.members]
    plain = [ending for ending in named if ending != "json"]
    if plain:
        raw = content(sample, plain[0], stream, where)
        try:
            text = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise UserError(
                f"{told}: {plain[0]} is {raw[:20]!r}; it must be a number or a name"
            ) from None
        number = text.removeprefix("-")
        if not number.isascii() or not number.isdigit():
            return text or None
        if len(number) > _DIGITS:
            raise UserError(f"{told}: label {shortened(text)}; labels count from 0")
        return int(text)
    return _json_label(content(sample, "json", stream, where), told) if named else None


def _json_label(raw: bytes, where: str) -> Any:
    with damage_told(f"{where}: json cannot be read", "Mend it."):
        found = json.loads(raw)
    named = found if isinstance(found, dict) else {}
    label = next(
        (named[name] for name in FIELDS if name in named),
        found if isinstance(found, int) else _ABSENT,
    )
    if label is None or type(label) in (int, str):
        return label
    raise UserError(
        f"{where}: json must give the class as an integer from 0 or a name in one of "
        f"{list(FIELDS[:5])}; found {str(found)[:100]}"
    )


_ABSENT = object()
