"""The survey of Parquet files: their footers, and their columns of labels."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.data.survey.bounds import require_count
from pipeline.data.survey.choices import Choices
from pipeline.data.survey.damage import damage_told
from pipeline.data.survey.description import TEST, TRAIN, Description, Plan, Tally
from pipeline.data.survey.groups import Container, by_word, described
from pipeline.data.survey.labels import (
    LABEL_NAMES,
    by_given,
    by_name,
    by_number,
    is_hidden_label,
    kinds_of_labels,
)
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed
from pipeline.errors import UserError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

IMAGE_COLUMNS = ("image", "img", "images", "x", "png", "jpg", "jpeg")


@dataclass
class Table(Container):
    """A Parquet file: its path, its columns of images and of labels, the names that the schema
    gives to integer labels, and how many rows have which label."""

    path: str
    image: str
    label: str
    names: tuple[str, ...] | None
    rows: int
    labels: Counter[Any] = field(default_factory=Counter)


def survey(
    listing: Listing, files: list[Entry], tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe Parquet files, and plan how to read them.

    Raises UserError for damaged files, missing columns, and labels that contradict one another.
    """
    tables = {entry.path: read(listing, entry.path) for entry in files}
    if not any(table.labelled for table in tables.values()):
        _require_shown(listing, list(tables.values()))
    groups = by_word(listing.where, files, tables, choices.splits)
    read_by: dict[str, list[Table]] = {TRAIN: [], TEST: []}
    for group in groups:
        read_by.get(group.role, []).extend(tables[path] for path in group.paths)
    used = [table for one in read_by.values() for table in one]
    made = Description(listing.where, "parquet", listing.place, [], None, "")
    made.notes += listing.notes
    plan = Plan("parquet")
    found = Counter[Any]()
    for table in read_by[TRAIN]:
        found.update(table.labels)
    made.classes, plan.numbers = classes(listing, used, found, choices)
    made.labels = f"column {used[0].label}" + (
        ", named by the schema" if used[0].names is not None else ""
    )
    made.splits += described(groups, tables, made.classes, plan.numbers)
    plan.parts = {role: list(found) for role, found in read_by.items() if found or role == TRAIN}
    made.left_out = tally.kinds()
    return made, plan


def classes(
    listing: Listing, tables: list[Table], found: Counter[Any], choices: Choices
) -> tuple[tuple[str, ...], dict[Any, int] | None]:
    """The classes' names, and the class of each label where labels are not its number.

    found: the labels that are trained on.
    """
    _require_shown(listing, tables)
    named = {table.names for table in tables}
    if len(named) > 1:
        raise UserError(
            f"{listing.where}: the schemas of {listed(t.path for t in tables)} name different "
            "classes; write them with the same ClassLabel, or remove the names"
        )
    text, _ = kinds_of_labels(listing.where, [table.labels for table in tables])
    if text:
        return by_name(listing.where, text, choices)
    known = named.pop() if named else None
    if known is None:
        return by_number(listing.where, found, choices), None
    names, given = by_given(listing.where, known, choices)
    beyond = [label for table in tables for label in table.labels if label >= len(names)]
    if beyond:
        raise UserError(
            f"{listing.where}: label {min(beyond)}, and the schema names {len(names)} classes, "
            "from 0: name all of them there, or mend the label"
        )
    return names, given


def _require_shown(listing: Listing, tables: list[Table]) -> None:
    """Raise UserError where a row's label says no class."""
    for table in tables:
        for label, count in table.labels.items():
            if is_hidden_label(label):
                raise UserError(
                    f"{listing.shown(table.path)}: {count:,} of {table.rows:,} rows have the label "
                    f"{label!r}, which says no class; labels count from 0. Remove these rows, or "
                    "move "
                    "them into a file of their own, such as unlabelled.parquet, which is left out"
                )


def read(listing: Listing, path: str) -> Table:
    """A file's footer and its labels; no image is read. Raises UserError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = listing.shown(path)
    with damage_told(
        f"{where}: truncated or damaged Parquet", "Write it again.", pa.ArrowException
    ):
        with listing.open(path) as stream, pq.ParquetFile(stream) as file:
            require_count(file.metadata.num_rows, "rows", where)
            table = columns(file, where)
            for batch in file.iter_batches(columns=[table.label], use_threads=False):
                column = batch.column(0)
                if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
                    raise UserError(
                        f"{where}: {table.label} is of type {column.type}; it must hold an integer "
                        "or a name for each row"
                    )
                table.labels.update(column.to_pylist())
    table.path = path
    return table


def columns(file: "pq.ParquetFile", where: str) -> Table:
    """The columns of images and of labels: as the schema's features say, else by their names."""
    names = file.schema_arrow.names
    features = _features(file.schema_arrow.metadata or {})
    images = [n for n in names if features.get(n, {}).get("_type") == "Image"]
    labels = [n for n in names if features.get(n, {}).get("_type") == "ClassLabel"]
    image = images[0] if len(images) == 1 else _first(IMAGE_COLUMNS, names)
    label = labels[0] if len(labels) == 1 else _first(LABEL_NAMES, names)
    if image is None or label is None:
        remedy = "Rename yours"
        if image is not None and "=" in where.rpartition("/")[0].rpartition("/")[2]:
            remedy = (
                "A label in a folder's name (Hive's partitions) is not read: write one file, with "
                "pyarrow.parquet.read_table(FOLDER)"
            )
        raise UserError(
            f"{where}: columns {names[:20]}; expected one of {list(IMAGE_COLUMNS)} with encoded "
            f"images and one of {list(LABEL_NAMES)} with labels. {remedy}"
        )
    known = features.get(label, {}).get("names")
    if isinstance(known, dict):  # as older writers have it, by number
        known = [known[key] for key in sorted(known, key=int)]
    named = tuple(map(str, known)) if isinstance(known, list) else None
    return Table("", image, label, named, file.metadata.num_rows)


def _first(known: tuple[str, ...], names: list[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), None)


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """The features that `datasets` writes into a schema, by column; {} where there are none."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return (
        {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
    )
