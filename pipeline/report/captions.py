"""Captions in any script: a font that has the glyphs, or the characters by their numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.data.survey.names import shortened

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont
else:
    Font = object

# Where systems keep fonts; what is not there is passed over.
_FOLDERS = {
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts",),
}.get(sys.platform, ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts"))
_SUFFIXES = (".ttf", ".otf", ".ttc")
_STYLES = ("bold", "italic", "oblique", "condensed", "light", "black", "thin", "mono", "serif")
_NO_CHARACTER = "\U0010ffff"  # no font has a glyph for it, so all draw their own "missing" one


class Captions(NamedTuple):
    """Texts as they are drawn, and the font that draws them."""

    texts: tuple[str, ...]
    font: Font


def captions(texts: Sequence[str], size: int) -> Captions:
    """One font for all of these texts, shortened: Pillow's own where it has every glyph, else the
    first of this machine that has, else the one that has most; what it lacks is drawn as its number
    (猫 as \\u732b).

    Args:
        texts: in any script.
        size: of the font, in pixels.
    """
    from PIL import ImageFont

    short = tuple(map(shortened, texts))
    wanted = frozenset(c for text in short for c in text if not c.isspace())
    path, lacking = _chosen(wanted)
    font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    return Captions(tuple(_escaped(text, lacking) for text in short), font)


def _escaped(text: str, lacking: frozenset[str]) -> str:
    numbers = {c: c.encode("unicode_escape").decode() for c in text if c in lacking}
    return "".join(numbers.get(c, c) for c in text)


@cache
def _chosen(wanted: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The path of a font, "" for Pillow's own, and the characters that it lacks."""
    best, lacking = "", _lacking("", wanted)
    if not lacking:
        return best, lacking
    for path in _fonts():
        less = _lacking(path, wanted)
        if len(less) < len(lacking):
            best, lacking = path, less
        if not lacking:
            break
    return best, lacking


def _lacking(path: str, wanted: Iterable[str]) -> frozenset[str]:
    """The characters for which a font has no glyph; all of them where it cannot be used."""
    from PIL import ImageFont

    try:
        font = ImageFont.truetype(path, 16) if path else ImageFont.load_default(16)
        none = bytes(font.getmask(_NO_CHARACTER))
        return frozenset(c for c in wanted if not c.isascii() and bytes(font.getmask(c)) == none)
    except (OSError, ValueError):  # of bitmaps in one size, or damaged
        return frozenset(wanted)


def _fonts() -> Iterator[str]:
    """Fonts of this machine: that which matplotlib brings, then the system's, plain ones first."""
    found = find_spec("matplotlib")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder, "mpl-data/fonts/ttf/DejaVuSans.ttf")
        if path.is_file():
            yield str(path)
    paths = [
        path
        for folder in _FOLDERS
        for path in sorted(Path(folder).expanduser().rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]
    yield from map(str, sorted(paths, key=_is_styled))


def _is_styled(path: Path) -> bool:
    return any(style in path.stem.lower() for style in _STYLES)
