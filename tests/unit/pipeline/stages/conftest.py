"""A project whose data is prepared: the real stage on 2,500 real digits."""

import shutil
from pathlib import Path

import pytest

from pipeline.compose import compose
from pipeline.stages import prepare

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist_small: Path) -> Path:
    compose(["data=mnist_small", f"data.source={mnist_small}"], tmp_path / "params.yaml")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    prepare.run()
    return tmp_path
