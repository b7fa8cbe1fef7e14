"""Samples to be scored: which folders, arrays and shards are taken, and what their labels are."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.sample_sets import class_numbers, sample_set
from pipeline.errors import UserError
from pipeline.export.samples import write_shard
from pipeline.scores.inputs import RealImages

BLANK = np.zeros((2, 8, 8, 1), np.uint8)
REAL = RealImages(BLANK, np.arange(2), BLANK, np.arange(2), ("cat", "dog"), "digest")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(name, count, value)`: that many images in a folder below tmp_path/images."""

    def make(name: str, count: int, value: int = 0) -> Path:
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(np.full((8, 8), value, np.uint8)).save(folder / f"{index}.png")
        return tmp_path / "images"

    return make


def test_a_folder_per_class_has_labels_by_name_or_number(write: Callable[..., Path]) -> None:
    write("Dog", 60, 10)
    told: list[str] = []
    images, labels = sample_set(write("CAT", 50, 200), REAL, told=told.append)
    assert told == ["2 class folders, matched by their names, whatever the case"]
    assert images.shape == (110, 8, 8, 1)
    assert labels is not None
    assert {int(v) for v in images[labels == 1].ravel()} == {10}
    assert {int(v) for v in images[labels == 0].ravel()} == {200}
    assert (labels == 1).sum() == 60


def test_folders_are_classes_by_one_reading_for_all() -> None:
    tens = tuple(str(number) for number in range(1, 11))
    by = "by their n"
    assert class_numbers(["1", "10"], tens, Path("x")) == ([0, 9], f"{by}ames")
    assert class_numbers(["0", "9"], tens, Path("x")) == ([0, 9], f"{by}umbers")  # 0 is no name
    found = class_numbers(["CAFÉ", "tea"], ("café", "Tea"), Path("x"))
    assert found == ([0, 1], f"{by}ames, whatever the case")
    assert class_numbers(["cat", "dog"], ("Cat", "cat", "dog"), Path("x"))[0] == [1, 2]
    with pytest.raises(UserError, match=r"x/cat: no class of the data; .* or all by their numbers"):
        class_numbers(["1", "cat"], tens, Path("x"))
    with pytest.raises(UserError, match=r"x/CAT: could be any of the classes Cat, cat, which"):
        class_numbers(["CAT", "dog"], ("Cat", "cat", "dog"), Path("x"))


def test_shards_with_names_are_matched_by_name(tmp_path: Path, images: np.ndarray) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number, image in enumerate(images):
            png = io.BytesIO()
            Image.fromarray(image[..., 0]).save(png, "PNG")
            label = (b"Dog", b"cat")[number % 2]
            for ending, content in (("png", png.getvalue()), ("cls", label)):
                info = tarfile.TarInfo(f"{number}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    _, labels = sample_set(tmp_path, REAL)
    assert labels is not None
    assert labels.tolist() == [1, 0] * 60


def test_a_flat_folder_has_none(write: Callable[..., Path]) -> None:
    images, labels = sample_set(write("", 100), REAL)
    assert labels is None
    assert len(images) == 100


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"bird": 120}, r"bird: no class of the data; there are cat, dog"),
        ({"cat": 120, "": 1}, r"images: images beside class folders"),
        ({"cat": 50}, r"images: 50 images; scores need 100 or more"),
        ({"": 3}, r"images: 3 images; scores need 100 or more"),
    ],
)
def test_folders_that_cannot_be_scored(
    write: Callable[..., Path], folders: dict[str, int], message: str
) -> None:
    for name, count in folders.items():
        root = write(name, count)
    with pytest.raises(UserError, match=message):
        sample_set(root, REAL)


def test_class_folders_come_in_the_order_of_their_files(write: Callable[..., Path]) -> None:
    write("cat", 60, 1)
    _, labels = sample_set(write("dog", 60, 2), REAL)
    assert labels is not None
    assert labels.tolist() == [0, 1] * 60


def test_a_class_may_have_one_image(write: Callable[..., Path]) -> None:
    write("cat", 120)
    _, labels = sample_set(write("dog", 1), REAL)
    assert labels is not None
    assert np.bincount(labels).tolist() == [120, 1]


