"""One rule for names: how they are compared, ordered, shown, and which of them mean a split."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.errors import UserError

_SPLITS = {
    "train": "train training trn trainset trainval learn learning",
    "val": "val valid validation validate validating dev devel development valset heldout holdout",
    "test": "test tests testing tst testset eval evaluation evaluate t10k",
    "unlabelled": "unlabelled unlabeled unsup unsupervised unlabel nolabel nolabels",
}
_IMAGES = frozenset("images image imgs img pictures picture pics photos photo".split())
_WORDS = {word: split for split, words in _SPLITS.items() for word in words.split()}
_FILLERS = frozenset(
    "set sets split splits data dataset image images img imgs picture pictures photo photos part "
    "parts sample samples of the raw full".split()
)
_SYSTEM = frozenset(
    name.casefold()
    for name in (
        "__MACOSX,@eaDir,#recycle,#snapshot,$RECYCLE.BIN,RECYCLER,System Volume Information,"
        "lost+found,Network Trash Folder,Temporary Items,Thumbs.db,ehthumbs.db,desktop.ini,Icon\r,"
        "__pycache__,CVS,@Recycle,@Recently-Snapshot,~snapshot,.snapshot,Picasa.ini,SyncToy"
    ).split(",")
)
_SHOWN = 60
MOST_NAME_BYTES = 255


def is_system(name: str) -> bool:
    """Whether systems leave such a file or folder behind: dot files, `__MACOSX`, NAS thumbnails,
    recycle bins, lost+found."""
    return name.startswith((".", "~$", "__MACOSX")) or name.casefold() in _SYSTEM


def shown(name: object) -> str:
    """A name or path as one line that a terminal, a page and JSON can hold."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    text = re.sub(r"\\udc([0-9a-f]{2})", r"\\x\1", text)
    if text.isprintable():  # as nearly every name is
        return text
    return "".join(c if c.isprintable() or c == " " else repr(c)[1:-1] for c in text)


def listed(names: Iterable[object], most: int = 6) -> str:
    """The first names, with commas, and how many more there are."""
    every = [shortened(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def shortened(name: object) -> str:
    """A name as `shown`, with its middle left out where it is long."""
    text = shown(name)
    return text if len(text) <= _SHOWN else f"{text[:28]}…{text[-28:]}"


def normal(name: str) -> str:
    """The form (NFC) in which names are compared and kept."""
    return unicodedata.normalize("NFC", name)


def checked(name: str, where: str) -> str:
    """A class's name in NFC.

    Raises UserError, naming `where`, for what is not UTF-8, is empty or holds control characters.
    """
    if any("\ud800" <= c <= "\udfff" for c in name):
        raise UserError(
            f"{shown(where)}: this class's name, '{shown(name)}', is not UTF-8, so no page or file "
            "of results can hold it: rename it (convmv -f latin1 -t utf8 does whole folders)"
        )
    if not name.strip():
        raise UserError(f"{shown(where)}: a class has an empty name; give it one")
    if len(name.encode()) > MOST_NAME_BYTES:
        raise UserError(
            f"{shown(where)}: the class '{shortened(name)}' has a name of {len(name.encode()):,} "
            f"bytes; a file's name holds {MOST_NAME_BYTES}. Shorten it"
        )
    if not name.isprintable() and any(unicodedata.category(c) == "Cc" for c in name):
        raise UserError(
            f"{shown(where)}: the class '{shortened(name)}' has control characters: rename it"
        )
    return normal(name)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their classes: by number where all are numbers, else by text."""
    every = sorted(set(names))
    if all(name.isascii() and name.isdigit() for name in every):
        every.sort(key=lambda name: (int(name), name))
    return tuple(every)


def require_distinct(names: Sequence[str], where: str) -> None:
    """Raise UserError where a name stands twice."""
    for number, name in enumerate(names):
        if name in names[:number]:
            first = names.index(name)
            raise UserError(
                f"{where}: the class name {shown(name)!r} stands twice, for {first} and {number}; "
                "give each class a name of its own, such as "
                f"{shown(name)!r} and {shown(name) + ' 2'!r}"
            )


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that differ only in case, form (NFKC) or blanks: a request may be
    ambiguous."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        groups["".join(folded.split())].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def split_word(name: str) -> tuple[str, tuple[str, ...]] | None:
    """(train, val, test or unlabelled; the other words) of a name that could be a split's.

    `train`, `Training`, `train2017`, `seg_train` and `trainImages` could; `trainer` could not.
    Whether it is one, its siblings decide.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"t10k|[^\W\d_]+", spaced.lower().replace("held_out", "heldout"))
    found = [word for word in words if word in _WORDS]
    if len(found) != 1:
        return None
    rest = tuple(word for word in words if word != found[0] and word not in _FILLERS)
    return _WORDS[found[0]], rest


def is_filler(name: str) -> bool:
    """Whether a folder's name says only that images lie in it: images, img, pictures, photos."""
    return name.casefold() in _IMAGES


def split_of_file(path: str) -> str | None:
    """The split of a file by its path: of the deepest part with a word that names one."""
    *folders, name = path.split("/")
    for part in (name.split(".")[0], *reversed(folders)):
        words = re.findall(r"t10k|[^\W\d_]+", part.lower().replace("held_out", "heldout"))
        found = {_WORDS[word] for word in words if word in _WORDS}
        if len(found) == 1:
            return found.pop()
    return None


def spelling(path: str, split: str) -> str | None:
    """The word of a path that names this split, as it stands there."""
    *folders, name = path.split("/")
    for part in (name.split(".")[0], *reversed(folders)):
        for word in re.findall(r"t10k|[^\W\d_]+", part.lower().replace("held_out", "heldout")):
            if _WORDS.get(word) == split:
                return str(word)
    return None
