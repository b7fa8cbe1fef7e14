"""`sgan inspect`: the survey of a source, and a few of its images, without preparing anything."""

import io
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pipeline.data import collections, fetch, formats, patterns
from pipeline.data.dataset import DataSettings
from pipeline.data.decoded import Decoded, require_usable
from pipeline.data.images import ImageCollector
from pipeline.data.survey import forms
from pipeline.data.survey.bounds import MOST_IMAGE_BYTES, require_shallow
from pipeline.data.survey.damage import DAMAGED, brief_errors
from pipeline.data.survey.description import TRAIN, Description, Tally
from pipeline.data.survey.kinds import is_archive_name
from pipeline.data.survey.listing import Entry, Listing, is_wanted, parts
from pipeline.data.survey.surveying import Surveyed, holds_samples, lone_archive, surveyed
from pipeline.data.survey.tar_files import Place, Sought, members_of, section, unpacked
from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.storage import s3
from pipeline.storage.s3_client import patiently

_PIECE = 1 << 20  # bytes that are fetched at a time: S3 takes hardly longer for them than for one
_MOST_PIECES = 32  # at a time, of an object that is read from piece to piece
SIDE, EACH = 64, 8  # of the contact sheet: pixels, and images of each class


class Contact(NamedTuple):
    """Some images of each class: uint8 [N, SIDE, SIDE, C], EACH to a class, blank where it has
    fewer; and the classes' names."""

    images: np.ndarray
    classes: tuple[str, ...]


def look(source: str, settings: DataSettings) -> Description:
    """What lies at a source. Of an S3 prefix the objects are listed, and only headers and labels
    are fetched, unless one archive holds everything. Raises UserError as `prepare` does before it
    decodes."""
    with brief_errors():
        if source.startswith("s3://") and not _is_container(source):
            listing = _of_s3(source)
            if listing.entries and not _is_packed(listing, settings):
                description = forms.describe(listing, settings)[0]
                require_usable(description, settings, source)
                return description
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
        require_usable(found.description, settings, source)
        yield found


def _is_container(source: str) -> bool:
    return is_archive_name(source) or patterns.is_pattern(source)


def _of_s3(uri: str) -> Listing:
    """The objects below a prefix."""
    bucket, key = s3.parse(uri)
    base = f"{key.strip('/')}/" if key.strip("/") else ""
    below = f"s3://{bucket}/{base}" if base else f"s3://{bucket}"
    found = {entry.key.removeprefix(base): entry for entry in s3.list_objects(below)}

    pieces: dict[str, _Pieces] = {}

    def opener(path: str) -> Any:
        kept = pieces.setdefault(path, _Pieces(bucket, found[path]))
        return io.BufferedReader(Sought(kept.size, kept.read))

    tally = Tally()
    paths = [path for path in found if path and not path.endswith("/")]
    fetch.require_inside(uri, paths)
    for path in paths:
        require_shallow(path, uri)
    entries = [Entry(path, found[path].size) for path in paths if is_wanted(path, tally)]
    entries.sort(key=lambda entry: parts(entry.path))
    return Listing(uri, "s3", entries, opener, tally.kinds())


class _Pieces:
    """What was fetched of an object, each piece once; of one that is read through, more at a time.

    Attributes:
        size: of the object in bytes.
    """

    def __init__(self, bucket: str, found: s3.S3Object) -> None:
        self._bucket, self._found, self.size = bucket, found, found.size
        cache_dir().mkdir(parents=True, exist_ok=True)
        self._kept = tempfile.TemporaryFile(dir=cache_dir())  # with holes: pieces lie far apart
        self._there: set[int] = set()
        self._end, self._ahead = 0, 1

    def read(self, at: int, count: int) -> bytes:
        """Bytes from `at` on, as many as its piece has, or `count`. Raises UserError where S3
        cannot be asked."""
        start = at - at % _PIECE
        if start not in self._there and at < self.size:
            self._ahead = min(2 * self._ahead, _MOST_PIECES) if start == self._end else 1
            until = min(start + self._ahead * _PIECE, self.size)
            self._end = min((piece for piece in self._there if piece > start), default=until)
            self._end = min(self._end, until)
            self._kept.seek(start)
            self._kept.write(self._fetched(start, self._end))
            self._there.update(range(start, self._end, _PIECE))
        self._kept.seek(at)
        return self._kept.read(max(0, min(count, start + _PIECE - at, self.size - at)))

    def _fetched(self, start: int, end: int) -> bytes:
        found, uri = self._found, f"s3://{self._bucket}/{self._found.key}"

        def ask() -> bytes:
            answer = s3.client().get_object(
                Bucket=self._bucket,
                Key=found.key,
                Range=f"bytes={start}-{end - 1}",
                IfMatch=found.etag,
            )
            content: bytes = answer["Body"].read()
            return content

        return patiently(uri, ask)


def _is_packed(listing: Listing, settings: DataSettings) -> bool:
    """Whether one archive may hold everything, which shows when it is here; a shard does not."""
    found = forms.sort(listing)
    entry = lone_archive(listing, found, settings)
    if entry is None or entry in found.archives:
        return entry is not None
    return settings.format != "webdataset" and not _is_shard(listing, entry.path)


def _is_shard(listing: Listing, path: str) -> bool:
    """Whether a tar's members are those of a shard. Raises UserError for a damaged one."""
    where = listing.shown(path)
    try:
        with listing.open(path) as stream, unpacked(stream, path, where) as content:
            places = {
                member.name: Place(member.offset_data, member.size)
                for member in members_of(content)
                if member.isfile()
            }
            entries = [Entry(name, place.size) for name, place in places.items()]

            def opener(name: str) -> Any:
                return io.BufferedReader(section(content, places[name]))

            return holds_samples(Listing(where, "tar", entries, opener))
    except DAMAGED:
        return False  # it may be a zip by another name: what it is shows when it is here


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
        for path, label in plan.files[TRAIN]:
            if of_class[label] < EACH:
                content = found.listing.content(path, MOST_IMAGE_BYTES)
                for image in _small(content, found.listing.shown(path), settings):
                    of_class[label] += 1
                    yield image, label
    elif plan.form == "parquet":
        root = found.local()
        for table in plan.parts[TRAIN]:
            for content, value, where in collections.rows(root, table):
                for image in _small(content, where, settings):
                    yield image, plan.numbers[value] if plan.numbers else value
    else:
        decoded: Decoded = formats.read(found, found.local(), settings, None)
        images, labels = decoded.train
        for start in range(0, len(labels), 256):
            rows = slice(start, start + 256)
            collector = ImageCollector(SIDE, "error")
            collector.add_rows(np.asarray(images[rows]), labels[rows], found.description.where)
            yield from zip(np.asarray(collector.stack()[0]), labels[rows].tolist(), strict=True)


def _small(content: bytes, where: str, settings: DataSettings) -> np.ndarray:
    """An encoded image as uint8 [1, SIDE, SIDE, C], or [0, …] where it is skipped."""
    collector = ImageCollector(SIDE, settings.on_bad_image)
    collector.add(content, 0, where)
    return np.asarray(collector.stack()[0])
