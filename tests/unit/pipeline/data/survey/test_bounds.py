"""What a source may cost at most."""

import pytest

from pipeline.data.survey import bounds
from pipeline.errors import UserError

GIB = 1 << 30


def test_a_small_archive_may_unpack_to_much_and_a_large_one_to_its_share() -> None:
    bounds.require_ratio(1, 4 * GIB, "a.zip")
    bounds.require_ratio(GIB, 200 * GIB, "a.zip")
    with pytest.raises(UserError, match=r"a\.zip: 1,048,576 bytes that unpack to .*, 4,097 times"):
        bounds.require_ratio(1 << 20, 4097 << 20, "a.zip")


@pytest.mark.parametrize("depth", [100, 101])
def test_nesting_ends_somewhere(depth: int) -> None:
    if depth <= bounds.MOST_FOLDERS:
        return bounds.require_shallow("a/" * depth + "x.png", "a.zip")
    with pytest.raises(
        UserError, match=r"a\.zip: 101 folders in one another \(a/a/.*; at most 100"
    ):
        bounds.require_shallow("a/" * depth + "x.png", "a.zip")


def test_members_and_bytes_are_counted() -> None:
    bounds.require_count(bounds.MOST_IMAGES, "rows", "a")
    with pytest.raises(UserError, match=r"a: 20,000,001 rows; at most 20,000,000"):
        bounds.require_count(bounds.MOST_IMAGES + 1, "rows", "a")
    bounds.require_bytes(5, 5, "a")
    with pytest.raises(UserError, match=r"a: 6 bytes; at most 5"):
        bounds.require_bytes(6, 5, "a")
