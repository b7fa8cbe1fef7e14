"""The survey of image files in folders."""

from collections.abc import Sequence

from pipeline.data.survey import folders, sidecars
from pipeline.data.survey.choices import Choices
from pipeline.data.survey.description import LEFT, TEST, TRAIN, Description, Plan, Split, Tally
from pipeline.data.survey.folders import Folder, Found
from pipeline.data.survey.kinds import IMAGE_SUFFIXES
from pipeline.data.survey.listing import Entry, Listing
from pipeline.data.survey.names import checked, listed, normal, ordered, shown, split_word
from pipeline.data.survey.splits import Group, decide
from pipeline.errors import UserError

BESIDE = "images beside the folders that are read"


Labelled = list[tuple[Entry, str]]  # images with their class's name


def survey(
    listing: Listing, images: list[Entry], tally: Tally, choices: Choices
) -> tuple[Description, Plan]:
    """Describe image files in folders, and plan how to read them.

    images: the entries that are images; tally: what is left out already.
    Raises UserError where there are no classes, or where what lies there can be read in two ways.
    """
    beside = sidecars.read(listing, {entry.path for entry in images})
    made = Description(listing.where, "folder", listing.place, [], None, "the folders' names")
    made.notes += [*listing.notes, *beside.notes]
    if beside.labels:
        made.labels = beside.source
        groups = _by_sidecar(listing, images, beside.labels, tally, choices)
    else:
        groups = _by_folder(listing, folders.tree(images), tally, choices, beside.notes)
    roles = decide([group for group, _ in groups], choices.splits, listing.where)
    read: dict[str, Labelled] = {TRAIN: [], TEST: []}
    for (_, rows), (role, _) in zip(groups, roles, strict=True):
        read.get(role, []).extend(rows)
    made.classes = _classes(listing, read, choices)
    numbers = {name: number for number, name in enumerate(made.classes)}
    for (group, rows), (role, why) in zip(groups, roles, strict=True):
        counts = [0] * len(numbers)
        for _, name in rows:
            if name in numbers:
                counts[numbers[name]] += 1
        made.splits.append(Split(group.name, role, why, group.images, tuple(counts)))
    made.splits.sort(key=lambda split: (TRAIN, TEST, LEFT).index(split.role))
    plan = Plan("folder")
    for role, rows in read.items():
        if rows or role == TRAIN:
            plan.files[role] = _in_order(rows, numbers)
    made.left_out = tally.kinds()
    return made, plan


def _in_order(rows: Labelled, numbers: dict[str, int]) -> list[tuple[str, int]]:
    """Class by class, and in each by path."""
    keyed = sorted(rows, key=lambda row: (numbers[row[1]], row[0].path.split("/")))
    return [(entry.path, numbers[name]) for entry, name in keyed]


def _classes(listing: Listing, read: dict[str, Labelled], choices: Choices) -> tuple[str, ...]:
    names = ordered(name for _, name in read[TRAIN])
    if choices.classes:
        lacking = [name for name in choices.classes if name not in names]
        if lacking:
            raise UserError(
                f"{listing.where}: data.classes names {listed(lacking)}; there are "
                f"{listed(names) or 'none of these'}"
            )
        names = tuple(choices.classes)
    for entry, name in read[TEST]:
        if name not in names:
            raise UserError(
                f"{listing.shown(entry.folder)}: class {shown(name)!r} is not in the training "
                "split; rename it, or add training images of it"
            )
    return names


def _by_sidecar(
    listing: Listing,
    images: list[Entry],
    labels: dict[str, str | None],
    tally: Tally,
    choices: Choices,
) -> list[tuple[Group, Labelled]]:
    """Splits by the folders' names, classes by what stands beside the images."""
    found = folders.find(folders.tree(images), choices.splits or {}, None, listing.where)
    tops = {f.path: _word(f) for f in found.folder.inside}
    words = [word for word in tops.values() if word]
    worded = choices.splits != {} and "train" in words and len(words) > 1
    if not found.splits and not worded:
        tops = {}
    groups: dict[str, list[Entry]] = {}
    for entry in images:
        top = next((path for path in tops if entry.path.startswith(f"{path}/")), "")
        groups.setdefault(top, []).append(entry)
    made: list[tuple[Group, Labelled]] = []
    for top, entries in groups.items():
        known = [
            (entry, checked(label, listing.shown(entry.path)))
            for entry in entries
            if (label := labels.get(entry.path)) is not None
        ]
        if known and len(known) < len(entries):
            without = next(e for e in entries if labels.get(e.path) is None)
            name = f"those without a label, such as {without.path}"
            made.append((Group(name, "unlabelled", False, len(entries) - len(known)), []))
        rows = _chosen(known, tally, choices)
        name, count = top.rpartition("/")[2], len(rows) if known else len(entries)
        made.append((Group(name, tops.get(top), bool(known), count), rows))
    return made


