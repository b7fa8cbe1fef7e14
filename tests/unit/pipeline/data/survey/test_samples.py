"""A shard's members, and which of them make a sample."""

import pytest

from pipeline.data.survey import samples
from pipeline.errors import UserError


@pytest.fixture
def index(tmp_path, made):
    def indexed(*names: str) -> samples.Shard:
        path = made.shard(tmp_path / "a.tar", [(name, name.encode()) for name in names])
        with path.open("rb") as stream:
            return samples.index(stream, "a.tar", "a.tar")

    return indexed


def keys(shard: samples.Shard) -> list[tuple[str, str | None, list[str]]]:
    return [(one.key, one.image, sorted(one.members)) for one in shard.samples]


def test_members_may_lie_apart_and_endings_are_of_any_case(index) -> None:
    shard = index("1.png", "2.PNG", "2.cls", "1.CLS")
    assert keys(shard) == [("1", "png", ["cls", "png"]), ("2", "png", ["cls", "png"])]


def test_keys_end_at_the_first_dot_where_that_gives_samples(index) -> None:
    shard = index("1.png", "1.seg.png", "1.cls", "2.png", "2.seg.png", "2.cls")
    assert [key for key, _, _ in keys(shard)] == ["1", "2"]
    assert shard.left == {"members .seg.png": 2} and shard.images_left["members .seg.png"] == 2


def test_else_at_the_last_known_ending(index) -> None:
    shard = index("img.0001.png", "img.0001.cls", "img.0002.png", "img.0002.cls")
    assert [key for key, _, _ in keys(shard)] == ["img.0001", "img.0002"]


def test_blocks(index) -> None:
    assert keys(index("a.x.npy", "a.y.npy")) == [("a", None, ["x.npy", "y.npy"])]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("1.png", "1.png", "1.cls"), r"sample 1 has its png twice \(1\.png, 1\.png\).*tar --sort"),
        (("1.png", "1.cls", "1.cls"), r"sample 1 has its cls twice"),
        (("1.png", "1.jpg", "1.cls"), r"sample 1 has several images \(jpg, png\)"),
    ],
)
def test_what_cannot_be_told_apart_is_named(index, names, message) -> None:
    with pytest.raises(UserError, match=message) as raised:
        index(*names)
    assert len(str(raised.value)) < 400


def test_what_is_no_sample_is_counted(index) -> None:
    shard = index("1.png", "1.cls", "2.cls", "1.txt", "._1.png", "README")
    assert shard.left == {
        "labels without an image": 1,
        "members .txt": 1,
        "members left behind by a system": 1,
        "members .": 1,
    }
