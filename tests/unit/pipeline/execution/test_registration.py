"""An evaluated stack becomes a version of the registered model, once for the same weights."""

from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.execution.registration import model_name, register
from pipeline.execution.stage import opened
from pipeline.tracking.registry import CHALLENGER, Registry


def test_weights_are_registered_once_and_challenge_again(
    project: Path, evaluated: Any, saved_stack: Any
) -> None:
    with opened("evaluate") as stage, stage.run(None) as run:
        found: list[str] = []
        for seed in (1, 2, 1):
            if len(found) == 2:  # as where the first registration was cut short
                Registry(stage.tracker, model_name(stage)).describe("1", "")
            saved_stack(stage.path(paths.STACK_WEIGHTS), seed)
            found.append(register(stage, run, evaluated(fid=float(seed))))
        registry = Registry(stage.tracker, model_name(stage))
        challenger = registry.version(CHALLENGER)
    assert found == ["1", "2", "1"]
    assert challenger is not None and str(challenger.version) == "1"
    assert challenger.tags["sgan.fid"] == "1"
    assert challenger.description.startswith("# sgan-custom\n")
    assert "| FID (judge CNN, 10k) | 1.000 ± 0.02 | - |" in challenger.description
