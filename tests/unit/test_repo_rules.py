"""The rules of the house that a program can check; CONTRIBUTING.md states them for people."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sgan", "pipeline")
MAX_FILE_LINES = 320
MAX_FUNCTION_LINES = 70
HEAVY = {"torch", "ray", "mlflow", "dvc", "boto3", "pyarrow", "webdataset", "matplotlib", "scipy"}

# A dialect of docstrings that is not ours: Google's sections and single backticks.
SPHINX = re.compile("``|:(func|class|mod|meth|attr|data|exc):`")

# Written in pieces, or this file would break its own rule.
REGISTRY_HOSTS = (
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js.",
    "download." + "pytorch",
    "anaconda" + ".org",
)


def sources() -> list[Path]:
    """Every module of the two packages."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in found} == set(PACKAGES)
    return found


def tracked_files() -> list[Path]:
    """Every file that git tracks and that is there; skips the test outside a git checkout."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_files_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources()}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [p for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert [str(p.relative_to(ROOT)) for p in silent] == []


def test_docstrings_speak_one_dialect() -> None:
    assert [str(p.relative_to(ROOT)) for p in sources() if SPHINX.search(p.read_text())] == []


def test_each_room_says_what_may_not_live_there() -> None:
    rooms = {path.parent for path in (ROOT / "pipeline").glob("*/*.py")}
    assert len(rooms) >= 11
    silent = [
        room.name
        for room in sorted(rooms)
        if "What may not live here: " not in (room / "__init__.py").read_text()
    ]
    assert silent == []


def test_no_module_is_a_box_of_utilities() -> None:
    assert [p for p in tracked_files() if p.name in {"utils.py", "helpers.py", "misc.py"}] == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    named = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        named += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRY_HOSTS if host in text]
    assert named == []


def test_the_command_line_starts_without_heavy_imports() -> None:
    program = "import json, sys, pipeline.cli; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert HEAVY & set(json.loads(run.stdout)) == set()
