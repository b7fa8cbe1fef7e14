"""An array from the bytes of an npy file, in any thread."""

import io
from threading import Lock

import numpy as np

# Before 3.11.8 Python counts how deep an expression is for all threads together, so that two that
# read a header at once can raise SystemError (python/cpython#106905).
_one_header = Lock()


def array_of(raw: bytes) -> np.ndarray:
    """The array that `raw`, a whole npy file, holds, of the shape and dtype that its header says.

    Raises ValueError for bytes that are none, that end early, or that hold Python objects.
    """
    with _one_header:
        return np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
