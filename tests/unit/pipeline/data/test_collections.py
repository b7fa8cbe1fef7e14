import io
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.data import formats
from pipeline.data.images import ANY_SIDE, ImageCollector, resize_all
from pipeline.errors import UserError


@pytest.fixture
def read(settings):
    """`read(path, …)`: what lies there, decoded; images of any size."""

    def decoded(path, sides=None, **choices):
        return formats.decode(path, settings(**choices), sides=sides)[0]

    return decoded


def test_folder_per_class(read, image_folder):
    decoded = read(image_folder)
    images, labels = decoded.train
    assert decoded.classes == ("cat", "dog") and decoded.test is None
    assert images.shape == (12, 8, 8, 1) and images.dtype == np.uint8
    values = np.asarray(images)[:, 0, 0, 0]
    assert sorted(values.tolist()) == [*range(10, 16), *range(100, 106)]
    np.testing.assert_array_equal(labels, values >= 100)


def test_folder_rows_are_mixed_and_always_in_the_same_order(read, image_folder):
    first, again = read(image_folder).train, read(image_folder).train
    np.testing.assert_array_equal(first[0], again[0])
    assert not (np.diff(first[1]) >= 0).all(), "rows are still sorted by class"


def test_folder_with_train_and_test(read, image_folder):
    for split, names in (("train", ("cat", "dog")), ("test", ("dog",))):
        for name in names:
            (image_folder / split / name).mkdir(parents=True)
            for number in range(2):
                path = image_folder / name / f"{number}.png"
                (image_folder / split / name / path.name).write_bytes(path.read_bytes())
    decoded = read(image_folder)
    assert decoded.train[1].shape == (4,) and decoded.test[1].tolist() == [1, 1]


def test_folder_test_class_without_training_images(read, image_folder):
    (image_folder / "train").mkdir()
    for name in ("cat", "dog"):
        (image_folder / name).rename(image_folder / "train" / name)
    (image_folder / "test" / "cow").mkdir(parents=True)
    cat = image_folder / "train" / "cat" / "0.png"
    (image_folder / "test" / "cow" / "0.png").write_bytes(cat.read_bytes())
    with pytest.raises(UserError, match=r"test/cow: class 'cow' is not in"):
        read(image_folder)


def test_broken_image_is_named_or_counted(read, image_folder):
    whole = (image_folder / "cat" / "3.png").read_bytes()
    (image_folder / "cat" / "3.png").write_bytes(whole[:40])
    with pytest.raises(UserError, match=r"cat/3\.png: cannot use .*on_bad_image: skip"):
        read(image_folder)
    decoded = read(image_folder, on_bad_image="skip")
    assert decoded.skipped == 1 and len(decoded.train[0]) == 11


def test_sixteen_bit_grey_is_read_by_its_upper_half(read, image_folder):
    Image.fromarray(np.full((8, 8), 0x9C40, np.uint16)).save(image_folder / "dog" / "x.png")
    images = np.asarray(read(image_folder).train[0])
    assert (images == 0x9C).all(axis=(1, 2, 3)).sum() == 1


def test_pixels_beyond_sixteen_bits_are_named_or_counted(read, image_folder):
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(image_folder / "dog" / "x.tif")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(image_folder / "dog" / "y.tif")
    with pytest.raises(UserError, match=r"dog/x\.tif: .*grey values from 70000 to 70000"):
        read(image_folder)
    assert read(image_folder, on_bad_image="skip").skipped == 2
    (image_folder / "dog" / "x.tif").unlink()
    with pytest.raises(UserError, match=r"dog/y\.tif: .*pixel type 'F'; only grey and colour of 8"):
        read(image_folder)


def test_mixed_sizes_need_image_size(read, image_folder, encoded):
    wide = np.zeros((8, 12), np.uint8)
    wide[:, 2:10] = 200  # the centre that a square crop keeps
    (image_folder / "dog" / "wide.png").write_bytes(encoded(wide))
    with pytest.raises(UserError, match=r"is 8x8 and .*wide\.png is 12x8.*image_size: 32"):
        read(image_folder)
    images = np.asarray(read(image_folder, image_size=4).train[0])
    assert images.shape == (13, 4, 4, 1)
    assert (images == 200).all(axis=(1, 2, 3)).sum() == 1


