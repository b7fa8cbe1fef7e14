"""Images in a file are those that were put in, however they are asked for."""

import resource
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import scratch
from pipeline.data.scratch import Scratch, StoredImages, in_colour, pieces
from pipeline.errors import UserError

GREY = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 1), np.uint8)


@pytest.fixture
def stored() -> StoredImages:
    """GREY, of which rows 20 to 29 and the last one came in colour (their red is GREY's)."""
    kept = Scratch()
    for start, stop in ((0, 20), (20, 30), (30, 31), (31, 49), (49, 50)):
        images = GREY[start:stop]
        if start in (20, 49):
            images = np.concatenate([images, images // 2, images // 3], axis=3)
        kept.append(images)
    return kept.images(np.ones(50, bool))


@pytest.mark.parametrize("piece_bytes", [1, 100, 10_000])
@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(7, 44, 3),
        slice(30, 3, -1),
        slice(5, 5),
        np.random.default_rng(1).permutation(50),
        np.random.default_rng(2).integers(0, 50, 80),
        np.arange(50) % 3 == 0,
    ],
)
def test_rows_in_any_order(stored, key, piece_bytes, monkeypatch) -> None:
    monkeypatch.setattr(scratch, "PIECE_BYTES", piece_bytes)
    part = stored[key]
    expected = GREY[key]
    assert part.shape == (*expected.shape[:3], 3)
    read = np.asarray(part)
    np.testing.assert_array_equal(read[..., :1], expected)
    colour = np.isin(np.arange(50)[key], [*range(20, 30), 49])
    np.testing.assert_array_equal(read[~colour], np.repeat(expected[~colour], 3, axis=3))
    np.testing.assert_array_equal(read[colour][..., 1:2], expected[colour] // 2)


def test_parts_of_parts(stored) -> None:
    rows = np.random.default_rng(3).permutation(50)
    np.testing.assert_array_equal(np.asarray(stored[rows][10:20])[..., :1], GREY[rows][10:20])
    grey = stored[:20]
    np.testing.assert_array_equal(np.concatenate(list(pieces(grey, 100))), np.asarray(grey))


def test_grey_images_in_a_set_of_colour(stored) -> None:
    kept = Scratch()
    kept.append(GREY)
    grey = kept.images(np.ones(50, bool))
    assert grey.channels == 1
    np.testing.assert_array_equal(in_colour(grey, 3), np.repeat(GREY, 3, axis=3))
    np.testing.assert_array_equal(in_colour(GREY, 3), np.repeat(GREY, 3, axis=3))
    assert in_colour(stored, 3) is stored and in_colour(grey, 1) is grey


def test_sizes_count_as_they_came_whatever_the_colour() -> None:
    kept = Scratch()
    for height, channels in ((6, 1), (4, 3), (6, 3), (4, 1), (6, 1)):
        kept.append(np.full((1, height, 5, channels), height, np.uint8))
    assert kept.sizes().tolist() == [0, 1, 0, 1, 0]
    assert kept.images(kept.sizes() == 1).shape == (2, 4, 5, 3)


def test_nothing_of_it_is_seen_in_the_folder(stored, own_cache: Path) -> None:
    assert np.asarray(stored).any()
    assert list(own_cache.iterdir()) == []


def test_a_full_disk_is_one_line(recwarn) -> None:
    """A limit on a file's size fails as a full disk does, when the buffer is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = Scratch()
    kept.append(GREY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match=r"cannot be kept there \(File too large\). Make room"):
            kept.images(np.ones(50, bool))
        del kept  # what is left in the buffer is not tried again
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not recwarn.list
