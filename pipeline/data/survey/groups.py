"""Containers (Parquet files, shards) by the split that their paths name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.data.survey.description import LEFT, TEST, TRAIN, Split
from pipeline.data.survey.labels import is_hidden_label
from pipeline.data.survey.listing import Entry
from pipeline.data.survey.names import spelling, split_of_file
from pipeline.data.survey.splits import Group, SplitsSetting, decide


class Container:
    """A file with images and their labels.

    Attributes:
        rows: how many images.
        labels: how many of them have which label.
    """

    rows: int
    labels: Counter[Any]

    @property
    def labelled(self) -> bool:
        """Whether any image says its class."""
        return any(not is_hidden_label(label) for label in self.labels)


@dataclass(frozen=True)
class Role:
    """The files of a split, what becomes of it and why."""

    name: str
    paths: tuple[str, ...]
    role: str
    why: str
    images: int


def by_word(
    where: str,
    files: list[Entry],
    containers: Mapping[str, Container],
    splits: SplitsSetting,
) -> list[Role]:
    """Files in groups by the word in their paths; files of a group without any label stay together.

    Raises UserError as `decide`.
    """
    found: dict[tuple[str | None, bool], list[str]] = {}
    for entry in files:
        word = split_of_file(entry.path) if len(files) > 1 else None
        container = containers[entry.path]
        told = container.labelled or not container.rows  # an empty one has nothing to tell
        found.setdefault((word, told), []).append(entry.path)
    groups = [
        Group(_name(word, paths), word, told, sum(containers[path].rows for path in paths))
        for (word, told), paths in found.items()
    ]
    roles = decide(groups, splits, where)
    made = [
        Role(group.name, tuple(paths), role, why, group.images)
        for group, paths, (role, why) in zip(groups, found.values(), roles, strict=True)
    ]
    return sorted(made, key=lambda group: (TRAIN, TEST, LEFT).index(group.role))


def described(
    roles: Sequence[Role],
    containers: Mapping[str, Container],
    classes: Sequence[str],
    numbers: Mapping[Any, int] | None,
) -> list[Split]:
    """The splits, with images by class for those that are read.

    numbers: the class of each label; None where a label is its class's number.
    """
    known = numbers or {number: number for number in range(len(classes))}
    made = []
    for group in roles:
        counts = [0] * len(classes)
        for path in group.paths:
            for label, count in containers[path].labels.items():
                if label in known:
                    counts[known[label]] += count
        by_class = () if group.role == LEFT else tuple(counts)
        made.append(Split(group.name, group.role, group.why, group.images, by_class))
    return made


def _name(word: str | None, paths: list[str]) -> str:
    """What a person calls the group: the word as the first file spells it."""
    return (word and spelling(paths[0], word)) or paths[0]
