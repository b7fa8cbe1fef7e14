"""Which code decides a result: the import closure of an entry module, and its digest.

A part's key, the `deps` of a stage in dvc.yaml and the name of an ablation all come from here, so
that nobody keeps a list of "the code that counts". What only moves, stores, places, reports or
draws is not imported by what decides, and is therefore in no digest.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import UserError

PACKAGES = ("sgan", "pipeline")
ROOT = Path(__file__).resolve().parents[1]


class ClosureError(UserError):
    """An entry that does not exist, or an import whose target cannot be told from the code."""


@dataclass(frozen=True)
class _Source:
    """A module's own text: what it imports, and its syntax without what is only wording."""

    imports: tuple[str, ...]
    packages: tuple[str, ...]  # of import_module(f"package.{…}"): any module of it
    words: frozenset[str]  # its strings
    meaning: str


def closure(
    *entries: str, chosen: Mapping[str, str] | None = None, root: Path = ROOT
) -> dict[str, Path]:
    """The modules of this project that run when the entries do, by name, sorted.

    Imports inside functions count, those under `if TYPE_CHECKING` do not. A module's packages run
    with it; one that only says in a docstring what it is decides nothing and is left out.
    `import_module(f"package.{name}")` stands for every module of the package, or for the one that
    `chosen` names.

    Args:
        entries: dotted names of modules.
        chosen: by package, the module of it that a computed import takes: {"sgan.architectures":
            "mnist"}.
        root: the folder that holds the packages.

    Raises:
        ClosureError: an entry that is no module of the project, or a computed import that cannot
            be followed.
    """
    found: dict[str, Path] = {}
    waiting, seen = list(entries), set[str]()
    for entry in entries:
        if _file(entry, root) is None:
            raise ClosureError(f"{entry}: no such module below {root}")
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file(name, root)
        if path is None:
            continue
        found[name] = path
        source = _read(path, name)
        waiting += source.imports
        for package in source.packages:
            one = (chosen or {}).get(package)
            waiting += [f"{package}.{one}"] if one else _modules(package, root)
        waiting += [name.rpartition(".")[0]] if "." in name else []
    return {name: path for name, path in sorted(found.items()) if _read(path, name).meaning}


def closure_digest(
    *entries: str, chosen: Mapping[str, str] | None = None, root: Path = ROOT
) -> str:
    """SHA-256 (hex) of the closure: its syntax without comments and docstrings, and the data files
    that it names, so that wording throws no result away. Raises ClosureError."""
    total, modules = hashlib.sha256(), closure(*entries, chosen=chosen, root=root)
    for name, path in modules.items():
        total.update(f"{name}\n{_read(path, name).meaning}\n".encode())
    for path in data_files(modules):
        total.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return total.hexdigest()


def data_files(modules: Mapping[str, Path]) -> list[Path]:
    """The files other than code (templates, styles) that lie below a module and that it names: by
    a string that is the file's name, or the name of a folder that it lies in."""
    words: dict[Path, set[str]] = {}
    for name, path in modules.items():
        words.setdefault(path.parent, set()).update(_read(path, name).words)
    found = {
        file
        for folder, named in words.items()
        for file in _other_than_code(folder)
        if named.intersection(file.relative_to(folder).parts) and file.is_file()
    }
    return sorted(found)


def _other_than_code(folder: Path) -> Iterator[Path]:
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(below, name) for name in names if not name.endswith((".py", ".pyc")))


def _file(name: str, root: Path) -> Path | None:
    """The source of a module or package of the project, None for anything else."""
    package = name.split(".")[0]
    if package not in PACKAGES:
        return None
    path = _home(package, root).joinpath(*name.split("."))
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


def _home(package: str, root: Path) -> Path:
    """The folder that holds a package: on another node each of them lies in one of its own."""
    if root == ROOT and not (root / package).is_dir():
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            return Path(place).parent
    return root


def _modules(package: str, root: Path) -> list[str]:
    folder = _home(package.split(".")[0], root).joinpath(*package.split("."))
    return [f"{package}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]


def _read(path: Path, name: str) -> _Source:
    status = path.stat()
    return _parsed(path, name, status.st_mtime_ns, status.st_size)


@cache
def _parsed(path: Path, name: str, *_: int) -> _Source:
    tree = _Runtime().visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports: list[str] = []
    packages: list[str] = []
    for node in ast.walk(tree):
        imports += _imported(node, package)
        if isinstance(node, ast.Call):
            literal, computed = _computed(node, path)
            imports += literal
            packages += computed
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    words = frozenset(value for value in constants if isinstance(value, str))
    meaning = ast.dump(tree) if tree.body else ""
    return _Source(tuple(imports), tuple(packages), words, meaning)


class _Runtime(ast.NodeTransformer):
    """Drops what does not run: docstrings, and imports for the type checker alone; and what only
    Python 3.12 says of a function or a class, that it has no type parameters."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
        if vars(node).get("type_params") == []:
            del vars(node)["type_params"]
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(inner) for inner in node.orelse]
        return self.generic_visit(node)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*(above if node.level else []), *([node.module] if node.module else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _computed(node: ast.Call, path: Path) -> tuple[list[str], list[str]]:
    """(modules, packages) that a call of import_module names; ([], []) for other calls."""
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if called not in ("import_module", "__import__"):
        return [], []
    target = node.args[0] if node.args else None
    if isinstance(target, ast.Constant) and isinstance(target.value, str):
        return [target.value], []
    if isinstance(target, ast.JoinedStr) and isinstance(target.values[0], ast.Constant):
        prefix = str(target.values[0].value)
        if prefix.endswith(".") and len(target.values) == 2:
            return [], [prefix.removesuffix(".")]
    raise ClosureError(f'{path}:{node.lineno}: import_module takes "module" or f"package.{{name}}"')
