"""The survey: what form lies at a path, and one description of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.data.survey import archive_listing, kinds, shards
from pipeline.data.survey.choices import Settings
from pipeline.data.survey.description import Description, Plan
from pipeline.data.survey.forms import (
    MANIFEST,
    Sorted,
    array_sets,
    describe,
    left_beside,
    sort,
)
from pipeline.data.survey.listing import Entry, Listing, of_file, of_folder
from pipeline.data.survey.names import shown
from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.storage.atomic import TEMPORARY_PREFIX

_NESTED = 3


Wanted = Callable[[str], bool] | None


class _Room:
    """A folder for what is unpacked, made when it is asked for and gone at the end."""

    def __init__(self, ending: ExitStack) -> None:
        self._ending = ending
        self._folder: Path | None = None

    def folder(self) -> Path:
        """The folder."""
        if self._folder is None:
            cache_dir().mkdir(parents=True, exist_ok=True)
            made = TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=cache_dir())
            self._folder = Path(self._ending.enter_context(made))
        return self._folder


@dataclass
class Surveyed:
    """A source that was looked at: what lies there, and how to read it."""

    listing: Listing
    description: Description
    plan: Plan
    path: Path
    room: _Room

    def local(self) -> Path:
        """The folder in which the plan's paths lie, as plain files; an archive is unpacked to one
        that is there as long as the survey is open. Raises UserError."""
        if self.listing.place == "folder":
            return self.path
        if self.listing.place == "file":
            return self.path.parent
        plan, prefix = self.plan, f"{self.plan.root}/" if self.plan.root else ""
        wanted = [path for rows in plan.files.values() for path, _ in rows]
        wanted += [part.path for found in plan.parts.values() for part in found]
        wanted += plan.arrays.values()
        if plan.form in ("cifar", "svhn"):
            wanted += [e.path for e in self.listing.entries if e.folder == prefix.rstrip("/")]
        wanted += [e.path for e in self.listing.entries if e.name == MANIFEST]
        target = self.room.folder() / "content"
        target.mkdir()
        archive_listing.unpack(self.listing, wanted, target)
        return target


@contextmanager
def surveyed(
    path: Path, settings: Settings, where: str = "", wanted: Wanted = None
) -> Iterator[Surveyed]:
    """Look at what lies at `path`; nothing is decoded, and all that is written is gone afterwards.

    where: how messages call it, by default its path.
    wanted: which files of a folder there are, by their paths below it; None: all.
    Raises UserError for what cannot be read, or can be read in two ways, with what decides.
    """
    with ExitStack() as ending:
        room = _Room(ending)
        listing = listing_of(path, settings, wanted)
        listing.where = where or listing.where
        for depth in range(_NESTED):
            sorted_out = sort(listing)
            inner = _only_archive(listing, path, sorted_out, settings)
            if inner is None:
                break
            target = room.folder() / f"nested-{depth}"
            archive_listing.unpack(listing, [inner], target)
            outer, path = listing, target / inner
            ending.enter_context(_called(path, outer.shown(inner)))
            listing = listing_of(path, settings)
            listing.where = outer.shown(inner)
            listing.left = [*listing.left, *outer.left, *left_beside(outer, inner)]
        description, plan = describe(listing, settings)
        yield Surveyed(listing, description, plan, path, room)


@contextmanager
def _called(path: Path, where: str) -> Iterator[None]:
    """Inside it, a UserError about what was unpacked to `path` names where it lies."""
    try:
        yield
    except UserError as error:
        told = str(error).replace(str(path), where).replace(shown(path), where)
        if told == str(error):
            raise
        raise UserError(told) from error


def listing_of(path: Path, settings: Settings, wanted: Wanted = None) -> Listing:
    """The files at a path: of a folder, of an archive, or the one file. Raises UserError."""
    if path.is_dir():
        listing = of_folder(path, wanted)
        return listing if wanted is None else _with_manifests(listing, path)
    form = _archive_form(path)
    if form == "zip":
        return archive_listing.of_zip(path, settings.names_encoding)
    if form == "tar" and settings.format != "webdataset":
        listing = archive_listing.of_tar(path)
        if not holds_samples(listing):
            return listing
    return _with_manifests(of_file(path), path.parent) if form == "tar" else of_file(path)


def _with_manifests(listing: Listing, root: Path) -> Listing:
    """A listing in `root` of which only shards were asked for, and the manifests beside these."""
    beside = {entry.folder for entry in listing.entries if kinds.is_archive_name(entry.name)}
    for folder in sorted(beside and beside | {""}):
        path = f"{folder}/{MANIFEST}" if folder else MANIFEST
        if (root / path).is_file() and all(entry.path != path for entry in listing.entries):
            listing.entries.append(Entry(path, (root / path).stat().st_size))
    return listing


def _archive_form(path: Path) -> str:
    """zip or tar, by what an archive holds whatever its suffix; "" for other files.

    Raises UserError for one that is empty, a Git LFS pointer, or a page of the web."""
    if not kinds.is_archive_name(path.name):
        return ""
    with path.open("rb") as stream:
        head = stream.read(kinds.TAR_HEAD)
    if not head:
        raise UserError(f"{shown(path)}: empty (0 bytes): fetch it again")
    if head.startswith(kinds.LFS):
        raise UserError(
            f"{shown(path)}: a Git LFS pointer: its content was not fetched. Run `git lfs pull` in "
            "that repository"
        )
    if kinds.is_page(head):
        raise UserError(
            f"{shown(path)}: a page of the web (HTML) and no archive: what it was fetched from "
            "asked to log in or to confirm. Fetch it again, with a browser"
        )
    if kinds.is_zip(head):
        return "zip"
    zip_named = path.name.lower().endswith(kinds.ZIP_SUFFIXES)
    return "zip" if zip_named and not kinds.is_tar(head) else "tar"


def holds_samples(listing: Listing) -> bool:
    """Whether a tar is a WebDataset shard: it has labels, or blocks, beside the images."""
    names = {entry.path for entry in listing.entries}
    if any(name.lower().endswith((".cls", ".y.npy")) for name in names):
        return True
    for name in names:
        stem, _, ending = name.rpartition(".")
        if ending.lower() in ("json", "class", "label") and any(
            stem + image in names for image in kinds.IMAGE_SUFFIXES
        ):
            return ending.lower() != "json" or _json_has_label(listing, name)
    return False


def _json_has_label(listing: Listing, name: str) -> bool:
    import json

    try:
        found = json.loads(listing.head(name, 1 << 20))
    except (ValueError, RecursionError):
        return True  # its reader says what is wrong
    return isinstance(found, int) or (
        isinstance(found, dict) and any(f in found for f in shards.FIELDS)
    )


def lone_archive(listing: Listing, found: Sorted, settings: Settings) -> Entry | None:
    """The one archive, or tar, of a listing in which nothing else is read; None where there is
    none."""
    packed = [*found.archives, *found.webdataset]
    if found.images or found.npz or found.parquet or len(packed) != 1:
        return None
    sets = array_sets(listing.entries)
    if any(sets[form] for form in sets if settings.format in ("auto", form)):
        return None
    return packed[0]


def _only_archive(listing: Listing, path: Path, found: Sorted, settings: Settings) -> str | None:
    """The one archive that holds everything; a tar that is a shard is none."""
    entry = None if listing.place == "file" else lone_archive(listing, found, settings)
    if entry is None:
        return None
    if entry in found.archives:
        return entry.path
    if settings.format == "webdataset" or _is_shard(listing, path, entry, settings):
        return None
    return entry.path


def _is_shard(listing: Listing, path: Path, entry: Entry, settings: Settings) -> bool:
    if listing.place == "folder":
        return listing_of(path / entry.path, settings).place == "file"
    return False  # it is unpacked, and looked at again
