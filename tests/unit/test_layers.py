"""Imports run one way: stages, then the rest of the workflow, then the method."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
METHOD_MAY_IMPORT = {"sgan", "torch", "numpy", "safetensors"} | set(sys.stdlib_module_names)
WORKFLOW_ONLY = {"ray", "mlflow", "dvc", "boto3", "pyarrow", "webdataset", "pydantic", "pipeline"}
MAY_IMPORT_STAGES = (
    "pipeline/stages/",
    "pipeline/commands/",
    "pipeline/cli.py",
    "pipeline/__main__.py",
)

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
import sgan
names = [module.name for module in pkgutil.walk_packages(sgan.__path__, "sgan.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted({m.split(".")[0] for m in sys.modules})}))
"""


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line, absolute module name) for every import statement, nested ones too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def modules(package: str) -> list[Path]:
    """Every source file of a package, which must exist."""
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"no modules in {package}/"
    return found


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
    strangers = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules("sgan")
        for line, name in imports_of(path)
        if name.split(".")[0] not in METHOD_MAY_IMPORT
    ]
    assert strangers == []


def test_only_the_command_line_and_the_stages_import_stages() -> None:
    upward = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules("pipeline")
        for line, name in imports_of(path)
        if name.startswith("pipeline.stages")
        and not str(path.relative_to(ROOT)).startswith(MAY_IMPORT_STAGES)
    ]
    assert upward == []


def test_relative_and_nested_imports_are_seen(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    source = tmp_path / "sgan" / "training" / "loop.py"
    source.parent.mkdir(parents=True)
    source.write_text("from ..losses import adversarial\ndef f():\n    import ray.train\n")
    assert set(imports_of(source)) == {
        (1, "sgan.losses"),
        (1, "sgan.losses.adversarial"),
        (3, "ray.train"),
    }
