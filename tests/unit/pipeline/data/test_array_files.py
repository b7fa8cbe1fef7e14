import gzip
import shutil
import struct

import numpy as np
import pytest
import scipy.io

from pipeline.data import array_files
from pipeline.data.survey import arrays
from pipeline.data.survey.listing import of_folder
from pipeline.errors import UserError
from pipeline.params.named_sets import IDX_FILES


def write_idx(path, array):
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def decode_idx(folder):
    """The one set of IDX files in a folder, found as the survey finds it."""
    found = arrays.idx_sets(of_folder(folder).entries)
    paths = next(iter(found.values()))
    return array_files.decode_idx({name: folder / path for name, path in paths.items()})


@pytest.fixture
def idx_folder(tmp_path):
    rng = np.random.default_rng(0)
    for array, name in IDX_FILES.items():
        count = 20 if array.startswith("train") else 6
        shape = (count, 5, 4) if array.endswith("images") else (count,)
        write_idx(tmp_path / name, rng.integers(0, 2, shape))
    return tmp_path


def test_idx_reads_raw_and_gzip_alike(idx_folder):
    raw = decode_idx(idx_folder)
    for name in IDX_FILES.values():
        path = idx_folder / name
        (idx_folder / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = decode_idx(idx_folder)
    assert raw.train[0].shape == (20, 5, 4, 1) and raw.train[0].dtype == np.uint8
    assert raw.train[1].dtype == np.int64
    for one, other in zip(raw.train + raw.test, packed.train + packed.test, strict=True):
        np.testing.assert_array_equal(one, other)


def test_real_mnist_subset_has_its_known_first_digits(mnist_small):
    decoded = decode_idx(mnist_small)
    assert decoded.train[0].shape == (2000, 28, 28, 1)
    assert decoded.test[0].shape == (500, 28, 28, 1)
    # MNIST begins with 5 0 4 1 9 (train) and 7 2 1 0 4 (test).
    assert decoded.train[1][:5].tolist() == [5, 0, 4, 1, 9]
    assert decoded.test[1][:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(decoded.train[1]).tolist() == [200] * 10
    assert 30 < np.asarray(decoded.train[0]).mean() < 36  # 33.3 over all of MNIST


def test_idx_truncated_is_named(idx_folder):
    path = idx_folder / IDX_FILES["train_images"]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: 409 bytes .* promises 416"):
        decode_idx(idx_folder)


def test_idx_truncated_gzip_is_named(idx_folder):
    path = idx_folder / IDX_FILES["train_images"]
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    (idx_folder / f"{path.name}.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz: truncated or damaged"):
        decode_idx(idx_folder)


def test_idx_of_floats_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, 0x0D, 1]) + struct.pack(">If", 1, 0.5))
    with pytest.raises(UserError, match="element type 0x0d"):
        list(array_files.read_idx(path))


def test_idx_count_mismatch_is_named(idx_folder):
    write_idx(idx_folder / IDX_FILES["train_labels"], np.zeros(19))
    with pytest.raises(UserError, match="20 images but 19 labels"):
        decode_idx(idx_folder)


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("images", "labels")])
def test_npz_spellings(tmp_path, names):
    images = np.arange(4 * 6 * 6, dtype=np.uint8).reshape(4, 6, 6)
    np.savez(tmp_path / "a.npz", **{names[0]: images, names[1]: np.array([0, 1, 1, 0])})
    decoded = array_files.decode_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(decoded.train[0], images[..., None])
    assert decoded.train[1].tolist() == [0, 1, 1, 0] and decoded.test is None


def test_npz_test_split_and_classes(tmp_path):
    x, y = np.zeros((4, 6, 6, 3), np.uint8), np.array([[0], [1], [0], [1]])
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2], classes=["a", "b"]
    )
    decoded = array_files.decode_npz(tmp_path / "a.npz")
    assert decoded.classes == ("a", "b")
    assert decoded.test[0].shape == (2, 6, 6, 3) and decoded.test[1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 4, 4)), "labels": [0, 1]}, "dtype float64; only uint8"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8), "labels": [0, 1]}, r"shape \[2, 3, 8, 8\]"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0.5, 1.0]}, "must be integers"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0, -1]}, "label -1 at row 1"),
        ({"pictures": np.zeros(2)}, r"holds \['pictures'\]; expected x_train"),
        ({"images": np.array([{}], dtype=object), "labels": [0]}, "not a plain .npz"),
    ],
)
def test_npz_errors_say_what_and_where(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=message) as raised:
        array_files.decode_npz(tmp_path / "bad.npz")
    assert "bad.npz" in str(raised.value)


def test_npz_test_images_without_labels_are_not_dropped_in_silence(tmp_path):
    x, y = np.zeros((4, 4, 4), np.uint8), np.arange(4)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x)
    with pytest.raises(UserError, match=r"a\.npz: has x_test alone"):
        array_files.decode_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("split", ["train", "t10k"])
def test_idx_images_without_labels_are_not_dropped_in_silence(mnist_small, tmp_path, split):
    folder = tmp_path / "mnist"
    shutil.copytree(mnist_small, folder)
    (folder / f"{split}-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=rf"images but no .* labels \({split}-labels-idx1-ubyte"):
        decode_idx(folder)


def test_npz_truncated(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, images=np.zeros((50, 8, 8), np.uint8), labels=np.zeros(50, int))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"t\.npz: truncated, damaged"):
        array_files.decode_npz(path)


def test_svhn_mat_files(tmp_path):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (12, 32, 32, 3), np.uint8)
    labels = np.array([10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1], np.uint8)[:, None]
    for name in ("train_32x32.mat", "test_32x32.mat"):
        scipy.io.savemat(tmp_path / name, {"X": images.transpose(1, 2, 3, 0), "y": labels})
    decoded = array_files.decode_svhn(tmp_path)
    np.testing.assert_array_equal(decoded.train[0], images)
    assert decoded.train[1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_svhn_damaged_and_missing(tmp_path):
    (tmp_path / "train_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(50))
    with pytest.raises(UserError, match=r"train_32x32\.mat: truncated, damaged"):
        array_files.decode_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").unlink()
    with pytest.raises(UserError, match=r"train_32x32\.mat is missing"):
        array_files.decode_svhn(tmp_path)
