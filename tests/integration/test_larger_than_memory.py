"""A set passes through prepare, features and the stream of a training in memory that does not grow
with it. Minutes long; `tests/unit/pipeline/data/test_shard_writer.py` has a quick one."""

import os
from pathlib import Path

import pytest

from benchmarks.larger_than_memory import FORMS, measure

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

ROWS = 20_000  # 246 MB of images in 20 shards; a group of a stream is of 16


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_set(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)  # what is freed and kept for later would count
    small, large = (
        {row["step"]: row["megabytes"] for row in measure(form, rows, tmp_path)}
        for rows in (ROWS // 8, ROWS)
    )
    grown = {step: large[step] - small[step] for step in large}
    assert grown["prepare"] < 50
    assert grown["features"] < 80
    groups = 2 * 16 * 1000 * 64 * 64 * 3 / 2**20
    assert large["stream"] - large["imports"] < 1.2 * groups + 50