def test_what_cannot_be_kept_is_refused_at_the_first_image(read, image_folder, encoded):
    """Nothing after it is decoded: the broken image is never seen."""
    (image_folder / "cat" / "1.png").write_bytes(encoded(np.zeros((9, 9), np.uint8)))
    (image_folder / "cat" / "2.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"cat/0\.png is 8x8 and .*cat/1\.png is 9x9"):
        read(image_folder)
    (image_folder / "cat" / "0.png").write_bytes(encoded(np.zeros((9, 8), np.uint8)))
    with pytest.raises(UserError, match=r"cat/0\.png: images are 8x9 pixels; they must be square"):
        read(image_folder, ANY_SIDE)


def test_images_larger_than_any_net_takes_are_refused_at_the_first(read, image_folder, encoded):
    (image_folder / "cat" / "0.png").write_bytes(encoded(np.zeros((130, 130), np.uint8)))
    (image_folder / "cat" / "1.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"0\.png: images are 130x130 .* at most 128 a side\. Set"):
        read(image_folder, ANY_SIDE)


def test_another_size_in_test_is_refused_at_its_first_image(read, image_folder, encoded):
    for split in ("train", "test"):
        shutil.copytree(image_folder / "cat", image_folder / split / "cat")
    (image_folder / "test" / "cat" / "0.png").write_bytes(encoded(np.zeros((9, 9), np.uint8)))
    (image_folder / "test" / "cat" / "1.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"train/cat/0\.png is 8x8 and .*test/cat/0\.png is 9x9"):
        read(image_folder)


def test_grey_beside_colour_becomes_rgb(read, image_folder, encoded):
    (image_folder / "dog" / "red.png").write_bytes(encoded(np.full((8, 8, 3), (255, 0, 0), "u1")))
    images = np.asarray(read(image_folder).train[0])
    assert images.shape == (13, 8, 8, 3)
    grey = images[(images[..., 0] == images[..., 1]).all(axis=(1, 2))]
    assert len(grey) == 12 and (grey[..., 1] == grey[..., 2]).all()


def test_empty_class_and_no_classes(read, image_folder, tmp_path):
    (image_folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"images/empty: no images in it"):
        read(image_folder)
    (tmp_path / "flat").mkdir()
    with pytest.raises(UserError, match="flat is an empty folder"):
        read(tmp_path / "flat")


def test_hidden_files_are_not_images(read, image_folder):
    (image_folder / "cat" / "._0.png").write_bytes(b"left by a system")
    (image_folder / ".cache").mkdir()
    (image_folder / "__MACOSX").mkdir()
    assert len(read(image_folder).train[0]) == 12


def test_resize_all_keeps_constant_images():
    images = np.repeat(np.array([7, 250], np.uint8), 10 * 6).reshape(2, 10, 6, 1)
    small = resize_all(images, 3)
    assert small.shape == (2, 3, 3, 1)
    assert (small[0] == 7).all() and (small[1] == 250).all()


def test_collector_reads_jpeg(encoded):
    collector = ImageCollector(None, "error")
    collector.add(encoded(np.full((16, 16, 3), 90, np.uint8), "JPEG"), 3, "a.jpg")
    images, labels = collector.stack()
    assert images.shape == (1, 16, 16, 3) and abs(int(np.asarray(images).mean()) - 90) <= 1
    assert labels.tolist() == [3]


def parquet(path, images, labels):
    pq.write_table(pa.table({"image": images, "label": labels}), path)


def test_parquet_bytes_and_names(read, tmp_path, encoded):
    cells = [encoded(np.full((4, 4), value, np.uint8)) for value in (1, 2, 3, 4)]
    parquet(tmp_path / "train-0.parquet", cells, ["b", "a", "b", "a"])
    parquet(tmp_path / "test-0.parquet", cells[:1], ["a"])
    decoded = read(tmp_path)
    assert decoded.classes == ("a", "b") and decoded.train[1].tolist() == [1, 0, 1, 0]
    assert np.asarray(decoded.train[0])[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert decoded.test[1].tolist() == [0]


def test_parquet_struct_cells_and_bad_image(read, tmp_path, encoded):
    good = encoded(np.full((4, 4), 9, np.uint8))
    cells = [{"bytes": good, "path": "a.png"}, {"bytes": good[:30], "path": "b.png"}]
    parquet(tmp_path / "a.parquet", cells, [0, 1])
    with pytest.raises(UserError, match=r"a\.parquet: row 1: cannot use"):
        read(tmp_path / "a.parquet")
    decoded = read(tmp_path / "a.parquet", on_bad_image="skip")
    assert decoded.skipped == 1 and decoded.train[1].tolist() == [0]


def test_parquet_errors(read, tmp_path, encoded):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"picture": [b"1"], "label": [0]}), path)
    with pytest.raises(UserError, match=r"columns \['picture', 'label'\]"):
        read(path)
    parquet(path, [encoded(np.zeros((4, 4), np.uint8)), None], [0, 1])
    with pytest.raises(UserError, match="row 1: image must hold the bytes"):
        read(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"a\.parquet: truncated or damaged Parquet"):
        read(path)


def shard(path, samples):
    with tarfile.open(path, "w") as tar:
        for key, members in samples.items():
            for extension, content in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def test_webdataset_single_images(read, tmp_path, encoded):
    for split, values in (("train", (1, 2, 3)), ("val", (4,))):
        shard(
            tmp_path / f"my-{split}-000.tar",
            {
                f"{value:03d}": {
                    "png": encoded(np.full((4, 4), value, np.uint8)),
                    "cls": str(value % 2).encode(),
                }
                for value in values
            },
        )
    decoded = read(tmp_path)
    assert np.asarray(decoded.train[0])[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert decoded.train[1].tolist() == [1, 0, 1] and decoded.test[1].tolist() == [0]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"png": b"", "cls": b"\xff"}, r"sample 0: cls is b'.xff'; it must be a number or a name"),
        ({"png": b"", "cls": b"-1"}, r"sample 0: its label says no class"),
        ({"png": b"", "jpg": b"", "cls": b"1"}, r"sample 0 has several images \(jpg, png\)"),
        ({"png": b"", "txt": b"1"}, r"has \['png', 'txt'\]; expected an image"),
        ({"png": b"", "json": b"{}"}, r"json must give the class as an integer .* found {}"),
        ({"png": b"", "json": b"[1]"}, r"json must give the class .* found \[1\]"),
        ({"png": b"", "json": b'{"label": true}'}, "json must give the class .* True"),
        ({"png": b"", "json": b'{"label": '}, "sample 0: json cannot be read"),
        ({"png": b"broken", "cls": b"1"}, "sample 0: cannot use this image"),
        ({"x.npy": b"broken", "y.npy": b""}, "sample 0: damaged block"),
    ],
)
def test_webdataset_errors(read, tmp_path, members, message):
    shard(tmp_path / "a.tar", {"0": members})
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.tar", format="webdataset")


