"""Image files of any origin as arrays of one shape."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.image_files import image_files, read_images
from pipeline.errors import UserError


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an array as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_files_of_a_folder_are_found_at_any_depth_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.jpg", "a/1.png", ".hidden.png", ".cache/3.png"):
        save(tmp_path / name, np.zeros((4, 4), np.uint8))
    (tmp_path / "notes.txt").write_text("none")
    found = [str(path.relative_to(tmp_path)) for path in image_files(tmp_path)]
    assert found == ["a/1.png", "a/2.jpg", "b.png"]
    assert image_files(tmp_path / "b.png") == [tmp_path / "b.png"]


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    save(tmp_path / "real" / "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    assert image_files(tmp_path / "set") == [tmp_path / "set" / "link" / "a.png"]


def test_an_empty_folder_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images in it"):
        image_files(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        image_files(tmp_path / "none")


def test_grey_and_colour_become_what_the_stack_takes(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", np.full((4, 6), 100, np.uint8))
    red = save(tmp_path / "red.png", np.full((4, 6, 3), (255, 0, 0), np.uint8))
    one = read_images([grey, red], (1, 4, 6))
    assert one.shape == (2, 4, 6, 1)
    assert (one[0] == 100).all()
    assert (one[1] == 76).all()  # 0.299 of red, ITU-R 601
    three = read_images([grey, red], (3, 4, 6))
    assert (three[0] == 100).all()
    assert (three[1] == (255, 0, 0)).all()


def test_another_size_is_refused_or_resized(tmp_path: Path) -> None:
    wide = np.zeros((8, 16), np.uint8)
    wide[:, 4:12] = 200
    path = save(tmp_path / "wide.png", wide)
    with pytest.raises(UserError, match=r"wide.png: 16x8 pixels; needed are 4x4 \(--resize"):
        read_images([path], (1, 4, 4))
    assert (read_images([path], (1, 4, 4), resize=True) == 200).all()


def test_photos_are_read_as_training_data_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    wide.save(tmp_path / "turned.png", exif=exif)
    assert read_images([tmp_path / "turned.png"], (3, 6, 4)).shape == (1, 6, 4, 3)
    save(tmp_path / "clear.png", np.zeros((4, 6, 4), np.uint8))
    assert (read_images([tmp_path / "clear.png"], (3, 4, 6)) == 255).all()


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"bad.png: cannot be read as an image"):
        read_images([path], (1, 4, 4))
    deep = save(tmp_path / "deep.tif", np.full((4, 4), 0.5, np.float32))
    with pytest.raises(UserError, match=r"deep.tif: .* \(pixel type 'F'; only grey and colour"):
        read_images([deep], (1, 4, 4))
