"""One section against its dataclass: strict types, and words that say what is allowed."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from pipeline.params.sections import check, describe, unknown_key


@dataclass(frozen=True)
class Section:
    """One field of each kind."""

    count: int = 1
    rate: float = 0.5
    names: tuple[str, ...] = ()
    steps: tuple[tuple[float, int], ...] | None = None
    kind: Literal["a", "b"] | None = None
    on: bool = False


def test_what_is_left_out_takes_its_default_and_lists_become_tuples() -> None:
    values = {"rate": 1, "names": ["x"], "steps": [[0.5, 2], [0, 1]]}
    assert check(Section, values, "section") == (
        Section(rate=1.0, names=("x",), steps=((0.5, 2), (0.0, 1))),
        [],
    )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"count": True}, "s.count = true: must be an integer"),
        ({"count": "1"}, "s.count = '1': must be an integer"),
        ({"count": 1.5}, "s.count = 1.5: must be an integer"),
        ({"rate": float("inf")}, "s.rate = inf: must be a finite number"),
        ({"on": 1}, "s.on = 1: must be true or false"),
        ({"names": "x"}, "s.names = 'x': must be a list of names"),
        ({"kind": "c"}, "s.kind = 'c': must be 'a', 'b' or null"),
        ({"cuont": 1}, "s.cuont: unknown key; did you mean 'count'? allowed: count, rate, names, "
         "steps, kind, on"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line(values: dict[str, Any], line: str) -> None:
    assert check(Section, values, "s") == (None, [line])


def test_no_mapping_is_told_so() -> None:
    assert check(Section, [1], "s") == (None, ["s = [1]: must be a mapping of settings"])


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "an integer or null"),
        (dict[str, int], "a mapping from names to integers"),
        (int | dict[str, int], "an integer or a mapping from names to integers"),
        (tuple[int, ...], "a list of integers"),
        (tuple[tuple[float, int], ...], "a list of [number, integer] pairs"),
        (Literal["x"], "'x'"),
        (Literal["x", "y", "z"], "'x', 'y' or 'z'"),
    ],
)
def test_types_in_words(hint: Any, words: str) -> None:
    assert describe(hint) == words


def test_a_key_unlike_any_other_gets_no_guess() -> None:
    assert unknown_key("s.", "zzz", ["count", "rate"]) == "s.zzz: unknown key; allowed: count, rate"
