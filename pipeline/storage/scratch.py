"""A folder for files that only this process needs, for a moment."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError
from pipeline.storage.atomic import is_full, no_room

_RUST_FULL = f"os error {errno.ENOSPC}"  # safetensors tells it in its message only


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder below TMPDIR, deleted in the end.

    Raises UserError where the disk below it runs full.
    """
    with tempfile.TemporaryDirectory(prefix="sgan-") as name:
        folder = Path(name)
        try:
            yield folder
        except Exception as error:
            full = isinstance(error, OSError) and is_full(error)
            if not full and _RUST_FULL not in str(error):
                raise
            if not isinstance(error, OSError):
                error = OSError(errno.ENOSPC, "No space left on device")
            raise UserError(
                f"a temporary file below {folder.parent} (TMPDIR) cannot be written: "
                f"{no_room(error, folder)}"
            ) from error
