"""Decoding what a survey found: settings, archives, arrays."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import formats
from pipeline.errors import UserError


def npz(path: Path, count: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)
    np.savez(path, images=images, labels=np.arange(count) % 2)
    return path


def packed(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, folder.name)
    return archive


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "tfrecord"}, r"data.format is 'tfrecord'; allowed: auto, idx, npz"),
        ({"on_bad_image": "ignore"}, r"data.on_bad_image is 'ignore'; allowed: error, skip"),
        ({"format": "folder"}, r"data.format is folder, but this is a file"),
        ({"name": "mnist", "classes": ["a", "b"]}, r"data.classes is .*, but mnist has its own"),
        ({"name": "svhn", "splits": {}}, r"data.splits is {}, but svhn has its own splits; remove"),
    ],
)
def test_settings_that_do_not_exist_or_fit(tmp_path: Path, settings, change, message) -> None:
    with pytest.raises(UserError, match=message):
        formats.decode(npz(tmp_path / "x.npz"), settings(**change))


def test_an_archive_is_opened_and_gone_afterwards(tmp_path: Path, settings, own_cache: Path):
    plain, _ = formats.decode(npz(tmp_path / "set" / "x.npz"), settings())
    archive = packed(tmp_path / "set", tmp_path / "set.tar")
    decoded, description = formats.decode(archive, settings())
    assert (description.form, description.place) == ("npz", "tar")
    np.testing.assert_array_equal(decoded.train[0], plain.train[0])
    assert list(own_cache.iterdir()) == []


def test_what_is_wrong_inside_an_archive_names_the_archive(tmp_path: Path, settings) -> None:
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat" / "1.png").write_bytes(b"x")
    (tmp_path / "set" / "dog").mkdir()
    (tmp_path / "set" / "dog" / "1.png").write_bytes(b"x")
    archive = packed(tmp_path / "set", tmp_path / "set.tar")
    with pytest.raises(UserError, match=rf"{archive}/set/cat/1.png: cannot use this image"):
        formats.decode(archive, settings())


def test_the_description_is_heard_before_anything_is_decoded(tmp_path: Path, settings) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"broken")

    def refuse(description) -> None:
        raise UserError(f"heard of {description.read} images")

    with pytest.raises(UserError, match="heard of 2 images"):
        formats.decode(tmp_path, settings(), heard=refuse)


def test_the_names_of_an_npz_are_put_in_the_order_that_is_set(tmp_path: Path, settings) -> None:
    x, y = np.arange(6, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2), np.arange(6) % 3
    names, path = np.array(["cat", "dog", "eel"]), tmp_path / "x.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[:3], y_test=y[:3], classes=names)
    decoded, _ = formats.decode(path, settings(classes=["eel", "cat", "dog"]))
    assert decoded.classes == ("eel", "cat", "dog")
    assert decoded.train[1].tolist() == [1, 2, 0, 1, 2, 0]
    assert decoded.test[1].tolist() == [1, 2, 0]


def test_shards_of_our_own_keep_their_classes(written: Path, settings) -> None:
    decoded, _ = formats.decode(written, settings(classes=["a", "b", "c", "d"]), sides=None)
    assert decoded.classes == ("a", "b", "c", "d")
    some, _ = formats.decode(written, settings(), sides=None, wanted=lambda p: p.endswith("0.tar"))
    assert some.classes == ("a", "b", "c", "d")
    with pytest.raises(UserError, match=r"names b, a, c, d, and manifest.* names a, b, c, d"):
        formats.decode(written, settings(classes=["b", "a", "c", "d"]))


@pytest.mark.parametrize("source", [".", "wrap", "set.tar", "wrap/data/train-00000.tar"])
def test_and_wherever_they_lie(written: Path, tmp_path: Path, settings, source: str) -> None:
    (tmp_path / "x" / "wrap").mkdir(parents=True)
    written.rename(tmp_path / "x" / "wrap" / "data")
    packed(tmp_path / "x" / "wrap", tmp_path / "x" / "set.tar")
    if source != "set.tar":
        (tmp_path / "x" / "set.tar").unlink()
    decoded, description = formats.decode(tmp_path / "x" / source, settings(), sides=None)
    assert decoded.classes == description.classes == ("a", "b", "c", "d")


def test_every_array_is_resized(tmp_path: Path, settings) -> None:
    decoded, _ = formats.decode(npz(tmp_path / "x.npz"), settings(image_size=28))
    assert decoded.train[0].shape[1:] == (28, 28, 1)
    assert decoded.test is None
