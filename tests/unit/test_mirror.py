"""Every module has a unit test in the same place: sgan/losses.py → tests/unit/sgan/test_losses.py.

A test that is looked for is found, and a module without one is seen.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sgan", "pipeline")

# What only a run of the whole can show, and where that is done. Keep this list short: a module
# that decides anything has cases that a unit test can name.
SHOWN_ELSEWHERE = {
    "sgan/training/batch.py": "two fields, filled in tests/unit/sgan/training/test_batches.py",
    "pipeline/cluster/handover.py": "on a real cluster: tests/integration/test_submit.py",
    "pipeline/parts/training.py": "a run on Ray and in a stage: tests/integration/test_cluster.py",
    "pipeline/parts/worker.py": "trains, resumes, is killed: tests/integration/test_kill.py",
    "pipeline/tuning/search.py": "a search on Ray: tests/integration/test_tune.py",
    "pipeline/stages/levels.py": "tests/integration/test_selective.py",
}


def unit_test(module: Path) -> Path:
    """Where the unit test of a module lies; that of a package's __init__ has the package's name."""
    folder = ROOT / "tests" / "unit" / module.parent
    name = module.parent.name if module.stem == "__init__" else module.stem
    return folder / f"test_{name}.py"


def needs_test(module: Path) -> bool:
    """False for what only starts another module, or holds no code at all."""
    body = ast.parse((ROOT / module).read_text()).body
    code = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if module.stem == "__main__":
        return False
    return bool(code) if module.stem == "__init__" else len(body) > 1


def modules() -> list[Path]:
    """Every module, relative to the root."""
    found = [p.relative_to(ROOT) for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))]
    assert len(found) > 50
    return found


def test_every_module_has_its_unit_test() -> None:
    missing = [
        f"{module} → {unit_test(module).relative_to(ROOT)}"
        for module in modules()
        if needs_test(module)
        and not unit_test(module).exists()
        and str(module) not in SHOWN_ELSEWHERE
    ]
    assert missing == []


def test_the_exceptions_are_modules_that_have_none() -> None:
    for name in SHOWN_ELSEWHERE:
        assert (ROOT / name).is_file(), f"{name} is gone: take it off the list"
        assert not unit_test(Path(name)).exists(), f"{name} has a test: take it off the list"


def test_the_exceptions_are_few() -> None:
    assert len(SHOWN_ELSEWHERE) <= len([m for m in modules() if needs_test(m)]) / 10
