"""`sgan inspect`: the survey of a source, and a few of its images, without preparing anything."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.data import collections, fetch, formats, patterns
from pipeline.data.dataset import DataSettings
from pipeline.data.images import ImageCollector
from pipeline.data.survey import forms
from pipeline.data.survey.bounds import MOST_IMAGE_BYTES, require_shallow
from pipeline.data.survey.damage import brief_errors
from pipeline.data.survey.description import TRAIN, Description
from pipeline.data.survey.listing import Entry, Listing, parts
from pipeline.data.survey.surveying import Surveyed, surveyed
from pipeline.errors import UserError
from pipeline.storage import s3

if TYPE_CHECKING:
    from pipeline.data.decoded import Decoded

_IN_MEMORY = 64 << 20  # bytes of an object that are held while it is looked at
SIDE, EACH = 64, 8  # of the contact sheet: pixels, and images of each class


class Contact(NamedTuple):
    """Some images of each class: uint8 [N, SIDE, SIDE, C], EACH to a class, blank where it has
    fewer; and the classes' names."""

    images: np.ndarray
    classes: tuple[str, ...]


def look(source: str, settings: DataSettings) -> Description:
    """What lies at a source. Of an S3 prefix the objects are listed, and only those are fetched
    whose headers or labels are asked for. Raises UserError as `prepare` does."""
    with brief_errors():
        if source.startswith("s3://") and not _is_container(source):
            listing = _of_s3(source)
            if listing.entries:
                return forms.describe(listing, settings)[0]
        with _opened(source, settings) as found:
            return found.description


def look_closely(source: str, settings: DataSettings) -> tuple[Description, Contact]:
    """As `look`, and the first images of each class, cropped to squares."""
    with brief_errors(), _opened(source, settings) as found:
        return found.description, _contact(found, settings)


@contextmanager
def _opened(source: str, settings: DataSettings) -> Iterator[Surveyed]:
    path = fetch.localise(source)
    with (
        fetch.addressed(source, path),
        surveyed(path, settings, source, patterns.wanted(source)) as found,
    ):
        yield found


def _is_container(source: str) -> bool:
    return forms.kinds.is_archive_name(source) or patterns.is_pattern(source)


def _of_s3(uri: str) -> Listing:
    """The objects below a prefix."""
    bucket, key = s3.parse(uri)
    base = f"{key.strip('/')}/" if key.strip("/") else ""
    below = f"s3://{bucket}/{base}" if base else f"s3://{bucket}"
    found = {entry.key.removeprefix(base): entry for entry in s3.list_objects(below)}

    def opener(path: str) -> Any:
        target = tempfile.SpooledTemporaryFile(_IN_MEMORY)
        with s3.open_stream(f"s3://{bucket}/{found[path].key}") as stream:
            while piece := stream.read(1 << 20):
                target.write(piece)
        target.seek(0)
        return target

    for path in found:
        require_shallow(path, uri)
    entries = [Entry(path, e.size) for path, e in found.items() if path and not path.endswith("/")]
    return Listing(uri, "s3", sorted(entries, key=lambda e: parts(e.path)), opener)


def _contact(found: Surveyed, settings: DataSettings) -> Contact:
    names = found.description.classes
    picked: dict[int, list[np.ndarray]] = defaultdict(list)
    for image, label in _rows(found, settings):
        if len(picked[label]) < EACH:
            picked[label].append(image)
        if names is not None and all(len(picked[n]) >= EACH for n in range(len(names))):
            break
    classes = names or tuple(str(n) for n in range(max(picked, default=-1) + 1))
    depth = max((image.shape[2] for one in picked.values() for image in one), default=1)
    sheet = np.full((len(classes) * EACH, SIDE, SIDE, depth), 255, np.uint8)
    for label in range(len(classes)):
        for column, image in enumerate(picked[label]):
            sheet[label * EACH + column] = image
    if not len(sheet):
        raise UserError(f"{found.description.where}: no image to show")
    return Contact(sheet, classes)


def _rows(found: Surveyed, settings: DataSettings) -> Iterator[tuple[np.ndarray, int]]:
    """Images uint8 [SIDE, SIDE, C] with their labels, as few as the form lets be decoded."""
    plan = found.plan
    if plan.form == "folder":
        of_class: dict[int, int] = defaultdict(int)
        kept = []
        for path, label in plan.files[TRAIN]:
            of_class[label] += 1
            kept += [(path, label)] if of_class[label] <= EACH else []
        for path, label in kept:
            content = found.listing.content(path, MOST_IMAGE_BYTES)
            yield _small(content, found.listing.shown(path)), label
    elif plan.form == "parquet":
        root = found.local()
        for table in plan.parts[TRAIN]:
            for content, value, where in collections.rows(root, table):
                yield _small(content, where), plan.numbers[value] if plan.numbers else value
    else:
        decoded: Decoded = formats.read(found, found.local(), settings, None)
        images, labels = decoded.train
        for start in range(0, len(labels), 256):
            rows = slice(start, start + 256)
            collector = ImageCollector(SIDE, "error")
            collector.add_rows(np.asarray(images[rows]), labels[rows], found.description.where)
            yield from zip(np.asarray(collector.stack()[0]), labels[rows].tolist(), strict=True)


def _small(content: bytes, where: str) -> np.ndarray:
    collector = ImageCollector(SIDE, "error")
    collector.add(content, 0, where)
    return np.asarray(collector.stack()[0])[0]
