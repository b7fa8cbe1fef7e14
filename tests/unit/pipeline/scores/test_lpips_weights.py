"""The pickle in LPIPS's package: arrays are read, whatever else it names is refused."""

import io
import pickle

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.scores import lpips_weights


def test_a_pickle_that_would_run_code_is_refused() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("1 / 0",))

    for found in (Evil(), {"AlexNet_0": Evil()}):
        with pytest.raises(UserError, match=r"names builtins\.eval; it is not read"):
            lpips_weights._Arrays(io.BytesIO(pickle.dumps(found))).load()
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = pickle.dumps({"a": array}, protocol=3)
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(lpips_weights._Arrays(io.BytesIO(content)).load()["a"], array)
