"""The entry of an evaluation: what it imports, what it draws, what is asked for and what is had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.code import closure
from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.scores import levelwise
from pipeline.scores.asked import asked
from pipeline.scores.distribution import FIGURES
from pipeline.scores.evaluation import (
    averaging,
    draw,
    drawn_sets,
    judge_for,
    published,
    sample_scores,
    stack_scores,
)
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import RealImages, Samples
from pipeline.scores.lent import Means, Weights
from pipeline.scores.similarity import Lpips
from pipeline.threads import on_threads
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from tests import lighter

pytestmark = pytest.mark.usefixtures("few_pairs", "few_subsets")
SETTINGS = EvaluateConfig(
    num_samples=100, seeds=(1, 2), judge_epochs=2.0, cas=False, memory_images=50
)
MOVING = ("storage", "parts", "tracking", "report", "experiments", "execution", "stages", "data")
OURS = ("feature_cache", "means", "prepared", "shown", "wheels", "headline", "studies")


def none(*_: object) -> Weights:
    raise UserError("no source answered")


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Means:
    """Caches of this module, and no weights from elsewhere."""
    folder = tmp_path_factory.mktemp("lent")
    return Means(FeatureCache(folder), FeatureCache(folder), none, none, none)


@pytest.fixture
def stack() -> Stack:
    """Two levels for two digits, with random weights."""
    torch.manual_seed(3)
    levels = (LevelConfig(z_dim=4), LevelConfig(z_dim=4, ema_half_life_images=500))
    stack = Stack(StackConfig(ImageConfig(1, 28, 28, 2), EncoderConfig(cut=("fc",)), levels))
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return stack.eval()


def test_its_closure_holds_what_decides_and_nothing_that_moves_or_draws() -> None:
    found = set(closure("pipeline.scores.evaluation"))
    assert not {name for name in found if name.split(".")[1:2] in [[room] for room in MOVING]}
    assert not {f"pipeline.scores.{name}" for name in OURS} & found
    deciding = "judge judge_network inception inception_network similarity ndb labels levelwise"
    assert {f"pipeline.scores.{name}" for name in deciding.split()} <= found
    assert {"sgan.stack", "sgan.level", "sgan.metrics.frechet", "pipeline.scores.protocol"} <= found


def test_every_score_of_a_stack(
    stack: Stack, few: RealImages, lent: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    lighter.few_draws(monkeypatch)
    monkeypatch.setattr(levelwise, "_SHARES_DRAWS", 3)
    samples = drawn_sets(stack, SETTINGS, few)
    assert [one.seed for one in samples] == [1, 2] and len(samples[0].images) == 100
    np.testing.assert_array_equal(samples[0].labels, asked([200, 200], 0, 100))
    scores = stack_scores(stack, samples, few, SETTINGS, lent)
    keys = [score.key for score in scores]
    assert len(keys) == len(set(keys)) == 41
    assert {score.level for score in scores if score.metric == "q_explained"} == {0, 1}
    own = {score.n for score in scores if score.metric in ("entropy", "q_explained")}
    assert own == {100}  # no more samples than were asked for
    assert {s.varies for s in scores if s.metric == "diversity"} == {"all z", "z_0", "z_1"}
    for score in scores:
        assert score.metric and score.unit and score.n, score.key
        assert score.protocol["batch_norm"] == "running", score.key
        assert score.protocol["ema"] == "level 1 (half-life 500 images)", score.key
    again = stack_scores(stack, samples, few, SETTINGS, lent)  # all that is kept from the cache
    assert [(s.value, s.sd, s.real, s.real_sd) for s in again] == [
        (s.value, s.sd, s.real, s.real_sd) for s in scores
    ]


@pytest.mark.parametrize("count", [60, 530])
def test_samples_are_the_stack_s_own_whatever_is_drawn_at_once(stack: Stack, count: int) -> None:
    y = torch.arange(count) % 2
    own = stack.sample_uint8(y, generator=torch.Generator().manual_seed(7))
    with on_threads(2):
        found = draw(stack, y.numpy(), 7)
    np.testing.assert_array_equal(found.images, own)
    np.testing.assert_array_equal(found.labels, y)


def test_batch_statistics_while_sampling(stack: Stack, few: RealImages) -> None:
    running = drawn_sets(stack, replace(SETTINGS, seeds=(1,)), few)[0].images
    own = drawn_sets(stack, replace(SETTINGS, seeds=(1,), batch_norm="batch"), few)[0].images
    assert (running != own).any()
    assert averaging(stack) == "level 1 (half-life 500 images)"


def test_what_cannot_be_had_is_a_row_and_labels_are_not_invented(
    few: RealImages, lent: Means
) -> None:
    wanted = replace(SETTINGS, cas=True, lpips=True, inception=True)
    images = [Samples(few.test_images, None, 0)]
    rows = {score.key: score for score in sample_scores(images, few, wanted, lent)}
    missing = {f"{key}_100" for key in ("is", *FIGURES)}
    assert {key for key, row in rows.items() if row.value is None} == missing
    assert {rows[key].text() for key in missing} == {"not measured: no source answered"}
    assert not {"cas", "gan_test", "diversity_pixels", "diversity_lpips"} & set(rows)
    with_labels = [Samples(few.test_images, few.test_labels, 0)]
    rows = {s.key: s for s in sample_scores(with_labels, few, replace(wanted, cas=False), lent)}
    assert rows["diversity_lpips"].why == "no source answered" and rows["gan_test"].value > 0.9


def test_lpips_is_used_where_its_weights_are(few: RealImages, lent: Means, lpips: Lpips) -> None:
    bring = replace(lent, lpips_weights=lambda: (lpips.state_dict(), "a package"))
    images = [Samples(few.test_images, few.test_labels, 0)]
    rows = sample_scores(images, few, replace(SETTINGS, lpips=True), bring)
    score = next(row for row in rows if row.key == "diversity_lpips")
    assert score.judge == Lpips.name and score.protocol["weights"] == "a package"


def test_a_judge_s_training_is_told_to_its_end(few: RealImages, tmp_path: Path) -> None:
    """Of 70 images an epoch takes four batches of 16."""
    odd = replace(few, train_images=few.train_images[:70], train_labels=few.train_labels[:70])
    kept, said = FeatureCache(tmp_path), list[tuple[str, int, int]]()
    heard = Means(kept, kept, none, none, none, lambda *one: said.append(one))
    judge_for(odd, replace(SETTINGS, judge_epochs=1.0), heard)
    assert said[-1] == ("judge", 64, 64)


def test_a_published_judge_that_cannot_be_had(few: RealImages, lent: Means) -> None:
    with pytest.raises(UserError, match="no source answered"):
        judge_for(few, replace(SETTINGS, judge="resnet56"), lent)


def test_inception_compares_with_all_training_images_or_with_as_many_as_asked(lent: Means) -> None:
    def rows(settings: EvaluateConfig) -> list[int]:
        found: list[int] = published(settings, lent)["reference"].train(2000, 100, 1).tolist()
        return found

    assert rows(SETTINGS) == list(range(2000))
    assert rows(replace(SETTINGS, inception_images=300)) == list(range(300))
