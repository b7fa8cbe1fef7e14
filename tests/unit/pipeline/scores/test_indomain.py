"""The in-domain protocol takes sets of one size. Its figures: tests/integration/scores."""

import pytest

from pipeline.errors import UserError
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import Kept, RealImages, Samples
from pipeline.scores.judge import Judge


def test_sets_of_different_size(few: RealImages, judge: Judge, kept: Kept) -> None:
    sets = [Samples(few.test_images[:n], few.test_labels[:n], n) for n in (100, 50)]
    with pytest.raises(UserError, match="equal size"):
        in_domain(sets, few, judge, kept)
