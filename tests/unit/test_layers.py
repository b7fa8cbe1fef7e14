"""The method stands alone. Which room of the workflow imports which: the contracts of import-linter
in pyproject.toml, which `make lint` checks; what they cannot say is here."""

import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
METHOD_MAY_IMPORT = {"sgan", "torch", "numpy", "safetensors"} | set(sys.stdlib_module_names)


def test_the_method_names_only_torch_numpy_safetensors_and_the_standard_library() -> None:
    """Imports inside functions too. A contract names what is forbidden, not what is allowed."""
    graph = grimp.build_graph("sgan", include_external_packages=True, cache_dir=None)
    assert "torch" in graph.modules
    assert {name for name in graph.modules if name.split(".")[0] not in METHOD_MAY_IMPORT} == set()
