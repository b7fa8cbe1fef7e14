"""What real images give is the same, and asked for by the same names, whenever it is done."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.code import closure
from pipeline.params.settings import EvaluateConfig
from pipeline.scores import evaluation
from pipeline.scores.beforehand import do_beforehand, is_done
from pipeline.scores.evaluation import judge_for, sample_scores
from pipeline.scores.inputs import RealImages, Samples, Told, unheard
from pipeline.scores.judge_network import JudgeNetwork
from pipeline.scores.lent import Means
from pipeline.scores.means import means
from pipeline.storage.store import Storage
from pipeline.threads import on_threads
from tests import lighter

pytestmark = pytest.mark.usefixtures("few_pairs", "few_subsets")
SETTINGS = EvaluateConfig(
    num_samples=100, seeds=(1,), judge_epochs=1.0, cas_epochs=1.0, memory_images=50
)


def lent(folder: Path, told: Told = unheard) -> Means:
    return means(Storage(folder), told, precision="float32", threads=1)


def kept_only(found: Means) -> Means:
    """Means that compute nothing."""

    def strict(kept: Callable) -> Callable:
        def ask(module: str, name: str, compute: Callable) -> dict[str, np.ndarray]:
            return kept(module, name, lambda: pytest.fail(f"{module} {name} was not kept"))

        return ask

    return replace(found, kept=strict(found.kept), judges=strict(found.judges))


@pytest.fixture(scope="module")
def done(few_small: RealImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage in which it is done; nobody may change it."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch, on_threads(2):  # what it is beside has others
        lighter.few_pairs(patch)
        lighter.few_subsets(patch, 20)
        do_beforehand(few_small, SETTINGS, lent(folder))
    return folder


def test_scores_are_the_same_and_nothing_real_is_computed_again(
    few_small: RealImages, done: Path, tmp_path: Path
) -> None:
    images = [Samples(few_small.test_images, few_small.test_labels, 1)]
    cold = sample_scores(images, few_small, SETTINGS, lent(tmp_path))
    warm = sample_scores(images, few_small, SETTINGS, kept_only(lent(done)))
    assert [score.as_dict() for score in warm] == [score.as_dict() for score in cold]
    assert {"cas", "fid", "ndb", "memorisation_gap"} <= {score.metric for score in warm}


def test_all_that_comes_of_the_judge_is_kept_under_its_network_s_code(
    few_small: RealImages, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(JudgeNetwork):
        """As a published judge's, which lies in a module that no other imports."""

    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    found, asked = lent(tmp_path), list[tuple[str, str]]()
    judge = judge_for(few_small, SETTINGS, found)
    network = Other(judge.image_shape, judge.num_classes)
    network.load_state_dict(judge.network.state_dict())
    Other.__module__ = "pipeline.scores.cifar10_networks"
    published = replace(judge, network=network.eval())
    monkeypatch.setattr(evaluation, "judge_for", lambda *_: published)

    def ask(module: str, name: str, compute: Callable) -> dict[str, np.ndarray]:
        asked.append((module, name))
        return found.kept(module, name, compute)

    do_beforehand(few_small, replace(SETTINGS, cas=False), replace(found, kept=ask))
    of_judge = [module for module, name in asked if judge.digest in name]
    assert len(of_judge) == 6
    assert all("pipeline.scores.cifar10_networks" in closure(*m.split()) for m in of_judge)


def test_it_is_done_once_for_these_images_and_settings(
    few_small: RealImages, done: Path, tmp_path: Path
) -> None:
    storage, own = Storage(done), (few_small.identity, SETTINGS, "float32")
    assert not is_done(Storage(tmp_path), *own)
    assert is_done(storage, *own)
    assert is_done(storage, few_small.identity, replace(SETTINGS, grid_columns=3), "float32")
    for other in (
        ("other", SETTINGS, "float32"),
        (few_small.identity, replace(SETTINGS, judge_epochs=4.0), "float32"),
        (few_small.identity, SETTINGS, "bfloat16"),
    ):
        assert not is_done(storage, *other)
    heard: list[str] = []
    do_beforehand(few_small, SETTINGS, lent(done, lambda what, *_: heard.append(what)))
    assert heard == []


def test_what_was_broken_off_goes_on_with_what_is_kept(
    few_small: RealImages, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(what: str, done: int, total: int) -> None:
        if what == "floors and ceilings":
            raise Killed

    with pytest.raises(Killed):
        do_beforehand(few_small, SETTINGS, lent(tmp_path, kill))
    assert not is_done(Storage(tmp_path), few_small.identity, SETTINGS, "float32")
    heard: list[str] = []
    do_beforehand(few_small, SETTINGS, lent(tmp_path, lambda what, *_: heard.append(what)))
    assert "judge" not in heard and "floors and ceilings" in heard
    assert is_done(Storage(tmp_path), few_small.identity, SETTINGS, "float32")
