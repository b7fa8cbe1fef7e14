"""The code that a result depends on: the import closure of its entry modules."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_OWN = ("sgan", "pipeline")


def closure_digest(*entries: str) -> str:
    """SHA-256 (hex) of the modules that `entries` import, directly or not, and of themselves.

    Imports inside functions count, those under `if TYPE_CHECKING` do not; comments, docstrings and
    layout do not either.
    """
    digest = hashlib.sha256()
    for name in sorted(closure(*entries)):
        digest.update(f"{name}\n{ast.dump(_tree(name))}\n".encode())
    return digest.hexdigest()


def closure(*entries: str) -> set[str]:
    """Names of the project's modules that running `entries` imports, themselves included."""
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(name)
    return found


@cache
def _imported(module: str) -> tuple[str, ...]:
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    parents = {".".join(name.split(".")[:n]) for name in found for n in range(1, 9)}
    return tuple(name for name in parents if name.split(".")[0] in _OWN and _file(name))


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    assert path is not None, f"no module {module}"
    return _Plain().visit(ast.parse(path.read_text(encoding="utf-8")))


@cache
def _file(module: str) -> Path | None:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


class _Plain(ast.NodeTransformer):
    """Drops docstrings and what only type checkers run."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        constant = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if constant else node