def test_what_comes_class_by_class_is_mixed(tmp_path: Path) -> None:
    images = np.arange(120, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 1), np.uint8)
    numbers = np.arange(120) // 60
    np.savez(tmp_path / "x.npz", images, numbers)
    found = [sample_set(tmp_path / "x.npz", REAL) for _ in range(2)]
    assert np.array_equal(found[0][0], found[1][0])
    images, labels = found[0]
    assert labels is not None
    assert 20 < labels[:60].sum() < 40
    assert np.array_equal(images[:, 0, 0, 0] // 60, labels)


def test_a_flat_folder_is_mixed(write: Callable[..., Path]) -> None:
    root = write("", 100, 1)
    for index in range(50):
        Image.fromarray(np.full((8, 8), 200, np.uint8)).save(root / f"a{index}.png")
    images, _ = sample_set(root, REAL)
    assert 15 < (images[:75, 0, 0, 0] == 200).sum() < 35


def test_linked_folders_are_read(write: Callable[..., Path], tmp_path: Path) -> None:
    root = write("cat", 60, 1)
    (root / "cat").rename(tmp_path / "elsewhere")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    write("dog", 60, 2)
    _, labels = sample_set(root, REAL)
    assert labels is not None
    assert np.bincount(labels).tolist() == [60, 60]


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """`pack(name, images, label)`: a shard of PNGs below tmp_path; None: without labels."""

    def make(name: str, images: list[np.ndarray], label: str | None = "0") -> Path:
        with tarfile.open(tmp_path / name, "w") as tar:
            for number, image in enumerate(images):
                png = io.BytesIO()
                Image.fromarray(image).save(png, "PNG")
                members = {"png": png.getvalue()} | ({"cls": label.encode()} if label else {})
                for ending, content in members.items():
                    info = tarfile.TarInfo(f"{number}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        return tmp_path

    return make


def test_what_shards_leave_out_is_told_or_refused(pack: Callable[..., Path]) -> None:
    grey = [np.zeros((8, 8), np.uint8)] * 110
    root, told = pack("0.tar", grey), list[str]()
    Image.fromarray(grey[0]).save(root / "grid.png")
    assert len(sample_set(root, REAL, told=told.append)[0]) == 110
    assert told == ["not read: 1 images beside the webdataset files (grid.png)"]
    pack("1.tar", grey[:7], None)
    with pytest.raises(UserError, match=r"7 images of 1\.tar would be left out \(it has no labels"):
        sample_set(root, REAL)


def test_shards_of_mixed_sizes_are_resized_or_told_how(pack: Callable[..., Path]) -> None:
    root = pack("0.tar", [np.full((8 + n % 2, 9), 7, np.uint8) for n in range(100)])
    images, _ = sample_set(root, REAL, resize=True)
    assert images.shape == (100, 8, 8, 1)
    with pytest.raises(UserError, match=r"mixed image sizes: .*\. --resize crops all") as refused:
        sample_set(root, REAL)
    assert "data." not in str(refused.value)


@pytest.fixture
def images() -> np.ndarray:
    """120 grey images, each another one."""
    return np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_npz_has_labels_where_it_gives_them(
    tmp_path: Path, images: np.ndarray, channels: int
) -> None:
    grey = np.repeat(images, channels, axis=3)
    np.savez(tmp_path / "a.npz", grey)
    found, labels = sample_set(tmp_path / "a.npz", REAL)
    assert labels is None
    assert sorted(map(bytes, found)) == sorted(map(bytes, images))
    assert not np.array_equal(found, images)  # it may have come class by class
    np.savez(tmp_path / "b.npz", grey, np.arange(120) % 2)
    found, labels = sample_set(tmp_path / "b.npz", REAL)
    assert np.array_equal(found, images)
    assert labels is not None
    assert labels.tolist() == [0, 1] * 60


def test_shards_have_labels(tmp_path: Path, images: np.ndarray) -> None:
    for number in range(2):
        rows = slice(60 * number, 60 * (number + 1))
        write_shard(tmp_path / f"{number:05d}.tar", images[rows], rows.start, np.arange(60) % 2)
    (tmp_path / "generate.json").write_text("{}")
    found, labels = sample_set(tmp_path, REAL)
    assert np.array_equal(found, images)
    assert labels is not None
    assert labels.tolist() == [0, 1] * 60
    with pytest.raises(UserError, match=r"00001\.tar: 60 images; scores need 100 or more"):
        sample_set(tmp_path / "00001.tar", REAL)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": BLANK}, "no arr_0; needed is arr_0, uint8"),
        ({"arr_0": np.zeros((120, 8, 8, 1))}, r"arr_0 of float64 \[120, 8, 8, 1\]; needed"),
        ({"arr_0": np.zeros((120, 8, 8), np.uint8)}, r"arr_0 of uint8 \[120, 8, 8\]; needed"),
        ({"arr_0": np.zeros((99, 8, 8, 1), np.uint8)}, "99 images; scores need 100 or more"),
        (
            {"arr_0": np.zeros((120, 9, 8, 1), np.uint8)},
            r"arr_0: 8x9 pixels; needed are 8x8 \(--resize",
        ),
        (
            {"arr_0": np.zeros((120, 8, 8, 1), np.uint8), "arr_1": np.zeros(3, int)},
            r"arr_1 of int64 \[3\]; labels are one integer for each of 120 images",
        ),
        (
            {"arr_0": np.zeros((120, 8, 8, 1), np.uint8), "arr_1": np.full(120, 2)},
            "label 2; the data has classes 0 to 1",
        ),
        (
            {"arr_0": np.zeros((120, 8, 8, 1), np.uint8), "arr_1": np.arange(120) == 0},
            "arr_1 of bool",
        ),
    ],
)
def test_arrays_that_cannot_be_scored(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=message):
        sample_set(tmp_path / "x.npz", REAL)


def test_an_npz_that_is_cut_short_is_told(tmp_path: Path, images: np.ndarray) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, images)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"truncated, damaged, or not a plain \.npz"):
        sample_set(path, REAL)
