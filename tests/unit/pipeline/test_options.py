"""What subcommands share: labels, levels, seeds, files to write."""

import argparse
import re
from pathlib import Path

import pytest

from pipeline import options
from pipeline.errors import UserError
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack

ANIMALS = ("cat", "Dog", "2")


@pytest.mark.parametrize(
    ("text", "label"), [("cat", 0), ("dog", 1), ("DOG", 1), ("1", 1), ("2", 2), ("0", 0)]
)
def test_a_label_is_a_name_or_a_number(text: str, label: int) -> None:
    assert options.label_of(text, ANIMALS) == label


def test_a_name_wins_over_a_number() -> None:
    assert options.label_of("1", ("7", "3", "1")) == 2


@pytest.mark.parametrize("text", ["3", "-1", "bird", "", "1.0"])
def test_other_labels_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UserError, match="must be 0 to 2, or one of cat, Dog, 2"):
        options.label_of(text, ANIMALS)


def test_numbered_classes_are_not_listed_twice() -> None:
    with pytest.raises(UserError) as error:
        options.label_of("11", tuple("0123456789"))
    assert str(error.value) == "--label 11: must be 0 to 9"


def test_levels_are_those_of_the_stack() -> None:
    level = LevelConfig(z_dim=4)
    stack = Stack(StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (level, level)))
    assert [options.level_of(i, stack) for i in (0, 1)] == [0, 1]
    with pytest.raises(UserError, match="--level 2: must be one of 0, 1; this stack has 2 in all"):
        options.level_of(2, stack)
    with pytest.raises(UserError, match="--level 0: must be one of 1; "):
        options.level_of(0, stack, lowest=1)
    with pytest.raises(UserError, match="--level 1: there is none to choose"):
        options.level_of(1, stack, lowest=2)


def test_without_a_seed_each_call_has_a_new_one() -> None:
    none = argparse.Namespace(seed=None)
    assert len({options.seed_of(none) for _ in range(5)}) == 5
    assert options.seed_of(argparse.Namespace(seed=7)) == 7
    for seed in (-1, 2**31):
        with pytest.raises(UserError, match=f"--seed {seed}: must be 0 to 2147483647"):
            options.seed_of(argparse.Namespace(seed=seed))


def test_what_will_be_written_is_checked_before_any_work() -> None:
    assert options.ends_in("out", Path("a.PNG"), ".png") == Path("a.PNG")
    with pytest.raises(UserError, match=r"--out a\.jpg: must end in \.png"):
        options.ends_in("out", Path("a.jpg"), ".png")
    assert options.at_least("n", 1, 1) == 1
    with pytest.raises(UserError, match="--n 0: must be at least 1"):
        options.at_least("n", 0, 1)


def test_noise_by_level() -> None:
    dims = {0: 2, 1: 3}
    assert options.noise_of([["1", ".5,0,1"]], dims) == {1: [0.5, 0, 1]}
    for name, text, message in (
        ("2", "1", "--z 2: must be one of 0, 1"),
        ("0", "1", "--z 0: 1 numbers; z_0 of this stack has 2"),
        ("0", "1,x", "--z 0: could not convert string to float: 'x'"),
        ("0", "0,1.5", "--z 0: 1.5: must be 0 to 1"),
        ("0", "0,nan", "--z 0: nan: must be 0 to 1"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            options.noise_of([[name, text]], dims)
