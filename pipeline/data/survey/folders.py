"""Folders of images: which of them are classes, which are splits, which only wrap others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.data.survey.listing import Entry
from pipeline.data.survey.names import is_filler, listed, normal, shown, split_word
from pipeline.data.survey.splits import EXAMPLE, SplitsSetting
from pipeline.errors import UserError

_NO_CLASS = frozenset("unknown unlabelled unlabeled none all images imgs image data".split())


@dataclass
class Folder:
    """A folder that holds images, or folders that do. count: images at or below it."""

    path: str
    images: list[Entry] = field(default_factory=list)
    folders: dict[str, "Folder"] = field(default_factory=dict)
    count: int = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def inside(self) -> list["Folder"]:
        """The folders in it."""
        return list(self.folders.values())

    def names(self) -> set[str]:
        """The names, in NFC, of the folders in it."""
        return {normal(name) for name in self.folders}

    def every(self) -> list[Entry]:
        """All images at or below it, in the order of their paths."""
        found = list(self.images)
        for folder in self.folders.values():
            found += folder.every()
        return sorted(found, key=lambda entry: entry.path.split("/"))


def tree(images: Iterable[Entry]) -> Folder:
    """The folders that hold these images."""
    root = Folder("")
    for entry in images:
        folder = root
        folder.count += 1
        for part in entry.path.split("/")[:-1]:
            path = f"{folder.path}/{part}" if folder.path else part
            folder = folder.folders.setdefault(part, Folder(path))
            folder.count += 1
        folder.images.append(entry)
    return root


@dataclass(frozen=True)
class Found:
    """The folder of the classes, or of the splits.

    folder: which one. splits: the folders that are splits, each with its word (train, val, test,
    unlabelled) and the folder in it that holds its classes; empty where there are none.
    beside: folders next to the splits that are none.
    passed: loose images in the folders above.
    """

    folder: Folder
    splits: tuple[tuple[Folder, str, Folder], ...] = ()
    beside: tuple[Folder, ...] = ()
    passed: tuple[Entry, ...] = ()


def find(root: Folder, splits: SplitsSetting, classes: Sequence[str] | None, where: str) -> Found:
    """The one folder that holds data is entered, however deep, until classes or splits are there.

    Raises UserError where what was seen can be read in two ways, naming what decides.
    """
    folder, passed = root, list[Entry]()
    while True:
        if classes and folder.names() & set(classes):
            return Found(folder, passed=tuple(passed))
        found = _splits(folder, splits, where)
        if found:
            return Found(folder, found[0], found[1], tuple(passed))
        inside = folder.inside
        if len(inside) != 1 or not inside[0].folders:
            break
        passed += folder.images
        folder = inside[0]
    if not classes:
        _require_one_reading(folder, splits, where)
        _require_no_filler(folder, splits, where)
    return Found(folder, passed=tuple(passed))


def unwrapped(folder: Folder) -> Folder:
    """The folder inside that holds the classes, where folders only wrap it."""
    while len(folder.folders) == 1 and not folder.images and folder.inside[0].folders:
        folder = folder.inside[0]
    return folder


Splits = tuple[tuple[tuple[Folder, str, Folder], ...], tuple[Folder, ...]]


def _splits(folder: Folder, setting: SplitsSetting, where: str) -> Splits | None:
    """The splits among a folder's folders, and the others; None where none is one."""
    if setting is not None:
        return _named(folder, setting)
    worded = [(child, split_word(child.name)) for child in folder.inside]
    _require_one_kind([(child.name, word) for child, word in worded if word], where)
    for child, word in worded:
        if word is None or word[0] != "train":
            continue
        kin = [(other, w[0]) for other, w in worded if w is not None and w[1] == word[1]]
        held = [other for other, w in kin if w in ("val", "test")]
        if not held:
            continue
        if not child.folders:
            _require_no_split(folder, [f for f, _ in kin], where)
            continue
        beside = tuple(f for f in folder.inside if f not in [one for one, _ in kin])
        if beside:
            _require_evidence(child, held, beside, where)
        return tuple((f, w, unwrapped(f)) for f, w in kin), beside
    return None


def _require_one_kind(worded: list[tuple[str, tuple[str, tuple[str, ...]]]], where: str) -> None:
    """Raise UserError where there are two trainings splits with held-out ones of their own."""
    kinds: dict[tuple[str, ...], dict[str, str]] = {}
    for name, (word, rest) in worded:
        kinds.setdefault(rest, {})[word] = name
    pairs = [one for one in kinds.values() if "train" in one and {"val", "test"} & set(one)]
    if len(pairs) > 1:
        held = pairs[0].get("test") or pairs[0]["val"]
        raise UserError(
            f"{where}: {listed(name for name, _ in worded)} read as several sets of splits. Say "
            f"which: 'data.splits={{train: [{shown(pairs[0]['train'])}], test: [{shown(held)}]}}'"
        )


