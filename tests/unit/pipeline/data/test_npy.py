"""Arrays out of npy bytes: whole, damaged, and in several threads at once."""

import gc
import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.data.npy import array_of


def raw(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_array_comes_back() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = array_of(raw(array))
    assert found.dtype == np.uint8
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"", "EOF: reading magic string"),
        (b"PK\x03\x04" + bytes(96), "magic string is not correct"),
        (raw(np.ones(9))[:-1], "EOF: reading array data"),
        (raw(np.ones(9))[:40], "EOF: reading array header"),
    ],
)
def test_what_is_no_array_is_refused(wrong: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        array_of(wrong)


def test_objects_are_not_unpickled() -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        array_of(raw(np.array([{}], dtype=object)))


def test_threads_that_change_within_a_header() -> None:
    """Python before 3.11.8 raises SystemError where two threads parse at once and the collector,
    which calls Python's code, lets the other one go on."""
    array = np.arange(60, dtype=np.uint8)
    kept, found = gc.get_threshold(), raw(array)

    def lets_others_go_on(_phase: str, _info: dict[str, int]) -> None:
        time.sleep(0)

    def right(_: int) -> bool:
        return np.array_equal(array_of(found), array)

    gc.callbacks.append(lets_others_go_on)
    gc.set_threshold(5, 10**6)  # the youngest only, and often
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(right, range(2000)))
    finally:
        gc.set_threshold(*kept)
        gc.callbacks.remove(lets_others_go_on)
