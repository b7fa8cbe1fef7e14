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


def test_two_shards_in_one_file_are_told(tmp_path, made) -> None:
    path = made.shard(tmp_path / "a.tar", [("1.png", b"x"), ("1.cls", b"0")])
    path.write_bytes(path.read_bytes() * 2)
    with path.open("rb") as stream, pytest.raises(UserError, match=r"a\.tar: .*more at byte"):
        samples.index(stream, "a.tar", "a.tar")


DOTTED = ("img.0001.png", "img.0001.cls", "img.0002.png", "img.0002.cls")


def test_a_stray_member_leaves_dotted_keys_as_they_are(index) -> None:
    shard = index(*DOTTED, "README.md")
    assert [key for key, _, _ in keys(shard)] == ["img.0001", "img.0002"]
    assert shard.left == {"members .": 1}
    without = keys(index(*DOTTED, "img.0003.png"))[-1]
    assert without == ("img.0003", "png", ["png"])
    assert [key for key, _, _ in keys(index("img.0001.png", "img.0002.png"))] == [
        "img.0001",
        "img.0002",
    ]


def test_a_stray_member_leaves_plain_keys_as_they_are(index) -> None:
    shard = index("1.png", "1.cls", "1.crop.png", "1.crop.json", "README.md")
    assert [key for key, _, _ in keys(shard)] == ["1"] and shard.images_left.total() == 1
