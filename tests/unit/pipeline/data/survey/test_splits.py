"""One rule for splits."""

import pytest

from pipeline.data.survey.splits import Group, decide
from pipeline.errors import UserError


def became(*groups: tuple[str, bool], setting=None) -> str:
    """For each group (its name; whether it has labels) T, H or -: trained on, held out, out."""
    words = {"train", "val", "test", "unlabelled"}
    made = [Group(name, name if name in words else None, told, 5) for name, told in groups]
    return "".join(
        {"train": "T", "test": "H"}.get(role, "-") for role, _ in decide(made, setting, "x")
    )


YES, NO = True, False
THREE = [("train", YES), ("val", YES), ("test", YES)]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([("train", YES), ("test", YES)], "TH"),
        ([("train", YES), ("val", YES)], "TH"),
        ([("train", YES), ("val", YES), ("test", YES)], "T-H"),
        ([("train", YES), ("val", YES), ("test", NO)], "TH-"),
        ([("train", YES), ("test", NO)], "T-"),
        ([("train", YES)], "T"),
        ([("test", YES)], "T"),  # alone, its name means nothing
        ([("a", YES)], "T"),
        ([("a", YES), ("test", YES)], "TH"),
        ([("train", YES), ("extra", YES), ("test", YES)], "T-H"),
        ([("train", YES), ("more", YES)], "TT"),
        ([("train", YES), ("unlabelled", NO), ("test", YES)], "T-H"),
        ([("train", YES), ("unlabelled", YES), ("test", YES)], "T-H"),
    ],
)
def test_what_becomes_of_groups(groups, expected) -> None:
    assert became(*groups) == expected


@pytest.mark.parametrize(
    ("groups", "setting", "expected"),
    [
        (THREE, {"train": ["train", "val"], "test": ["test"]}, "TTH"),
        (THREE, {"train": ["train"], "test": ["val"]}, "TH-"),
        ([("a", YES), ("b", YES)], {"train": ["b"]}, "-T"),
        ([("train", YES), ("test", YES)], {}, "TT"),
        ([("train", YES), ("test", NO)], {}, "T-"),
    ],
)  # fmt: skip
def test_what_the_setting_says(groups, setting, expected) -> None:
    assert became(*groups, setting=setting) == expected


@pytest.mark.parametrize(
    ("groups", "setting", "message"),
    [
        (
            [("val", YES), ("test", YES)],
            None,
            r"val, test are names of splits, and none .*data\.splits",
        ),
        ([("train", NO), ("test", YES)], None, "x: train: no labels, so no classes"),
        ([("a", NO)], None, "x: a: no labels"),
        ([("train", YES)], {"train": ["b"]}, "data.splits names 'b'; there are train"),
        ([("train", YES), ("test", NO)], {"train": ["test"]}, "names 'test', which has no labels"),
        ([("train", YES)], {"test": ["train"]}, "names no split to train on"),
    ],
)
def test_what_contradicts_itself_names_the_setting(groups, setting, message) -> None:
    with pytest.raises(UserError, match=message):
        became(*groups, setting=setting)


def test_it_is_said_what_becomes_of_val() -> None:
    made = [Group(name, name, True, 5) for name in ("train", "val", "test")]
    assert "data.splits={train: [train, val], test: [test]}" in decide(made, None, "x")[1][1]
