"""Parts on Ray, as far as it needs no Ray. Training: tests/integration/test_cluster.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.parts import running


def test_a_person_reads_the_last_line_of_a_traceback() -> None:
    error = RuntimeError("Traceback (most recent call last):\n  File ...\nOSError: disk full\n")
    assert running._last_line(error) == "OSError: disk full"


@pytest.mark.parametrize(
    ("gpus", "parts", "share"), [(2, 2, 1.0), (2, 3, 0.5), (3, 4, 0.5), (2, 5, 0.33), (1, 3, 0.33)]
)
def test_all_parts_have_their_share_of_a_gpu_at_once(gpus: int, parts: int, share: float) -> None:
    """A share lies on one GPU: three of 0.66 do not fit on two."""
    placement = SimpleNamespace(gpus=None, device="auto")
    part: Any = SimpleNamespace(placement=placement, workers=1)
    assert running._gpu_share(part, gpus, parts) == share
    assert gpus * int(1 / share) >= parts
