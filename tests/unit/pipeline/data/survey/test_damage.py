"""What libraries raise on damaged content is one line; a full disk and our own errors pass."""

import errno
import io

import pytest

from pipeline.data.survey.damage import (
    MOST_CHARACTERS,
    brief,
    brief_errors,
    damage_told,
    read_up_to,
    reason,
)
from pipeline.errors import UserError


class Theirs(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EOFError(), "EOFError"),
        (KeyError("a"), "'a'"),
        (MemoryError(), "MemoryError"),
        (Theirs("x"), "x"),
    ],
)
def test_any_error_of_a_reader_is_told(error: Exception, said: str) -> None:
    with pytest.raises(UserError, match=rf"^a\.zip: damaged \({said}\)\. Fetch it again\.$"):
        with damage_told("a.zip: damaged", "Fetch it again.", Theirs):
            raise error


def test_a_full_disk_and_errors_of_ours_are_no_damage() -> None:
    with pytest.raises(OSError, match="full"), damage_told("x", "y"):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(UserError, match=r"^mine$"), damage_told("x", "y"):
        raise UserError("mine")
    with pytest.raises(NameError), damage_told("x", "y"):
        raise NameError("a fault of this program")


def test_a_reason_is_one_line_that_a_terminal_can_show() -> None:
    assert reason(ValueError("a\n  b\0\udce9")) == r"a b\x00\xe9"
    assert len(reason(ValueError("x" * 999))) < 210


def test_a_promise_of_a_header_costs_no_memory() -> None:
    assert read_up_to(io.BytesIO(b"abc"), 1 << 60) == b"abc"
    assert read_up_to(io.BytesIO(b"abc"), 2) == b"ab"


def test_long_messages_are_cut_in_their_middle() -> None:
    assert brief("short") == "short" and brief("a\n" * 900) == "a\n" * 900
    cut = brief("a" * 500 + "b" * 500)
    assert len(cut) == MOST_CHARACTERS and cut.endswith("b" * 300)
    with pytest.raises(UserError, match=r"^a+ … b+$"), brief_errors():
        raise UserError("a" * 500 + "b" * 500)
