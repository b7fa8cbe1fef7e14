"""Containers (Parquet files, shards) by the split that their paths name."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.data.survey.description import LEFT, TEST, TRAIN
from pipeline.data.survey.listing import Entry
from pipeline.data.survey.names import spelling, split_of_file
from pipeline.data.survey.splits import Group, SplitsSetting, decide


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
    labelled: Callable[[str], bool],
    images: Callable[[str], int],
    splits: SplitsSetting,
) -> list[Role]:
    """Files in groups by the word in their paths; files of a group without any label stay together.

    Raises UserError as `decide`.
    """
    found: dict[tuple[str | None, bool], list[str]] = {}
    for entry in files:
        word = split_of_file(entry.path) if len(files) > 1 else None
        found.setdefault((word, labelled(entry.path)), []).append(entry.path)
    groups = [
        Group(_name(word, paths), word, told, sum(map(images, paths)))
        for (word, told), paths in found.items()
    ]
    roles = decide(groups, splits, where)
    made = [
        Role(group.name, tuple(paths), role, why, group.images)
        for group, paths, (role, why) in zip(groups, found.values(), roles, strict=True)
    ]
    return sorted(made, key=lambda group: (TRAIN, TEST, LEFT).index(group.role))


def _name(word: str | None, paths: list[str]) -> str:
    """What a person calls the group: the word as the first file spells it."""
    return (word and spelling(paths[0], word)) or paths[0]
