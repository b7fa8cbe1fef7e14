"""Sample k of a seed does not depend on how many are drawn, nor from where on."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.data.pixels import png
from pipeline.export.samples import ARRAY, BLOCK, SHARD, blocks, draw, noise, write_shard
from pipeline.scores import evaluation
from pipeline.scores.asked import asked
from sgan.stack import Stack
from sgan.weights import load_stack

COUNTS = (1, 1, 2, 1, 1, 1, 1, 5, 1, 1)


@pytest.fixture(scope="module")
def stack(weights: Path) -> Stack:
    return load_stack(weights)


def drawn(stack: Stack, seed: int, start: int, stop: int) -> np.ndarray:
    return np.concatenate(list(blocks(stack, COUNTS, seed, start, stop)))


def test_they_are_those_that_evaluate_draws(stack: Stack) -> None:
    theirs = evaluation.draw(stack, asked(COUNTS, 0, 2 * BLOCK), 5)
    assert np.array_equal(drawn(stack, 5, BLOCK, 2 * BLOCK), theirs.images[BLOCK:])


@pytest.fixture
def whole(small_blocks: None, stack: Stack) -> np.ndarray:
    """The first 52 samples of seed 5: two blocks of 20, and some of a third."""
    return drawn(stack, 5, 0, 52)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 19), (20, 52), (40, 41)])
def test_any_part_of_them_is_the_same(
    stack: Stack, whole: np.ndarray, start: int, stop: int
) -> None:
    assert np.array_equal(drawn(stack, 5, start, stop), whole[start:stop])


def test_another_seed_gives_others(stack: Stack, whole: np.ndarray) -> None:
    others = drawn(stack, 6, 0, 20)
    assert not np.array_equal(others, whole[:20])
    assert len(np.unique(whole.reshape(len(whole), -1), axis=0)) == len(whole)


def test_noise_goes_on_at_any_block(stack: Stack) -> None:
    stream = noise(stack, 3)
    first, second = next(stream), next(stream)
    later = next(noise(stack, 3, start=1))
    assert all(torch.equal(later[i], second[i]) for i in (0, 1))
    assert not any(torch.equal(first[i], second[i]) for i in (0, 1))
    assert first[0].shape == (500, 4)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_chunk_is_one_file_of_the_same_bytes(
    weights: Path, whole: np.ndarray, tmp_path: Path, encoded: bool
) -> None:
    said: list[tuple[str, int, int]] = []
    settings = {
        "device": "cpu",
        "frequencies": COUNTS,
        "seed": 5,
        "start": 20,
        "stop": 52,
        "encoded": encoded,
    }
    for name in "ab":
        (tmp_path / name).mkdir()
        draw({"stack": str(weights)}, tmp_path / name, lambda *one: said.append(one), **settings)
    file = SHARD if encoded else ARRAY
    assert [path.name for path in (tmp_path / "a").iterdir()] == [file]
    assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert said[:2] == [("samples", 20, 32), ("samples", 32, 32)]
    if not encoded:
        assert np.array_equal(np.load(tmp_path / "a" / file), whole[20:52])


def test_a_shard_has_pictures_and_labels(tmp_path: Path, whole: np.ndarray) -> None:
    write_shard(tmp_path / "s.tar", whole[20:33], 20, asked(COUNTS, 20, 33))
    with tarfile.open(tmp_path / "s.tar") as shard:
        names = shard.getnames()
        assert names[:2] == ["00000020.cls", "00000020.png"]
        assert len(names) == 26
        assert shard.extractfile("00000032.cls").read() == b"7"  # type: ignore[union-attr]
        with Image.open(shard.extractfile("00000032.png")) as image:  # type: ignore[arg-type]
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), whole[32, ..., 0])


def test_colour_stays_colour(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    (tmp_path / "x.png").write_bytes(png(pixels))
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)
