"""Which form lies in a listing, and what is left out beside it."""

from dataclasses import dataclass, field
from typing import NoReturn

from pipeline.data.survey import arrays, kinds, shards, tables, trees
from pipeline.data.survey.choices import Settings
from pipeline.data.survey.description import Description, LeftOut, Plan, Tally
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import listed, shown, split_of_file
from pipeline.errors import UserError

FORMATS = ("auto", "idx", "npz", "folder", "parquet", "webdataset")
MANIFEST = "manifest.parquet"
ALLOWED = (
    "allowed: a folder per class, .npz, .parquet, the four IDX files, WebDataset .tar shards, or a "
    "tar or zip of one of these; see data.format"
)


_REMEDIES = {
    ".npy": "write one .npz: numpy.savez('set.npz', images=x, labels=y)",
    ".arrow": "write Parquet: datasets.load_from_disk(FOLDER)['train'].to_parquet('set.parquet')",
    ".gz": "unpack them: gunzip -r FOLDER",
    ".bz2": "unpack them: bunzip2",
    ".mat": "write an .npz from scipy.io.loadmat",
    ".pkl": "write an .npz (pickles may run code)",
    ".pickle": "write an .npz (pickles may run code)",
    ".pt": "write an .npz: numpy.savez('set.npz', images=x.numpy(), labels=y.numpy())",
} | dict.fromkeys(
    (".h5", ".hdf5", ".tfrecord", ".rec", ".mdb", ".lmdb", ".db", ".sqlite"),
    "write an .npz, Parquet, or a folder of images to each class",
)


@dataclass
class Sorted:
    """The entries of a listing by what they are."""

    images: list[Entry] = field(default_factory=list)
    pictures: list[Entry] = field(default_factory=list)
    npz: list[Entry] = field(default_factory=list)
    parquet: list[Entry] = field(default_factory=list)
    webdataset: list[Entry] = field(default_factory=list)
    archives: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)


def sort(listing: Listing) -> Sorted:
    """The entries by what they are: by their names, else by their first bytes."""
    found = Sorted()
    for entry in listing.entries:
        suffix = kinds.suffix(entry.name)
        if suffix in kinds.IMAGE_SUFFIXES:
            found.images.append(entry)
        elif suffix == ".npz":
            found.npz.append(entry)
        elif suffix == ".parquet":
            (found.others if entry.name == MANIFEST else found.parquet).append(entry)
        elif kinds.is_archive_name(entry.name):
            tar = not entry.name.lower().endswith(kinds.ZIP_SUFFIXES)
            (found.webdataset if tar else found.archives).append(entry)
        elif suffix in kinds.OTHER_PICTURES:
            found.pictures.append(entry)
        elif kinds.may_be_image(entry.name) and kinds.looks_like_image(
            listing.head(entry.path, kinds.HEAD)
        ):
            found.images.append(entry)
        else:
            found.others.append(entry)
    return found


def describe(listing: Listing, settings: Settings) -> tuple[Description, Plan]:
    """One description of what a listing holds, and the plan by which it is read.

    Raises UserError for an unknown form, and where two forms lie side by side.
    """
    found = sort(listing)
    tally = Tally()
    tally.extend(listing.left)
    if not listing.entries:
        _nothing(listing, tally)
    _require_content(listing, found)
    form, chosen = _form(listing, found, settings)
    _leave(listing, form, chosen, found, tally)
    if form == "idx":
        return arrays.survey_idx(
            listing, arrays.idx_sets(listing.entries)[chosen[0]], tally, settings
        )
    if form in ("cifar", "svhn"):
        return arrays.survey_files(form, listing, chosen[0], tally, settings)
    if form == "npz":
        return arrays.survey_npz(listing, chosen[0], tally, settings)
    if form == "parquet":
        return tables.survey(listing, found.parquet, tally, settings)
    if form == "webdataset":
        return shards.survey(listing, found.webdataset, tally, settings)
    return trees.survey(listing, found.images, tally, settings)


def _nothing(listing: Listing, tally: Tally) -> NoReturn:
    if listing.lost:
        raise UserError(
            f"data.source: {shown(listing.where)}: nothing in it can be read: "
            f"{', '.join(map(str, tally.kinds()))}"
        )
    what = "an empty folder" if listing.place == "folder" else "empty"
    raise UserError(f"data.source: {shown(listing.where)} is {what} ({ALLOWED})")


