"""Scores over fewer draws, for tests in which these are not the subject."""

from functools import partial

import pytest

from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.scores import distribution, diversity, levelwise
from pipeline.scores.lent import Weights

# An evaluation of two digits.
SETTINGS = EvaluateConfig(
    num_samples=100, seeds=(1, 2), judge_epochs=2.0, cas=False, memory_images=50
)


def no_weights(*_: object) -> Weights:
    """Of any published judge: there are none."""
    raise UserError("no source answered")


def few_pairs(patch: pytest.MonkeyPatch) -> None:
    """SSIM over 100 pairs of all groups, not 2,000."""
    patch.setattr(diversity, "_SSIM_PAIRS", 100)


def few_subsets(patch: pytest.MonkeyPatch, subsets: int) -> None:
    """KID over `subsets` subsets, not 100."""
    patch.setattr(distribution, "kid", partial(distribution.kid, subsets=subsets))


def few_draws(patch: pytest.MonkeyPatch) -> None:
    """Each z_i drawn 5 times in a group of a class, not 25 times in 4 groups."""
    patch.setattr(levelwise, "_GROUPS_PER_CLASS", 1)
    patch.setattr(levelwise, "_DRAWS", 5)
