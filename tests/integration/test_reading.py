"""`benchmarks.reading`: both ways of reading."""

from pathlib import Path

import pytest

from benchmarks import reading

pytestmark = pytest.mark.integration


def test_both_ways_read_every_png(tmp_path: Path) -> None:
    reading.pngs(tmp_path, 30)
    found = [reading.read(how, tmp_path) for how in ("pillow", "prepare")]
    assert [one.images for one in found] == [30, 30]
    assert all(one.rate > 0 for one in found)
