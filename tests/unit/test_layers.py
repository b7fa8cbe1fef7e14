"""The method stands alone. Which room of the workflow imports which: the contracts of import-linter
in pyproject.toml, which `make lint` checks; what they cannot say is here."""

import json
import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
METHOD_MAY_IMPORT = {"sgan", "torch", "numpy", "safetensors"} | set(sys.stdlib_module_names)
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


def test_the_method_names_only_torch_numpy_safetensors_and_the_standard_library() -> None:
    """Imports inside functions too. A contract names what is forbidden, not what is allowed."""
    graph = grimp.build_graph("sgan", include_external_packages=True, cache_dir=None)
    assert "torch" in graph.modules
    assert {name for name in graph.modules if name.split(".")[0] not in METHOD_MAY_IMPORT} == set()