def _named(folder: Folder, setting: SplitsSetting) -> Splits | None:
    """The splits that data.splits names, where they lie here."""
    wanted = [name for names in (setting or {}).values() for name in names]
    words = {child.name: split_word(child.name) for child in folder.inside}
    named = [
        child
        for child in folder.inside
        if child.name in wanted or ((word := words[child.name]) and word[0] in wanted)
    ]
    if not wanted or not named:
        return None
    found = []
    for child in folder.inside:
        word = words[child.name]
        if child in named or word:
            found.append((child, word[0] if word else "", unwrapped(child)))
    others = tuple(f for f in folder.inside if f not in [one for one, _, _ in found])
    return tuple(found), others


def _require_no_split(folder: Folder, kin: list[Folder], where: str) -> None:
    """Raise UserError where all folders are named like splits and hold no classes."""
    if len(kin) == len(folder.inside) and not any(child.folders for child in kin):
        raise UserError(
            f"{where}: {listed(f.name for f in kin)} are names of splits, but hold no class "
            "folders. Put each class in a folder inside of them; if they are your classes, set "
            "'data.splits={}'"
        )


def _require_evidence(
    train: Folder, held: Sequence[Folder], beside: Sequence[Folder], where: str
) -> None:
    """Raise UserError unless a held-out split has the training split's classes: beside other
    folders, names alone do not tell splits from classes."""
    classes = unwrapped(train).names()
    if any((names := unwrapped(other).names()) and names <= classes for other in held):
        return
    splits = listed(f.name for f in (train, *held))
    raise UserError(
        f"{where}: {splits} read as splits, but {listed(f.name for f in beside)} lie beside them. "
        "If "
        f"these are splits, name them: 'data.splits={{train: [{shown(train.name)}], test: "
        f"[{shown(held[0].name)}]}}'; if all are classes, set 'data.splits={{}}'"
    )


def _require_one_reading(folder: Folder, splits: SplitsSetting, where: str) -> None:
    """Raise UserError where folders hold the same folders, or those of their siblings."""
    children = [child for child in folder.inside if child.folders]
    for child in children:
        among = child.names() & (folder.names() - {normal(child.name)})
        if among and splits is None:
            raise UserError(
                f"{where}: {shown(child.name)} holds {listed(sorted(among))}, which also lie "
                "beside "
                "it. Is it a split? Put its siblings into a folder train beside it. Is it a "
                "class? "
                f"'data.classes=[{listed(sorted(folder.names()))}]' says so"
            )
    nested = [child for child in children if not child.images]
    for number, child in enumerate(nested):
        for other in nested[number + 1 :]:
            common = {name for name in child.names() & other.names() if not is_filler(name)}
            if common and splits is None:
                _require_no_inner_splits(folder, common, where)
                raise UserError(
                    f"{where}: {listed(f.name for f in folder.inside)} hold the same folders "
                    f"({listed(sorted(common))}), so either can be the classes. Name the folder "
                    "that "
                    f"holds them, data.source={shown(where)}/{shown(child.path)}, or the classes, "
                    f"'data.classes=[{listed(sorted(folder.names()))}]'"
                )


def _require_no_inner_splits(folder: Folder, common: set[str], where: str) -> None:
    """Raise UserError where what the classes have in common are splits."""
    words = {name: word[0] for name in sorted(common) if (word := split_word(name))}
    if "train" in words.values() and {"val", "test"} & set(words.values()):
        first = folder.inside[0].name
        inner = next(name for name, word in words.items() if word == "train")
        raise UserError(
            f"{where}: {listed(f.name for f in folder.inside)} each hold {listed(words)}: splits "
            f"inside of classes are not read as such. Put the classes inside of the splits "
            f"({shown(inner)}/{shown(first)}, …), or 'data.splits={{}}' takes all for one split"
        )


def _require_no_filler(folder: Folder, splits: SplitsSetting, where: str) -> None:
    """Raise UserError where a folder that is called for images lies beside others: it may hold the
    images of all classes, and they masks or labels."""
    fillers = [child.name for child in folder.inside if is_filler(child.name)]
    if fillers and len(folder.folders) > 1 and splits is None:
        raise UserError(
            f"{where}: {listed(fillers)} reads as a folder of all images, and "
            f"{listed(n for n in folder.folders if n not in fillers) or 'the others'} lie beside "
            "it. If "
            f"these are classes, say so: 'data.classes=[{listed(sorted(folder.names()))}]'; if "
            "not, let data.source name the folder that holds the class folders"
        )


def is_no_class(name: str) -> bool:
    """Whether a test split's only folder says nothing of a class."""
    return name.lower() in _NO_CLASS or name.isdigit() or split_word(name) is not None


__all__ = ["EXAMPLE", "Folder", "Found", "find", "is_no_class", "tree", "unwrapped"]
