import json
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.data import cifar
from pipeline.errors import UserError

NAMES = [*cifar.BATCHES["train"], *cifar.BATCHES["test"]]


@pytest.fixture
def images():
    """uint8 [6 batches, 4 images, 32, 32, 3] and labels [6, 4]."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, 4, 32, 32, 3), np.uint8), rng.integers(0, 10, (6, 4))


def planes(batch):
    return batch.transpose(0, 3, 1, 2).reshape(len(batch), -1)


def check(folder, images):
    decoded = cifar.decode_cifar(folder)
    pixels, labels = images
    np.testing.assert_array_equal(decoded.train[0], pixels[:5].reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(decoded.test[0], pixels[5])
    np.testing.assert_array_equal(decoded.train[1], labels[:5].reshape(-1))


def python2_pickle(rows, labels):
    """The opcodes that Python 2's cPickle wrote for {'data': array, 'labels': list}: byte strings,
    not unicode, which is what the published batches hold."""

    def short(text):
        return b"U" + bytes([len(text)]) + text

    raw = np.ascontiguousarray(rows).tobytes()
    shape = b"".join(b"J" + struct.pack("<i", n) for n in rows.shape) + b"\x86"
    dtype = b"cnumpy\ndtype\n(" + short(b"u1") + b"K\x00K\x01tR(K\x03" + short(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + short(b"b") + b"tR"
    array += b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([int(n)]) for n in labels) + b"e"
    return b"\x80\x02}(" + short(b"data") + array + short(b"labels") + numbers + b"u."


def test_python2_batches(tmp_path, images):
    for name, pixels, labels in zip(NAMES, *images, strict=True):
        (tmp_path / name).write_bytes(python2_pickle(planes(pixels), labels))
    check(tmp_path, images)


def test_python3_batches(tmp_path, images):
    for name, pixels, labels in zip(NAMES, *images, strict=True):
        batch = {"data": planes(pixels), "labels": labels.tolist()}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
    check(tmp_path, images)


def test_binary_batches(tmp_path, images):
    for name, pixels, labels in zip(NAMES, *images, strict=True):
        rows = np.concatenate([labels[:, None].astype(np.uint8), planes(pixels)], axis=1)
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    check(tmp_path, images)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"data_batch_3\.bin: 12291 bytes.*truncated"):
        cifar.decode_cifar(tmp_path)


def test_png_sheets(tmp_path, images):
    pixels, labels = images
    for name, batch in zip(NAMES, pixels, strict=True):
        Image.fromarray(batch.reshape(4, 1024, 3)).save(tmp_path / f"{name}.png")
    (tmp_path / "train_lables.json").write_text(json.dumps(labels[:5].reshape(-1).tolist()))
    (tmp_path / "test_lables.json").write_text(json.dumps(labels[5].tolist()))
    check(tmp_path, images)
    (tmp_path / "data_batch_2.png").unlink()
    with pytest.raises(UserError, match=r"data_batch_2\.png is missing"):
        cifar.decode_cifar(tmp_path)


class RunsCode:
    def __reduce__(self):
        return exec, ("print('run by a pickle')",)


def test_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    for name in NAMES:
        (tmp_path / name).write_bytes(pickle.dumps({"data": RunsCode(), "labels": []}))
    with pytest.raises(UserError, match=r"refused builtins\.exec"):
        cifar.decode_cifar(tmp_path)
    assert capsys.readouterr().out == ""


def test_damaged_pickle_is_named(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02}(U\x04da")
    with pytest.raises(UserError, match="data_batch_1: damaged"):
        cifar.decode_cifar(tmp_path)
