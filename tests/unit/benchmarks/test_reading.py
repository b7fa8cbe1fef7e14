"""Folders of small PNGs and of large photos, read in processes of their own."""

from pathlib import Path

from PIL import Image

from benchmarks import reading


def test_photos_have_the_pixels_that_were_asked_for(tmp_path: Path) -> None:
    reading.photos(tmp_path, 20, 0.01)
    sizes = {Image.open(path).size for path in tmp_path.rglob("*.jpg")}
    assert sizes == {(100, 100)}
    assert len(list(tmp_path.iterdir())) == reading.CLASSES
