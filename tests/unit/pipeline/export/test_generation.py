"""Making a set of samples: in chunks, after a stop, beside another process.

On a cluster, and after a kill: tests/integration/test_generate.py.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pipeline.data.sample_sets import sample_set
from pipeline.errors import UserError
from pipeline.export.forms import Recipe
from pipeline.export.generation import Generation
from pipeline.params.settings import RuntimeConfig
from pipeline.scores.inputs import RealImages
from pipeline.storage.store import Storage

CLASSES = tuple("0123456789")
COUNTS = (1, 1, 2, 1, 1, 1, 1, 5, 1, 1)
BLANK = np.zeros((1, 28, 28, 1), np.uint8)
REAL = RealImages(BLANK, np.zeros(1, int), BLANK, np.zeros(1, int), CLASSES, "")


@pytest.fixture
def generation(small_blocks: None, weights: Path, tmp_path: Path) -> Generation:
    """130 samples in chunks of 60."""
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    recipe = Recipe(sha256, 5, 130, CLASSES, COUNTS, (1, 28, 28), "npz")
    runtime = RuntimeConfig(device="cpu", threads={"judge": 1})
    out, storage = tmp_path / "out.npz", Storage(tmp_path / ".runs")
    return Generation(out, recipe, weights, runtime, storage, lambda *told: None, chunk=60)


def of_form(generation: Generation, form: str) -> Generation:
    out = generation.out.with_suffix(".npz" if form == "npz" else "")
    return replace(generation, out=out, recipe=replace(generation.recipe, form=form))


class Stop(Exception):
    """Somebody ends the process."""


def stopped_after(generation: Generation, count: int) -> Generation:
    """It ends when so many samples are told."""

    def told(what: str, done: int, total: int) -> None:
        if done >= count:
            raise Stop

    return replace(generation, told=told)


def test_every_form_reads_back_the_same(generation: Generation) -> None:
    found = {}
    for form in ("npz", "folder", "webdataset"):
        one = of_form(generation, form)
        assert one.run()
        assert not one.begun.exists()
        images, labels = found[form] = sample_set(one.out, REAL)
        assert images.shape == (130, 28, 28, 1)
        assert labels is not None
        assert labels.tolist() == generation.recipe.labels.tolist()
        if one.out.is_dir():
            one.out.rename(one.out.with_name(form))
    assert np.array_equal(found["npz"][0], found["folder"][0])
    assert np.array_equal(found["npz"][0], found["webdataset"][0])


def test_an_empty_mount_point_is_refused_before_anything_is_drawn(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = of_form(generation, "folder")
    one.out.mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == one.out)
    with pytest.raises(UserError, match=r"--out .*: a file system is mounted there"):
        one.run()
    assert not one.begun.exists()


def test_a_stop_leaves_nothing_half_and_the_next_goes_on(generation: Generation) -> None:
    heard = []
    with pytest.raises(Stop):
        stopped_after(generation, 80).run()
    assert not generation.out.exists()
    assert generation.done() == 60
    left = generation.begun / "chunks" / "00000060" / ".tmp-left"
    left.parent.mkdir(exist_ok=True)
    left.write_text("half")
    assert replace(generation, told=lambda *one: heard.append(one)).run()
    assert heard[0] == ("samples", 80, 130)
    whole = generation.out.read_bytes()
    generation.out.unlink()
    generation.run()
    assert generation.out.read_bytes() == whole


def test_a_stop_while_it_is_put_together_is_mended(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    one = of_form(generation, "folder")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            one.run()
    assert not one.out.exists()
    assert one.run()
    assert len(list(one.out.rglob("*.png"))) == 130


@pytest.mark.parametrize(("form", "limit"), [("npz", 1000), ("npz", 100_000), ("folder", 1000)])
def test_a_full_disk_is_told_and_leaves_nothing(
    generation: Generation, small_files: Callable[[int], None], form: str, limit: int
) -> None:
    """While a chunk is written, and while all are put together."""
    one = of_form(generation, form)
    small_files(limit)
    with pytest.raises(UserError, match="cannot be written: File too large"):
        one.run()
    assert not one.out.exists()


def test_the_same_again_does_nothing(generation: Generation) -> None:
    assert generation.run()
    before = generation.out.stat().st_mtime_ns
    assert not generation.run()
    assert generation.out.stat().st_mtime_ns == before


def test_chunks_that_a_kill_left_beside_a_whole_set_go(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Path.replace

    def killed(self: Path, target: Path) -> None:
        named(self, target)
        if target == generation.out:
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(Path, "replace", killed)
        generation.run()
    assert generation.out.is_file() and generation.done() == 130
    assert not generation.run()
    assert not generation.begun.exists()


def test_another_set_s_chunks_stay_beside_a_whole_one(generation: Generation) -> None:
    generation.run()
    aside = generation.out.rename(generation.out.with_name("aside"))
    with pytest.raises(Stop):
        stopped_after(replace(generation, chunk=40), 50).run()
    aside.rename(generation.out)
    assert not generation.run()
    assert (generation.begun / "chunks").is_dir()


def test_what_is_in_the_way_is_told(generation: Generation, tmp_path: Path) -> None:
    generation.run()
    other = replace(generation, recipe=replace(generation.recipe, seed=6))
    with pytest.raises(UserError, match="there is something else already"):
        other.run()
    folder = of_form(generation, "folder")
    folder.out.mkdir()
    folder.run()  # an empty folder is not in the way
    assert len(list(folder.out.rglob("*.png"))) == 130


def test_the_beginning_of_another_set_is_not_taken(generation: Generation) -> None:
    with pytest.raises(Stop):
        stopped_after(generation, 80).run()
    other = replace(generation, recipe=replace(generation.recipe, seed=6))
    with pytest.raises(UserError, match=r"beginning of another set \(other seed\)"):
        other.run()
    assert generation.done() == 60


def test_two_at_once_are_refused(generation: Generation) -> None:
    with pytest.raises(Stop):
        stopped_after(generation, 1).run()
    with FileLock(generation.begun / "lock"):
        with pytest.raises(UserError, match="another process is writing it"):
            generation.run()


def test_a_folder_of_that_name_which_is_not_ours_is_left_alone(generation: Generation) -> None:
    generation.begun.mkdir()
    (generation.begun / "mine").touch()
    with pytest.raises(UserError, match="is not what `sgan generate` left"):
        generation.run()
    assert [path.name for path in generation.begun.iterdir()] == ["mine"]
