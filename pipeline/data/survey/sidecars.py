"""Labels that lie beside the images: metadata.csv, metadata.jsonl, StyleGAN's dataset.json."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pipeline.data.survey.bounds import MOST_SIDECAR_BYTES
from pipeline.data.survey.damage import damage_told
from pipeline.data.survey.labels import LABEL_NAMES
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed
from pipeline.errors import UserError

FILE_FIELDS = ("file_name", "filename", "file", "image", "path")
NAMES = ("metadata.csv", "metadata.jsonl", "dataset.json")
_TABLES = (".csv", ".tsv", ".json", ".jsonl")


@dataclass
class Sidecars:
    """labels: the class's name by image path, or None where a row has none. source: which files
    say so; missing: rows whose image is not there; notes: what is not read, and why."""

    labels: dict[str, str | None] = field(default_factory=dict)
    source: str = ""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(listing: Listing, images: set[str]) -> Sidecars:
    """The labels that lie beside these images, as far as the form is a common one.

    Raises UserError for a file of such a name that cannot be read.
    """
    found = Sidecars()
    sources: list[str] = []
    others: list[str] = []
    for entry in listing.entries:
        if entry.name.lower() not in NAMES:
            if PurePosixPath(entry.name).suffix.lower() in _TABLES:
                others.append(entry.path)
            continue
        rows, column = _rows(listing, entry)
        if column is None:
            found.notes.append(f"{entry.path} holds no labels, so it is not read")
            continue
        sources.append(f"{entry.path} ({column})")
        for name, label in rows:
            path = str(PurePosixPath(entry.folder, name.replace("\\", "/")))
            if path not in images:
                found.missing.append(path)
            elif path in found.labels and found.labels[path] != label:
                raise UserError(
                    f"{listing.shown(entry.path)}: {path} has two labels, {found.labels[path]!r} "
                    f"and {label!r}; keep one"
                )
            else:
                found.labels[path] = label
    found.source = listed(sources, 3)
    if found.missing:
        found.notes.append(
            f"{len(found.missing):,} rows of {found.source} name images that are not there "
            f"({listed(found.missing, 1)})"
        )
    if not found.labels and others:
        found.notes.append(
            f"{listed(others, 3)}: labels are not read from there (they are from metadata.csv or "
            ".jsonl with file_name and label, and from StyleGAN's dataset.json)"
        )
    return found


def _rows(listing: Listing, entry: Entry) -> tuple[list[tuple[str, str | None]], str | None]:
    where = listing.shown(entry.path)
    content = listing.content(entry.path, MOST_SIDECAR_BYTES)
    with damage_told(f"{where}: cannot be read", "Mend it, or rename it to ignore it."):
        text = content.decode("utf-8-sig")
        if entry.name.lower() == "dataset.json":
            return _stylegan(text, where)
        rows = list(_csv(text) if entry.name.lower().endswith(".csv") else _jsonl(text, where))
    columns = dict.fromkeys(key for row in rows for key in row)
    file, label = (_column(columns, names) for names in (FILE_FIELDS, LABEL_NAMES))
    if file is None or label is None:
        return [], None
    return [(str(row.get(file, "")), _label(row.get(label), where)) for row in rows], label


def _column(columns: dict[str, None], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in columns), None)


def _csv(text: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(io.StringIO(text)):
        yield {str(key).strip(): value for key, value in row.items() if key is not None}


def _jsonl(text: str, where: str) -> Iterator[dict[str, Any]]:
    # Not splitlines(), which cuts at U+2028 inside of a caption too.
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                told = f"{where}: line {number} is {line.rstrip()[:60]!r}"
                raise UserError(f"{told}; each must be an object")
            yield row


def _stylegan(text: str, where: str) -> tuple[list[tuple[str, str | None]], str | None]:
    content = json.loads(text)
    labels = content.get("labels") if isinstance(content, dict) else None
    if not labels:
        return [], None
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not all(
        isinstance(p, (list, tuple)) and len(p) == 2 and isinstance(p[0], str) for p in pairs
    ):
        raise UserError(
            f"{where}: labels must be [file name, class] pairs, as StyleGAN writes them"
        )
    return [(name, _label(label, where)) for name, label in pairs], "labels"


def _label(value: Any, where: str) -> str | None:
    """A label as a class's name; None for a hidden one (-1, empty or null)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value in ("", -1, "-1"):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UserError(f"{where}: label {str(value)[:60]!r}; it must be a name or an integer")
    return str(value)
