"""A weights file that cannot be used is one clear error for a person, named without torch."""

import subprocess
import sys

import pytest

from pipeline.errors import UserError, weights_told
from sgan.errors import WeightsError


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


def test_it_can_be_named_without_loading_torch() -> None:
    program = "import sys, sgan.errors, pipeline.errors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
