"""Folders of small PNGs and of large photos, read in processes of their own."""

from pathlib import Path

from PIL import Image

from benchmarks import reading


def test_both_ways_read_every_png(tmp_path: Path) -> None:
    reading.pngs(tmp_path, 30)
    found = [reading.read(how, tmp_path) for how in ("pillow", "prepare")]
    assert [one.images for one in found] == [30, 30]
    assert all(one.rate > 0 for one in found)


def test_photos_have_the_pixels_that_were_asked_for(tmp_path: Path) -> None:
    reading.photos(tmp_path, 20, 0.01)
    sizes = {Image.open(path).size for path in tmp_path.rglob("*.jpg")}
    assert sizes == {(100, 100)}
    assert len(list(tmp_path.iterdir())) == reading.CLASSES
