"""A real evaluation's scores, and an empty folder to run commands in."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scores_json() -> Path:
    """Six scores of an evaluation of 10,000 MNIST samples, as the stage wrote them."""
    return Path(__file__).with_name("scores.json")


@pytest.fixture(autouse=True)
def _empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder that holds nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
