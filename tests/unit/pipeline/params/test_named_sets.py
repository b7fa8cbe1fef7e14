"""The published data sets: names that fit the labels, digests that can be digests."""

import re

import pytest

from pipeline.params.named_sets import ARRAYS, IDX_FILES, NAMED


@pytest.mark.parametrize("name", NAMED)
def test_a_set_is_described_whole(name: str) -> None:
    found = NAMED[name]
    height, width, channels = found.shape
    assert height == width and channels in (1, 3)
    assert len(set(found.classes)) == len(found.classes) >= 2
    assert found.files and found.url.endswith("/")
    assert found.npm is None or re.fullmatch(r"[a-z0-9-]+@\d+\.\d+\.\d+", found.npm)


@pytest.mark.parametrize("name", NAMED)
def test_a_set_has_every_digest_or_none(name: str) -> None:
    digests = NAMED[name].sha256
    assert set(digests) in (set(), set(ARRAYS))
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())
    # A mirror's bytes are taken on the strength of the digests alone.
    assert digests or NAMED[name].npm is None


def test_idx_files_hold_the_four_arrays() -> None:
    assert tuple(IDX_FILES) == ARRAYS
