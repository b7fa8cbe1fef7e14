"""A WebDataset shard's members, and which of them make a sample. Nothing is decoded."""

import posixpath
import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, Any

from pipeline.data.survey.bounds import require_count
from pipeline.data.survey.damage import damage_told
from pipeline.data.survey.kinds import (
    IMAGE_SUFFIXES,
    OTHER_PICTURES,
    is_any_picture_name,
)
from pipeline.data.survey.names import is_system, shortened
from pipeline.data.survey.tar_files import Place, members_of, require_whole
from pipeline.errors import UserError

_KEY = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
IMAGES = frozenset(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
_UNREAD = frozenset(suffix.removeprefix(".") for suffix in OTHER_PICTURES)
LABELS = ("cls", "class", "label", "labels", "json")
BLOCK = ("x.npy", "y.npy")
_ENDINGS = (*sorted(IMAGES | _UNREAD), *LABELS, *BLOCK, "txt", "npy", "text", "caption")


@dataclass
class Sample:
    """A sample: its key, its image's ending (None for a block, see `BLOCK`) and its members' places
    by ending, in lower case. endings: of all its members."""

    key: str
    image: str | None
    members: dict[str, Place]
    endings: tuple[str, ...]


@dataclass
class Shard:
    """A shard's samples in their order. left: members that are not read, by kind, each with an
    example and its images."""

    path: str
    samples: list[Sample]
    left: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    images_left: Counter[str] = field(default_factory=Counter)

    def leave(self, kind: str, example: str, images: int = 0) -> None:
        """Count a member that is not read."""
        self.left[kind] += 1
        self.examples.setdefault(kind, example)
        self.images_left[kind] += images


def index(stream: IO[bytes], path: str, where: str) -> Shard:
    """A shard's samples, from its headers alone; members of a sample may lie apart.

    Keys end at the name's first dot, as WebDataset has it; where that leaves images over, and fewer
    are left by the last ending that is known (keys with dots), there. Raises UserError for what
    cannot be told apart.
    """
    require_whole(stream, where)
    shard = Shard(path, [])
    members = _members(stream, shard, where)
    groups = _grouped(members, _first_dot)
    if _over(groups)[0]:
        groups = min(groups, _grouped(members, _last_ending), key=_over)
    for key, found in groups.items():
        _take(shard, key, found, where)
    return shard


Found = dict[str, list[tuple[str, Place]]]  # of a sample, by ending


def _members(stream: IO[bytes], shard: Shard, where: str) -> list[tuple[str, Place]]:
    """The plain members, links as what they lead to."""
    places: dict[str, Place] = {}
    found: list[tuple[str, Place]] = []
    with damage_told(f"{where}: truncated or damaged shard", "Fetch or pack it again."):
        for member in members_of(stream):
            require_count(len(found), "members", where)
            name = posixpath.normpath(member.name)
            if member.isdir():
                continue
            if any(is_system(part) for part in name.split("/")):
                shard.leave("members left behind by a system", name)
                continue
            place = Place(member.offset_data, member.size)
            if member.islnk() or member.issym():
                target = _target(name, member)
                if target not in places:
                    raise UserError(
                        f"{where}: {shortened(name)} is a link to {shortened(target)}, which does "
                        "not stand before it. Pack it again with what links lead to: tar "
                        "--dereference --hard-dereference -cf NEW.tar FOLDER"
                    )
                place = places[target]
            elif member.issparse():
                shard.leave("sparse members", name, int(is_any_picture_name(name)))
                continue
            elif not member.isreg():
                shard.leave("pipes, sockets and devices", name)
                continue
            places[name] = place
            found.append((name, place))
    return found


def _target(name: str, member: tarfile.TarInfo) -> str:
    base = posixpath.dirname(name) if member.issym() else ""
    return posixpath.normpath(posixpath.join(base, member.linkname))


def _first_dot(name: str) -> tuple[str, str] | None:
    match = _KEY.match(name)
    return (match[1], match[2].lower()) if match else None


def _last_ending(name: str) -> tuple[str, str] | None:
    lower = name.lower()
    ending = next((e for e in _ENDINGS if lower.endswith(f".{e}") and len(name) > len(e) + 1), None)
    if lower.endswith(tuple(f".{block}" for block in BLOCK)):
        ending = next(block for block in BLOCK if lower.endswith(f".{block}"))
    return (name[: -len(ending) - 1], ending) if ending else None


def _grouped(members: list[tuple[str, Place]], split: Any) -> dict[str, Found]:
    groups: dict[str, Found] = {}
    for name, place in members:
        found = split(name)
        key, ending = found if found else (name, "")
        groups.setdefault(key, {}).setdefault(ending, []).append((name, place))
    return groups


def _over(groups: dict[str, Found]) -> tuple[int, bool]:
    """How many images, or blocks, lie in groups that are no samples; and whether no group has an
    image, not even without a label."""
    over, imageless = 0, True
    for found in groups.values():
        image = not IMAGES.isdisjoint(found)
        imageless = imageless and not image
        if set(BLOCK) <= set(found) or (image and not found.keys().isdisjoint(LABELS)):
            continue
        for ending, members in found.items():
            if ending.rpartition(".")[2] in IMAGES or ending.endswith(BLOCK[0]):
                over += len(members)
    return over, imageless


def _take(shard: Shard, key: str, found: Found, where: str) -> None:
    """Add a group as a sample, or count it as left out."""
    images = [ending for ending in found if ending in IMAGES]
    block = set(BLOCK) <= set(found)
    used = [*BLOCK] if block else [*images, *(e for e in LABELS if e in found)]
    for ending in used:
        if len(found[ending]) > 1:
            names = ", ".join(shortened(name) for name, _ in found[ending][:2])
            raise UserError(
                f"{where}: sample {shortened(key)} has its {ending} twice ({names}), as after `tar "
                "r`. "
                "Keep one: unpack it, mend it, and pack it with tar --sort=name -cf NEW.tar FOLDER"
            )
    if len(images) > 1 and not block:
        raise UserError(
            f"{where}: sample {shortened(key)} has several images ({', '.join(sorted(images))}); "
            "which one is meant? Keep one in each sample"
        )
    for ending, members in found.items():
        if ending not in used:
            for name, _ in members:
                picture = int(ending.rpartition(".")[2] in IMAGES | _UNREAD)
                shard.leave(f"members .{shortened(ending)}", name, picture)
    if not used or (not images and not block):
        for ending in used:
            shard.leave("labels without an image", found[ending][0][0])
        return
    places = {ending: found[ending][0][1] for ending in used}
    shard.samples.append(Sample(key, None if block else images[0], places, tuple(sorted(found))))
