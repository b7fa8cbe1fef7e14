"""The entry of an evaluation: what it imports, what it draws, what is asked for and what is had."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.code import closure
from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.scores.distribution import FIGURES
from pipeline.scores.evaluation import (
    averaging,
    draw,
    drawn_sets,
    judge_for,
    published,
    sample_scores,
)
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import RealImages, Samples
from pipeline.scores.lent import Means
from pipeline.scores.similarity import Lpips
from pipeline.threads import on_threads
from sgan.stack import Stack
from tests.lighter import SETTINGS, no_weights
from tests.stacks import random_stack

pytestmark = pytest.mark.usefixtures("few_pairs", "few_subsets")
MOVING = ("storage", "parts", "tracking", "report", "experiments", "execution", "stages", "data")
OURS = ("feature_cache", "means", "prepared", "shown", "wheels", "headline", "studies")


@pytest.fixture
def stack() -> Stack:
    """Two levels for two digits."""
    return random_stack(2, width=0.25)


def test_its_closure_holds_what_decides_and_nothing_that_moves_or_draws() -> None:
    found = set(closure("pipeline.scores.evaluation"))
    assert not {name for name in found if name.split(".")[1:2] in [[room] for room in MOVING]}
    assert not {f"pipeline.scores.{name}" for name in OURS} & found
    deciding = "judge judge_network inception inception_network similarity ndb labels levelwise"
    assert {f"pipeline.scores.{name}" for name in deciding.split()} <= found
    assert {"sgan.stack", "sgan.level", "sgan.metrics.frechet", "pipeline.scores.protocol"} <= found


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
    heard = Means(kept, kept, no_weights, no_weights, no_weights, lambda *one: said.append(one))
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
