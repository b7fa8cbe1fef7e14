"""Where a stack is scored."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import paths
from pipeline.execution.judging import scored
from pipeline.execution.stage import opened
from pipeline.parts.supplying import data_bundle, file_bundle
from pipeline.threads import at_once


class Enough(Exception):
    """What was to be seen has been seen; the scores themselves are the evaluation's tests."""


def test_a_stack_is_scored_on_the_judge_s_threads_and_real_images_on_their_own(
    project: Path, saved_stack: Any, tmp_path: Path
) -> None:
    seen = []

    def told(what: str, done: int, total: int) -> None:
        seen.append((what, torch.get_num_threads(), at_once()))
        raise Enough

    with opened("promote") as stage:
        weights = stage.path(paths.STACK_WEIGHTS)
        saved_stack(weights, 1)
        inputs = {
            "stack": file_bundle(weights),
            "data": data_bundle(stage.path(paths.DATA), ["train", "test"]),
        }
        settings = replace(stage.params.evaluate, num_samples=100)
        here, runtime = torch.get_num_threads(), stage.params.runtime
        judges, reals = (runtime.threads_of(kind) for kind in ("judge", "reference"))
        assert judges != reals
        torch.set_num_threads(judges + 1)
        try:
            with pytest.raises(Enough):
                scored(stage, inputs, tmp_path, told, settings)
            assert seen == [("judge", reals, judges)]
            assert torch.get_num_threads() == judges + 1
        finally:
            torch.set_num_threads(here)