def _require_content(listing: Listing, found: Sorted) -> None:
    """Raise UserError where what lies there are Git LFS pointers."""
    data = [*found.images, *found.npz, *found.parquet, *found.webdataset, *found.archives]
    data += [entry for entry in found.others if "idx" in entry.name or "batch" in entry.name]
    small = [entry for entry in data if 100 <= entry.size <= kinds.LFS_BYTES // 2]
    pointers = [e for e in small if listing.head(e.path, len(kinds.LFS)) == kinds.LFS]
    if pointers:
        raise UserError(
            f"{listing.shown(pointers[0].path)}: a Git LFS pointer, as are {len(pointers):,} of "
            f"{len(data):,} files there: their content was not fetched. Run `git lfs pull` in that "
            "repository"
        )


def _form(listing: Listing, found: Sorted, settings: Settings) -> tuple[str, list[str]]:
    """The form, and the paths or folders that it consists of (empty: all of its kind)."""
    wanted = settings.format
    sets = array_sets(listing.entries)
    if wanted == "idx" or (wanted == "auto" and sets["idx"]):
        if not sets["idx"]:
            raise UserError(
                f"{listing.where}: no IDX data; expected train-images-idx3-ubyte and "
                "train-labels-idx1-ubyte (raw or .gz)"
            )
        return "idx", [arrays.only(sets["idx"], "sets of IDX files", listing)]
    if wanted == "auto":
        for form in ("cifar", "svhn"):
            if sets[form]:
                return form, [arrays.only(sets[form], f"folders of {form} files", listing)]
    there = [form for form in ("npz", "webdataset", "parquet") if getattr(found, form)]
    if wanted == "folder" and listing.place == "file":
        raise UserError(f"{listing.where}: data.format is folder, but this is a file")
    if wanted != "auto":
        if wanted not in there and wanted != "folder":
            raise UserError(f"{listing.where}: no {wanted} files in it, as data.format asks for")
        form = wanted
    else:
        form = _only_form(listing, found, there)
    if form == "npz":
        usable = _with_images(listing, found.npz)
        if len(usable) > 1 and all(split_of_file(path) for path in usable):
            raise UserError(
                f"{listing.where}: {listed(usable)} read as splits, and one .npz is read: put them "
                "into one, as x_train, y_train, x_test and y_test (numpy.savez), or name one"
            )
        return form, [arrays.only(usable, ".npz files", listing)]
    return form, []


def array_sets(entries: list[Entry]) -> dict[str, list[str]]:
    """The sets of IDX files, and the folders of CIFAR-10's and SVHN's files, by form."""
    idx = arrays.idx_sets(entries)
    return {
        "idx": [name for name, paths in idx.items() if "train_images" in paths],
        "cifar": arrays.cifar_folders(entries),
        "svhn": arrays.svhn_folders(entries),
    }


def _with_images(listing: Listing, files: list[Entry]) -> list[str]:
    """The .npz files that hold images under the usual names, where any does."""
    paths = [entry.path for entry in files]
    if len(paths) < 2:
        return paths
    names = {pair[0] for pair in arrays.NPZ_PAIRS}
    return [path for path in paths if names & set(arrays.npz_header(listing, path))] or paths


def _only_form(listing: Listing, found: Sorted, there: list[str]) -> str:
    if found.images and len({entry.folder for entry in found.images}) > 1:
        there = [f for f in there if f != "npz" or _holds_images(listing, found.npz)]
        there.append("folder")
    if len(there) > 1:
        what = {"folder": "folders of images", "webdataset": "tar files", "npz": ".npz files"}
        raise UserError(
            f"{shown(listing.where)}: holds "
            f"{listed(what.get(f, '.parquet files') for f in there)}. "
            f"Say which is the data: data.format={there[0]} (or {', '.join(there[1:])}), or let "
            "data.source name the folder that it lies in"
        )
    if there:
        return there[0]
    if found.images and listing.place != "file":
        return "folder"
    if found.archives:
        raise UserError(
            f"data.source: {shown(listing.where)} holds {len(found.archives)} archives "
            f"({listed(e.path for e in found.archives)}): unpack them side by side, or let "
            "data.source name one"
        )
    _unknown(listing, found)


def _holds_images(listing: Listing, files: list[Entry]) -> bool:
    names = {pair[0] for pair in arrays.NPZ_PAIRS}
    return any(names & set(arrays.npz_header(listing, entry.path)) for entry in files)


def _unknown(listing: Listing, found: Sorted) -> NoReturn:
    unread = [e for e in listing.entries if e.name.lower().endswith(kinds.UNREAD_ARCHIVES)]
    hint = ""
    if unread:
        hint = f": {shown(unread[0].path)} is an archive that is not read; unpack it"
    elif found.others and (remedy := _REMEDIES.get(kinds.suffix(found.others[0].name))):
        hint = f": files such as {shown(found.others[0].path)} are not read; {remedy}"
    elif found.pictures:
        hint = (
            f": pictures such as {shown(found.pictures[0].path)} are not read; convert them to PNG"
        )
    raise UserError(f"data.source: {shown(listing.where)} has no known format{hint} ({ALLOWED})")


def _leave(listing: Listing, form: str, chosen: list[str], found: Sorted, tally: Tally) -> None:
    """Count the entries that no reader of this form takes."""
    taken = _taken(listing, form, chosen, found)
    images = {entry.path for entry in found.images}
    for entry in listing.entries:
        if entry.path in taken:
            continue
        if entry.path in images:
            tally.add(f"images beside the {form} files", entry.path, 1)
        else:
            _leave_file(entry, tally)


def left_beside(listing: Listing, archive: str) -> list[LeftOut]:
    """What lies beside the one archive that is entered, none of it an image that is read."""
    tally = Tally()
    for entry in listing.entries:
        if entry.path != archive:
            _leave_file(entry, tally)
    return tally.kinds()


def _leave_file(entry: Entry, tally: Tally) -> None:
    suffix = kinds.suffix(entry.name)
    if suffix in kinds.OTHER_PICTURES:
        tally.add(f"{suffix} files, pictures that are not read", entry.path, 1)
    else:
        tally.add(f"{suffix} files" if suffix else "files without a suffix", entry.path)


def _taken(listing: Listing, form: str, chosen: list[str], found: Sorted) -> set[str]:
    """The paths that a reader takes."""
    entries = listing.entries
    if form == "folder":
        sidecars = [e for e in entries if e.name.lower() in trees.sidecars.NAMES]
        return {entry.path for entry in (*found.images, *sidecars)}
    if form in ("parquet", "webdataset"):
        manifests = [e for e in entries if e.name == MANIFEST and form == "webdataset"]
        return {entry.path for entry in (*getattr(found, form), *manifests)}
    if form == "npz":
        return set(chosen)
    if form == "idx":
        return set(arrays.idx_sets(entries)[chosen[0]].values())
    names = arrays.file_names(form)
    return {entry.path for entry in entries if entry.folder == chosen[0] and entry.name in names}