def _chosen(rows: Labelled, tally: Tally, choices: Choices) -> Labelled:
    """Those of the classes that are read."""
    if not choices.classes:
        return rows
    classes = set(choices.classes)
    for entry, name in rows:
        if name not in classes:
            tally.add("images of classes that data.classes leaves out", entry.path, 1)
    return [row for row in rows if row[1] in classes]


def _word(folder: Folder) -> str | None:
    word = split_word(folder.name)
    return word[0] if word else None


def _by_folder(
    listing: Listing, root: Folder, tally: Tally, choices: Choices, notes: Sequence[str]
) -> list[tuple[Group, Labelled]]:
    """Splits and classes by the folders' names. notes: of labels that are not read."""
    found = folders.find(root, choices.splits, choices.classes, listing.where)
    for entry in found.passed:
        tally.add(BESIDE, entry.path, 1)
    if not found.splits:
        _require_filled(listing, found.folder, choices)
        rows = _rows(listing, found.folder, tally, choices)
        if not rows:
            _no_classes(listing, found, notes)
        group = Group(found.folder.name, _word(found.folder), True, len(rows))
        return [(group, rows)]
    for entry in found.folder.images:
        tally.add(BESIDE, entry.path, 1)
    for folder in found.beside:
        kind = f"images in {shown(folder.path)}/, beside the splits"
        tally.add(kind, folder.every()[0].path, folder.count, folder.count)
    train = next((inner for _, word, inner in found.splits if word == "train"), None)
    known = train.names() if train else set[str]()
    made: list[tuple[Group, Labelled]] = []
    for folder, word, inner in found.splits:
        if _has_classes(inner, known):
            _require_filled(listing, inner, choices)
            rows = _rows(listing, inner, tally, choices)
            outer = [e for e in folder.every() if not e.path.startswith(f"{inner.path}/")]
            for entry in outer:
                tally.add(BESIDE, entry.path, 1)
            made.append((Group(folder.name, word or None, True, len(rows)), rows))
        else:
            made.append((Group(folder.name, word or None, False, folder.count), []))
    return made


def _has_classes(folder: Folder, known: set[str]) -> bool:
    names = folder.names()
    if not names:
        return False
    return bool(names & known) or not (len(names) == 1 and folders.is_no_class(names.pop()))


def _rows(listing: Listing, folder: Folder, tally: Tally, choices: Choices) -> Labelled:
    """The images of the folders in `folder`, each of which is a class."""
    rows: Labelled = []
    seen: dict[str, str] = {}
    for entry in folder.images:
        if folder.folders:
            tally.add(BESIDE, entry.path, 1)
    for raw, child in folder.folders.items():
        name = checked(raw, listing.shown(child.path))
        if name in seen:
            raise UserError(
                f"{listing.shown(child.path)}: the class {shown(name)!r} has two folders, whose "
                "names differ only in how their accents are written (Unicode): put them into one"
            )
        seen[name] = raw
        rows += [(entry, name) for entry in child.every()]
    return _chosen(rows, tally, choices)


def _require_filled(listing: Listing, folder: Folder, choices: Choices) -> None:
    """Raise UserError where a folder beside the classes has no file, or none that can be read;
    unless data.classes leaves it out."""
    prefix = f"{folder.path}/" if folder.path else ""
    for path in (*listing.empty, *listing.lost):
        if not path.startswith(prefix) or not folder.folders:
            continue
        child, inside, _ = path.removeprefix(prefix).partition("/")
        if child in folder.folders or (path in listing.lost and not inside):
            continue
        if choices.classes and normal(child) not in choices.classes:
            continue
        why = "no images in it" if path in listing.empty else "no images in it that can be read"
        example = "" if path in listing.empty else f", only such as {shown(path)}"
        raise UserError(
            f"{listing.shown(prefix + child)}: {why}{example} ({', '.join(IMAGE_SUFFIXES[:6])}, "
            "…); "
            "add some or remove it"
        )


def _no_classes(listing: Listing, found: Found, notes: Sequence[str]) -> None:
    if found.folder.images:
        shard = ", give each sample of a shard its .cls" if listing.place == "tar" else ""
        raise UserError(
            f"data.source: {listing.shown(found.folder.path)} holds images but no folders: put "
            f"those of each class in a folder of its own{shard}, or name their classes in a "
            "metadata.csv with the columns file_name and label" + "".join(f"; {n}" for n in notes)
        )
