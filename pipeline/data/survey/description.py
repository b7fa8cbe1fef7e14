"""What a survey found, in plain words and numbers, and what the readers have to do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.data.survey.names import alike, listed, shortened

TRAIN, TEST, LEFT = "train", "test", "left out"
_ROLES = {TRAIN: "trained on", TEST: "held out", LEFT: "left out"}
_MOST_KINDS = 12  # of what is not read, that are told apart


@dataclass(frozen=True)
class LeftOut:
    """What is not read: its kind, how many files, an example, and how many of them are images
    (or rows, or samples)."""

    kind: str
    count: int
    example: str
    images: int = 0

    def __str__(self) -> str:
        return f"{self.count:,} {self.kind} ({shortened(self.example)})"


@dataclass(frozen=True)
class Split:
    """A split of the source: its name there, what becomes of it and why, and its images; -1 where
    only decoding tells. counts: images by class."""

    name: str
    role: str
    why: str
    images: int
    counts: tuple[int, ...] = ()


@dataclass
class Description:
    """What lies at a source.

    Attributes:
        where: the source as the person named it.
        form: folder, idx, npz, parquet, webdataset, cifar or svhn.
        place: folder, zip, tar, file or s3.
        splits: in the order train, held out, left out.
        classes: their names by label; None where only decoding tells.
        labels: where the labels come from.
        left_out: what is not read, by kind.
        notes: what else a person should know, a sentence each.
    """

    where: str
    form: str
    place: str
    splits: list[Split]
    classes: tuple[str, ...] | None
    labels: str
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def images(self, *roles: str) -> int | None:
        """Images of the splits of these roles; None where only decoding tells."""
        found = [split.images for split in self.splits if split.role in roles]
        return None if any(count < 0 for count in found) else sum(found)

    @property
    def read(self) -> int | None:
        """Images that are read; None where only decoding tells."""
        return self.images(TRAIN, TEST)

    @property
    def not_read(self) -> int:
        """Images that are there and named as left out, as far as they are counted."""
        return (self.images(LEFT) or 0) + sum(left.images for left in self.left_out)

    @property
    def held_out(self) -> bool:
        """Whether the source has a test split of its own."""
        return any(split.role == TEST for split in self.splits)

    def as_dict(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {
            "source": self.where,
            "form": self.form,
            "place": self.place,
            "classes": list(self.classes) if self.classes is not None else None,
            "labels": self.labels,
            "splits": [
                {
                    "name": split.name,
                    "role": split.role,
                    "why": split.why,
                    "images": split.images if split.images >= 0 else None,
                    "by_class": list(split.counts),
                }
                for split in self.splits
            ],
            "images_read": self.read,
            "images_left_out": self.not_read,
            "left_out": [
                {"kind": o.kind, "count": o.count, "images": o.images, "example": o.example}
                for o in self.left_out
            ],
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """The description in a few lines."""
        made = [f"{self.form} ({self.place}) {self.where}: labels from {self.labels}"]
        if self.classes is not None:
            made.append(f"{len(self.classes)} classes: {self._classes()}")
        made.append(f"splits: {'; '.join(map(_told, self.splits))}")
        if not self.held_out:
            made[-1] += "; no test split, so data.test_fraction of each class is held out"
        if self.left_out:
            total = sum(left.count for left in self.left_out)
            files = "file" if total == 1 else "files"
            made.append(f"not read: {total:,} {files}: {', '.join(map(str, self.left_out))}")
        made += self.notes
        for names in alike(self.classes or ()):
            made.append(f"classes {listed(map(repr, names))} differ in case, form or blanks only")
        return made

    def _classes(self) -> str:
        assert self.classes is not None
        totals = [0] * len(self.classes)
        for split in self.splits:
            if split.role != LEFT and len(split.counts) == len(totals):
                totals = [a + b for a, b in zip(totals, split.counts, strict=True)]
        if not any(totals):
            return listed(self.classes, 12)
        pairs = zip(self.classes, totals, strict=True)
        return listed((f"{name} {count:,}" for name, count in pairs), 12)


def _told(split: Split) -> str:
    count = f"{split.images:,} images" if split.images >= 0 else "its images"
    return f"{split.name or 'all'}: {count} {_ROLES[split.role]} ({split.why})"


class Tally:
    """Counts what is left out, by kind, with the first example of each."""

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def add(self, kind: str, example: str, images: int = 0, count: int = 1) -> None:
        """`count` files of a kind, of which `images` are images."""
        one = self._found.setdefault(kind, [0, example, 0])
        one[0] += count
        one[2] += images

    def extend(self, others: Iterable[LeftOut]) -> None:
        """Add what another tally found."""
        for other in others:
            self.add(other.kind, other.example, other.images, other.count)

    def kinds(self) -> list[LeftOut]:
        """All, the largest first; where there are many, the smallest as one kind."""
        made = [LeftOut(kind, n, example, i) for kind, (n, example, i) in self._found.items()]
        made.sort(key=lambda left: -left.count)
        rest = made[_MOST_KINDS - 1 :]
        if len(rest) > 1:
            counts = sum(left.count for left in rest), sum(left.images for left in rest)
            told = f"of {len(rest):,} other kinds"
            made[_MOST_KINDS - 1 :] = [LeftOut(told, counts[0], rest[0].example, counts[1])]
        return made


@dataclass
class Plan:
    """What a reader has to read. Paths are relative to the listing's root.

    files: image files with their labels, by split (train, test), in the readers' order.
    parts: containers by split (Parquet files, shards), each with what its reader needs.
    arrays: paths by array name (IDX), or the one file under "file".
    numbers: class by the label that stands in the data, where these differ.
    """

    form: str
    root: str = ""
    files: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    parts: dict[str, list[Any]] = field(default_factory=dict)
    arrays: dict[str, str] = field(default_factory=dict)
    numbers: dict[Any, int] | None = None
