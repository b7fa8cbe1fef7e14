"""Pictures that other programs can read, and no half-written one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.npz import pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels(channels: int, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    pictures.write_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read).reshape(image.shape), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_curves_of_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, target = tmp_path / "log.jsonl", tmp_path / "curves.png"
    assert not pictures.curves(log, target)  # nothing was trained
    rows = [
        {"part": part, "images": images, "images_per_second": 9, f"{part}/{loss}": 0.5}
        for part, loss in (("level0", "loss_g_adv"), ("encoder", "loss"), ("level0", "loss_d"))
        for images in (50, 100)
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert pictures.curves(log, target)
    with Image.open(target) as read:
        assert 600 < read.width < 800  # two panels: D's total is left out
    target.unlink()
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    assert not pictures.curves(log, target) and not target.exists()
