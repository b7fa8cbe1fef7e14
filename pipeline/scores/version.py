"""Which code took a score: part of its protocol, so that another evaluation's is not compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from pipeline.code import closure_digest
from pipeline.scores.score import Score

_ENTRY = "pipeline.scores.evaluation"


@cache
def evaluation_version() -> str:
    """12 digits of the SHA-256 of all code that decides scores."""
    return closure_digest(_ENTRY)[:12]


def stamped(scores: Sequence[Score]) -> list[Score]:
    """The scores with `evaluation` in their protocols."""
    return [score.with_protocol(evaluation=evaluation_version()) for score in scores]
