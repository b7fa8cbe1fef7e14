"""One rule for names."""

import unicodedata

import pytest

from pipeline.data.survey import names
from pipeline.errors import UserError


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("train", "train"), ("Training", "train"), ("train2017", "train"), ("trainImages", "train"),
        ("training_set", "train"), ("train-data", "train"), ("VAL", "val"), ("valid", "val"),
        ("validation", "val"), ("dev", "val"), ("test1", "test"), ("Testing", "test"),
        ("eval", "test"), ("t10k", "test"), ("held_out", "val"), ("unlabeled", "unlabelled"),
        ("trainer", None), ("contest", None), ("cat", None), ("train test", None), ("", None),
        ("valley", None), ("latest", None), ("教育", None),
    ],
)  # fmt: skip
def test_words_that_could_name_a_split(name: str, word: str | None) -> None:
    found = names.split_word(name)
    assert (found[0] if found else None) == word


def test_what_else_a_name_says_belongs_to_it() -> None:
    assert names.split_word("seg_train") == ("train", ("seg",))
    assert names.split_word("train station") == ("train", ("station",))


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00001.parquet", "train"),
        ("default/test/0000.parquet", "test"),
        ("test-set/train-000.tar", "train"),
        ("pets-validation.000.tar", "val"),
        ("pets/000.tar", None),
        ("latest/000.tar", None),
    ],
)
def test_a_file_s_split_is_that_of_the_deepest_part_that_names_one(path, split) -> None:
    assert names.split_of_file(path) == split


def test_numbers_are_in_the_order_of_numbers() -> None:
    assert names.ordered(["10", "9", "1", "2"]) == ("1", "2", "9", "10")
    assert names.ordered(["10", "9", "a"]) == ("10", "9", "a")
    assert names.ordered(["b", "a", "b"]) == ("a", "b")
    assert names.ordered(["٣", "2"]) == ("2", "٣")  # a digit, but not of ours


@pytest.mark.parametrize(
    ("name", "message"),
    [("caf\udce9", r"'caf\\xe9', is not UTF-8.*rename"), (" ", "empty name"), ("a\nb", "control")],
)
def test_names_that_no_page_can_hold(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        names.checked(name, f"/data/{name}")
    assert str(raised.value).isprintable()


def test_names_are_kept_in_one_form() -> None:
    assert names.checked(unicodedata.normalize("NFD", "é"), "x") == "é"


def test_doubled_names_and_those_that_differ_in_case() -> None:
    names.require_distinct(["a", "A"], "x")
    with pytest.raises(UserError, match=r"x: the class name 'a' stands twice, for 0 and 2"):
        names.require_distinct(["a", "b", "a"], "x")
    assert names.alike(["Cat", "cat", "dog", "ｄｏｇ", "eel"]) == [
        ("Cat", "cat"),
        ("dog", "ｄｏｇ"),
    ]


def test_what_systems_leave_behind() -> None:
    for name in (".DS_Store", "._1.png", "__MACOSX", "Thumbs.db", "@eaDir", "lost+found", "~$a"):
        assert names.is_system(name), name
    assert not any(map(names.is_system, ("cat", "lost", "#1.png", "@home")))


def test_lists_and_long_names_are_cut() -> None:
    assert names.listed("abcdefgh") == "a, b, c, d, e, f and 2 more"
    long = names.shortened("x" * 100)
    assert len(long) == 57 and "…" in long
    assert names.spelling("data/validation-0.parquet", "val") == "validation"
    assert names.spelling("data/0.parquet", "val") is None


def test_names_that_differ_in_blanks_only_are_told() -> None:
    assert names.alike(["cat", "cat ", "c at", "dog"]) == [("cat", "cat ", "c at")]


def test_names_of_nothing_but_images() -> None:
    assert names.is_filler("Images") and not names.is_filler("cat images")
