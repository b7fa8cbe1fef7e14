"""Scores over fewer draws, for tests in which these are not the subject."""

from functools import partial

import pytest

from pipeline.scores import distribution, diversity


def few_pairs(patch: pytest.MonkeyPatch) -> None:
    """SSIM over 100 pairs of all groups, not 2,000."""
    patch.setattr(diversity, "_SSIM_PAIRS", 100)


def few_subsets(patch: pytest.MonkeyPatch, subsets: int) -> None:
    """KID over `subsets` subsets, not 100."""
    patch.setattr(distribution, "kid", partial(distribution.kid, subsets=subsets))