@pytest.mark.parametrize("where", ["in an image", "in a header", "between two members"])
def test_webdataset_truncated_shard(read, tmp_path, encoded, where):
    """Only the first is told of by readers; the others look like a shard of fewer samples."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    path = tmp_path / "a.tar"
    shard(path, {str(k): {"png": encoded(p), "cls": b"0"} for k, p in enumerate(pixels)})
    with tarfile.open(path) as archive:
        third = archive.getmembers()[2]
    cut = {"in an image": third.offset_data + 700, "in a header": third.offset + 100}
    content = path.read_bytes()[: cut.get(where, third.offset)]
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.tar: truncated tar: .* at byte {len(content)},"):
        read(path)


def test_webdataset_labels_in_json(read, tmp_path, encoded):
    pixels = np.zeros((8, 8), np.uint8)
    samples = {str(k): {"png": encoded(pixels), "json": b'{"label": %d}' % k} for k in (1, 0)}
    shard(tmp_path / "a.tar", samples)
    decoded = read(tmp_path / "a.tar")
    assert decoded.train[1].tolist() == [1, 0]


def test_split_folders_by_other_names(read, image_folder):
    for split in ("Training", "Testing"):
        shutil.copytree(image_folder / "cat", image_folder / split / "cat")
    shutil.rmtree(image_folder / "cat")
    decoded = read(image_folder)
    assert decoded.classes == ("cat",) and len(decoded.test[1]) == 6


def test_hidden_copies_are_no_images(read, image_folder):
    shutil.copytree(image_folder / "dog", image_folder / "dog" / ".ipynb_checkpoints")
    shutil.copytree(image_folder / "dog", image_folder / "dog" / "more" / "__MACOSX")
    assert len(read(image_folder).train[1]) == 12


def test_formats_that_are_not_read_are_told_of(read, image_folder):
    (image_folder / "dog" / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(
        UserError, match=r"photo\.HEIC: cannot use .* no image format that is known"
    ):
        read(image_folder)
    assert read(image_folder, on_bad_image="skip").skipped == 1


def test_odd_sizes_are_skipped_and_counted_where_asked(read, image_folder, encoded):
    (image_folder / "cat" / "0.png").write_bytes(encoded(np.zeros((9, 8), np.uint8)))
    decoded = read(image_folder, on_bad_image="skip")
    assert decoded.skipped == 1 and decoded.train[0].shape == (11, 8, 8, 1)
