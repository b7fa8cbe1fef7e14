"""What `sgan tune` refuses before it trains; the rest is in tests/integration/test_tune.py."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution import tuning
from pipeline.execution.stage import opened
from pipeline.execution.tuning import Job
from pipeline.params.tuning import TuneConfig


def search(project: Path, space: dict[str, Any]) -> None:
    """From now on this is params.yaml's space."""
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["tune"]["space"] = space
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def outcome(level: int, resume: bool = False) -> None:
    with opened("tune") as stage:
        Job(stage, level, stage.params.tune, print).outcome(resume)


def test_a_level_without_a_space_is_told_where_to_write_one(project: Path) -> None:
    search(project, {"image": {}})
    with pytest.raises(UserError, match=r"tune.space.vector: level 1 has no space to search"):
        outcome(1)
    with pytest.raises(UserError, match=r"tune.space.image: level 0 has no space to search"):
        outcome(0)


def test_nothing_trained_yet_is_told(project: Path) -> None:
    with pytest.raises(UserError, match=r"features.arrow does not exist; run `dvc repro`"):
        outcome(1)


def with_inputs(project: Path) -> None:
    """What a search needs is there, as far as its keys are concerned."""
    for path in (paths.FEATURES_FILE, paths.ENCODER_WEIGHTS):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(b"not looked into")


def test_a_search_that_was_not_begun_cannot_go_on(project: Path) -> None:
    with_inputs(project)
    with pytest.raises(UserError, match=r"--resume: no search of level 1 with these settings"):
        outcome(1, resume=True)
    assert not (project / paths.TUNE).exists()


def test_a_space_of_one_setting_is_no_search(project: Path) -> None:
    search(project, {"1": {"z_dim": {"choice": [100]}}})
    with pytest.raises(UserError, match="holds nothing but level 1's present settings"):
        outcome(1)


def test_a_draw_that_its_place_in_the_stack_forbids_is_told(project: Path) -> None:
    with_inputs(project)
    search(project, {"image": {"cond_loss": {"choice": ["mse", "cross_entropy"]}}})
    told = (
        r"params.yaml: tune.space.image.cond_loss = 'cross_entropy': must be 'auto' or 'mse' below "
        "the top level, .*; take it out of the space$"
    )
    with pytest.raises(UserError, match=told):
        outcome(0)


def test_a_search_is_another_one_where_it_is_measured_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(None, 1, TuneConfig(), print)  # type: ignore[arg-type]
    parts: Any = [SimpleNamespace(key="key")]
    key = job._key(parts)
    assert job._key(parts) == key
    monkeypatch.setattr(tuning, "closure_digest", lambda entry: f"another {entry}")
    assert job._key(parts) != key


@pytest.mark.parametrize(("begun", "told"), [(False, "Begin again with"), (True, "--resume")])
def test_a_stop_before_the_first_trial_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, begun: bool, told: str
) -> None:
    def stopped(*_: Any) -> None:
        raise tuning.running.Stopped

    guard = SimpleNamespace(checkpointing=nullcontext, should_stop=lambda: True, signal_number=15)
    stage: Any = SimpleNamespace(guard=guard, session=lambda: None)
    stage.params = SimpleNamespace(runtime=SimpleNamespace(wait_seconds=0.0))
    wanted: Any = SimpleNamespace(parts=[None], can_go_on=begun)
    trials: Any = SimpleNamespace(on_look=None, on_report=None)
    said: list[str] = []
    monkeypatch.setattr(tuning.connection, "connected", nullcontext)
    monkeypatch.setattr(tuning.running, "preflight", stopped)
    with pytest.raises(SystemExit) as ended:
        Job(stage, 1, TuneConfig(), said.append)._run(wanted, trials, begun)
    assert ended.value.code == 128 + 15
    assert len(said) == 1 and said[0].startswith("Stopped") and told in said[0]
