"""A stack is scored by the same work, whoever asks for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline import paths
from pipeline.execution.judging import scored
from pipeline.execution.stage import opened
from pipeline.parts.supplying import data_bundle, file_bundle


def test_scores_and_sheets_come_from_the_judge_s_threads(
    project: Path, saved_stack: Any, tmp_path: Path
) -> None:
    threads: set[int] = set()
    with opened("promote") as stage:
        weights, out = stage.path(paths.STACK_WEIGHTS), tmp_path / "out"
        saved_stack(weights, 1)
        out.mkdir()
        inputs = {
            "stack": file_bundle(weights),
            "data": data_bundle(stage.path(paths.DATA), ["train", "test"]),
        }
        settings = replace(stage.params.evaluate, num_samples=100, judge_epochs=0.05, cas=False)
        settings = replace(settings, memory_images=10, grid_columns=2)

        def told(what: str, done: int, total: int) -> None:
            threads.add(torch.get_num_threads())

        scores = scored(stage, inputs, out, told, settings)
        assert threads == {stage.params.runtime.threads_of("judge")}
    assert {"gan_test", "fid_judge_100"} <= {score.key for score in scores}
    assert (out / "samples.png").is_file()
