"""What only a process of its own can show: what it loads, its memory, how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import feature_writer, shard_writer
from pipeline.data.dataset import Dataset
from pipeline.params.settings import DataConfig

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


COUNT = """
import resource, torch
from pipeline.memory import keep_freed

def step():
    maps = [torch.ones(size) for size in range(20_000, 300_000, 1_000)]

def faults():
    for _ in range(4):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
assert keep_freed()
print(usual, faults())
"""


def test_pages_are_taken_once() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", COUNT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10


def test_read_maps_the_file_without_a_copy(tmp_path: Path) -> None:
    """A tensor of 64 MB costs no memory of its own until it is used."""
    path = tmp_path / "big.arrow"
    feature_writer.write(path, {"h": np.zeros((16_000, 1000), np.float32)})
    program = f"""
import resource, torch
from pipeline.data import feature_writer, features, opening
features.read({str(path)!r}, "h")[0].sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept = features.read({str(path)!r}, "h")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, kept[15_999].sum().item())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    grown_kib, last_row = done.stdout.split()
    assert int(grown_kib) < 20_000 and float(last_row) == 0


LOADS_NOTHING = """
import sys, torch
from sgan.training.optimizers import Adam, AdamW
for kind in (Adam, AdamW):
    net = torch.nn.Linear(2, 2)
    optimizer = kind(net.parameters(), fused=True)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_nothing_of_the_compiler_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADS_NOTHING], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


WORKFLOW_ONLY = {"ray", "mlflow", "dvc", "boto3", "pyarrow", "webdataset", "pydantic", "pipeline"}


IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
import sgan
names = [module.name for module in pkgutil.walk_packages(sgan.__path__, "sgan.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted({m.split(".")[0] for m in sys.modules})}))
"""


def test_importing_the_method_loads_nothing_of_the_workflow() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert "sgan.config" in report["imported"]
    assert "torch" in report["loaded"]
    assert WORKFLOW_ONLY & set(report["loaded"]) == set()


def test_a_process_that_read_the_manifest_ends_cleanly(tmp_path: Path) -> None:
    """Arrow's and torch's threads together made most such processes abort at their end."""
    images, labels = np.zeros((10, 4, 4, 1), np.uint8), np.arange(10) % 2
    made = Dataset(images, labels, images, labels, ("a", "b"))
    shard_writer.write(made, tmp_path, DataConfig("custom", "here"))
    program = "import sys, torch; from pipeline.data.manifest import Manifest; "
    program += "Manifest.load(sys.argv[1])"
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate()[1], process.returncode) for process in processes]
    assert ended == [("", 0)] * 2
