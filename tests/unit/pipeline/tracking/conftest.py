"""A tracker on a database of its own, and the lineage of its runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking.lineage import Lineage, lineage
from pipeline.tracking.tracker import Tracker

PARAMS: dict[str, Any] = {"levels": {"1": {"learning_rate": 1e-4}}, "data": {"name": "mnist"}}


@pytest.fixture
def root(tmp_path: Path, mlflow_database: Path) -> Path:
    """A project that has a tracking database, and no runs."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def tracker(root: Path) -> Tracker:
    return Tracker(root)


@pytest.fixture
def line(root: Path) -> Lineage:
    return lineage(PARAMS, root)
