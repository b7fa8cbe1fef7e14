"""`dvc exp run -S …`: groups of conf/ and settings make params.yaml."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.params.compose import compose
from pipeline.params.loading import from_values, load

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def test_dvc_exp_run_takes_groups_and_settings(tmp_path: Path) -> None:
    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    shutil.copytree(CONF, tmp_path / "conf")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    stage = {"cmd": "grep lr_g params.yaml > out.txt", "params": ["levels"], "outs": ["out.txt"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"show": stage}}))
    (tmp_path / ".dvc").mkdir()  # as `dvc init` and git left it in this repository
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, tmp_path / ".dvc")
    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "start")
    run(*dvc, "exp", "run", "-q", "-S", "data=cifar10", "-S", "budget=paper", "-S", "joint.seed=7")
    params = load(root=tmp_path)
    groups = ("data=cifar10", "budget=paper", "joint.seed=7")
    assert params == from_values(compose(groups, conf=CONF))
    assert (params.data.name, params.joint.seed) == ("cifar10", 7)
    assert (tmp_path / "out.txt").read_text().count("lr_g: 0.0001") == 3
