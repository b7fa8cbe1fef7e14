"""What a person reads when they have to mend something."""

import pickle

import pytest

from pipeline.cli import main
from pipeline.errors import UserError, weights_told
from sgan.errors import WeightsError


def test_it_is_no_kind_of_error_that_other_code_catches() -> None:
    """A broad `except ValueError` or `except OSError` on the way must not swallow it."""
    assert UserError.__mro__[1] is Exception


def test_it_comes_back_whole_from_a_worker() -> None:
    """Ray pickles what a task raises."""
    error = pickle.loads(pickle.dumps(UserError("levels.1.z_dim is 0; must be 1 or more")))
    assert isinstance(error, UserError)
    assert str(error) == "levels.1.z_dim is 0; must be 1 or more"


def test_the_command_line_prints_one_line_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert main(["prepare"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("about", "message"), [("", "x: missing"), ("joint", "joint: x: missing")])
def test_a_weights_error_is_told(about: str, message: str) -> None:
    with pytest.raises(UserError) as caught, weights_told(about):
        raise WeightsError("x: missing")
    assert str(caught.value) == message
    assert isinstance(caught.value.__cause__, WeightsError)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="another") as caught, weights_told("joint"):
        raise ValueError("another mistake")
    assert not isinstance(caught.value, UserError)
