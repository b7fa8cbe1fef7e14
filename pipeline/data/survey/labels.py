"""Labels that stand in tables, shards and arrays: numbers from 0, or names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.data.survey.choices import Choices
from pipeline.data.survey.names import checked, listed, ordered, require_distinct, shown
from pipeline.errors import UserError

MOST_CLASSES = 100_000
# What a column or field of labels is called, in tables, beside images and in shards.
LABEL_NAMES = (
    "label", "labels", "cls", "class", "y", "class_name", "label_name", "category", "target",
)  # fmt: skip


def is_hidden_label(label: Any) -> bool:
    """Whether a label says that it is not told: -1, null or ""."""
    return label is None or label == "" or (type(label) is int and label == -1)


def kinds_of_labels(where: str, found: Iterable[Mapping[Any, int]]) -> tuple[set[str], set[int]]:
    """The labels that are names, and those that are numbers.

    Raises UserError for both at once, for numbers that are none from 0, and for anything else.
    """
    every = {label for one in found for label in one}
    text = {label for label in every if isinstance(label, str)}
    numbers = {label for label in every if type(label) is int}
    for label in every - text - numbers:
        raise UserError(
            f"{where}: label {shown(label)[:60]}; it must be an integer from 0 or a name"
        )
    if text and numbers:
        raise UserError(
            f"{where}: label {min(numbers)} beside labels that are names ({listed(sorted(text))}); "
            "use one"
        )
    for label in numbers:
        if not 0 <= label < MOST_CLASSES:
            raise UserError(f"{where}: label {label}; labels count from 0, below {MOST_CLASSES:,}")
    return text, numbers


def by_name(where: str, text: set[str], choices: Choices) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Classes whose labels are their names, and the class of each label."""
    names = ordered(checked(label, where) for label in text)
    if choices.classes:
        names = _as_set(where, names, choices.classes)
    numbers = {name: number for number, name in enumerate(names)}
    return names, {label: numbers[checked(label, where)] for label in text}


def by_given(
    where: str, given: Iterable[Any], choices: Choices
) -> tuple[tuple[str, ...], dict[Any, int] | None]:
    """Classes whose labels are numbers that the source itself names, in the order of data.classes;
    and the class of each label, None where it is its number. Raises UserError as `by_name`."""
    names = distinct(where, given)
    if not choices.classes:
        return names, None
    chosen = _as_set(where, names, choices.classes)
    numbers = {label: chosen.index(name) for label, name in enumerate(names)}
    return chosen, numbers if chosen != names else None


def _as_set(where: str, names: tuple[str, ...], classes: Sequence[str]) -> tuple[str, ...]:
    """data.classes. Raises UserError where these names are not the labels' own."""
    if set(classes) != set(names):
        raise UserError(
            f"{where}: data.classes names {listed(classes)}, and the labels are {listed(names)}; "
            "they must be the same"
        )
    return tuple(classes)


def by_number(where: str, numbers: Iterable[int], choices: Choices) -> tuple[str, ...]:
    """Classes whose labels are numbers from 0: named by data.classes, else by their numbers."""
    count = max(numbers, default=-1) + 1
    if choices.classes:
        if len(choices.classes) != count:
            raise UserError(
                f"{where}: data.classes names {len(choices.classes)} classes, and the labels are 0 "
                f"to {count - 1}: give {count} names, in the order of the labels"
            )
        return distinct(where, choices.classes)
    return tuple(str(number) for number in range(count))


def distinct(where: str, names: Iterable[Any]) -> tuple[str, ...]:
    """Names as they were given, in NFC. Raises UserError where one stands twice."""
    given = [checked(str(name), where) for name in names]
    require_distinct(given, where)
    return tuple(given)
