"""What `sgan tune` refuses before it trains; the rest is in tests/integration/test_tune.py."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import opened
from pipeline.execution.tuning import Job


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


def test_a_search_that_was_not_begun_cannot_go_on(project: Path) -> None:
    for path in (paths.FEATURES_FILE, paths.ENCODER_WEIGHTS):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(b"not looked into")
    with pytest.raises(UserError, match=r"--resume: no search of level 1 with these settings"):
        outcome(1, resume=True)
    assert not (project / paths.TUNE).exists()


def test_a_space_of_one_setting_is_no_search(project: Path) -> None:
    search(project, {"1": {"z_dim": {"choice": [100]}}})
    with pytest.raises(UserError, match="holds nothing but level 1's present settings"):
        outcome(1)
