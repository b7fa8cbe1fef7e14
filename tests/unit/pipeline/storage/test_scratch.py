"""A temporary folder, and which disk is named when it runs full."""

import errno
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.storage.scratch import scratch_folder


def test_it_is_gone_in_the_end() -> None:
    with scratch_folder() as folder:
        (folder / "a").write_text("x")
    assert not folder.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named(error: Exception) -> None:
    with pytest.raises(UserError) as told, scratch_folder():
        raise error
    start = f"a temporary file below {tempfile.gettempdir()} (TMPDIR) cannot be written: No space"
    assert str(told.value).startswith(start)
    assert "MB are free on that disk" in str(told.value)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "none"), ValueError("x"), UserError("y")])
def test_every_other_error_is_left_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as told, scratch_folder():
        raise error
    assert told.value is error
    assert Path(tempfile.gettempdir()).is_dir()
