"""Scores say which code took them."""

from pipeline.code import closure_digest
from pipeline.scores.score import Score
from pipeline.scores.version import evaluation_version, stamped


def test_the_version_is_that_of_what_decides_scores() -> None:
    assert evaluation_version() == closure_digest("pipeline.scores.evaluation")[:12]
    (score,) = stamped([Score("FID", "fid", 1.0, protocol={"n_fake": 10})])
    assert score.protocol == {"n_fake": 10, "evaluation": evaluation_version()}
