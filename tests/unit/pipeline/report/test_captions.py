"""Captions: every character is drawn by its glyph, or by its number; never as an empty box."""

import numpy as np
import pytest

from pipeline.report import captions as module
from pipeline.report.captions import captions
from pipeline.report.grids import grid

SCRIPTS = ("Žluťoučký", "Ελληνικά", "Кириллица", "قط")  # DejaVu Sans has these
PRIVATE = "\ue123"  # for private use: hardly a font has it


@pytest.fixture(autouse=True)
def no_memory():
    module._chosen.cache_clear()
    yield
    module._chosen.cache_clear()


def drawn(texts: tuple[str, ...]) -> bytes:
    found = captions(texts, 16)
    return b"".join(bytes(found.font.getmask(text)) for text in found.texts)


def test_plain_names_keep_pillow_s_own_font() -> None:
    found = captions(["cat", "dog 2"], 16)
    assert found.texts == ("cat", "dog 2") and found.font.getname()[0] == "Aileron"


def test_letters_of_other_scripts_have_their_glyphs() -> None:
    found = captions(SCRIPTS, 16)
    assert found.texts == SCRIPTS
    missing = bytes(found.font.getmask("\U0010ffff"))
    assert all(bytes(found.font.getmask(c)) != missing for text in SCRIPTS for c in text)


@pytest.mark.parametrize(("text", "number"), [(PRIVATE, r"\ue123"), ("\U0010fffd", r"\U0010fffd")])
def test_what_no_font_has_is_its_number(text: str, number: str) -> None:
    assert captions([f"a{text}b"], 16).texts == (f"a{number}b",)


def test_chinese_is_drawn_or_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """猫 and 狗 as two equal boxes would be no captions, whatever fonts this machine has."""
    assert drawn(("猫",)) != drawn(("狗",))
    monkeypatch.setattr(module, "_fonts", lambda: iter(()))  # a machine with none at all
    module._chosen.cache_clear()
    assert captions(["猫", "cat"], 16).texts == (r"\u732b", "cat")


def test_damaged_fonts_are_passed_over(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ttf").write_bytes(b"no font")
    monkeypatch.setattr(module, "_fonts", lambda: iter([str(tmp_path / "a.ttf")]))
    assert captions(["猫"], 16).texts == (r"\u732b",)


def test_long_names_are_shortened() -> None:
    assert len(captions(["x" * 200], 16).texts[0]) < 62


def test_a_grid_has_them_beside_its_rows() -> None:
    images = np.zeros((2, 28, 28, 1), np.uint8)
    sheets = [grid(images, 1, row_labels=names) for names in (("猫", "a"), ("狗", "a"))]
    assert np.asarray(sheets[0]).tobytes() != np.asarray(sheets[1]).tobytes()
