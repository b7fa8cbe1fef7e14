"""What decides a result is told by its code: edits of a copy of the project, and the keys."""

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.code import ROOT, ClosureError, closure, closure_digest, data_files
from sgan.config import ARCHITECTURES

PARTS = ("encoder", "level", "joint")
MNIST = {"sgan.architectures": "mnist"}
MOVING = (
    "pipeline/storage",
    "pipeline/cluster",
    "pipeline/tracking",
    "pipeline/parts/running.py",
    "pipeline/parts/checkpoints.py",
    "pipeline/parts/progress.py",
    "pipeline/parts/sink.py",
    "pipeline/parts/training.py",
    "pipeline/parts/worker.py",
    "pipeline/parts/part.py",
    "pipeline/execution",
    "pipeline/params",
    "pipeline/report",
    "pipeline/scores",
    "pipeline/data/progress.py",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of both packages."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("sgan", "pipeline"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return root


@pytest.fixture
def edited(tree: Path) -> Callable[[str, str], dict[str, str]]:
    """`edited(file, line)`: each kind's code version with a line at the end of a file."""

    def after(name: str, line: str) -> dict[str, str]:
        path = tree / name
        text = path.read_text()
        path.write_text(f"{text}\n{line}\n")
        try:
            return versions(tree)
        finally:
            path.write_text(text)

    return after


def versions(root: Path, nets: str = "mnist") -> dict[str, str]:
    chosen = {"sgan.architectures": nets}
    return {
        k: closure_digest(f"pipeline.parts.recipes.{k}", chosen=chosen, root=root) for k in PARTS
    }


def files_of(*names: str) -> list[str]:
    found = []
    for name in names:
        path = ROOT / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        found += [str(file.relative_to(ROOT)) for file in files]
    assert found
    return found


def test_an_edit_of_what_only_moves_and_tells_changes_no_key(tree: Path, edited) -> None:
    before = versions(tree)
    changed = [name for name in files_of(*MOVING) if edited(name, "ONE_MORE = 1") != before]
    assert changed == []


def test_an_edit_of_any_deciding_module_changes_exactly_the_keys_that_it_should(
    tree: Path, edited
) -> None:
    before = versions(tree)
    users: dict[str, set[str]] = {}
    for kind in PARTS:
        for path in closure(f"pipeline.parts.recipes.{kind}", chosen=MNIST, root=tree).values():
            users.setdefault(str(path.relative_to(tree)), set()).add(kind)
    assert len(users) > 30
    for name, kinds in users.items():
        now = edited(name, "ONE_MORE = 1")
        assert {kind for kind in PARTS if now[kind] != before[kind]} == kinds, name
    gans, all_three = {"level", "joint"}, set(PARTS)
    assert users["sgan/losses.py"] == users["sgan/training/assembly.py"] == gans
    assert users["sgan/training/adversarial.py"] == users["sgan/stack.py"] == gans
    assert users["pipeline/data/features.py"] == gans
    assert users["sgan/training/classifier.py"] == {"encoder"}
    assert users["pipeline/parts/recipes/joint.py"] == {"joint"}
    for name in ("config", "training/seeds", "training/order", "training/loop", "encoder"):
        assert users[f"sgan/{name}.py"] == all_three
    for name in ("shards", "manifest", "batches"):
        assert users[f"pipeline/data/{name}.py"] == all_three


def test_wording_is_in_no_key(tree: Path, edited) -> None:
    before = versions(tree)
    assert edited("sgan/losses.py", "# said in other words") == before
    path = tree / "sgan" / "losses.py"
    text = path.read_text()
    path.write_text(text.replace('"""', '"""In other words: ', 1))
    assert versions(tree) == before
    path.write_text(text)


def test_the_worker_trains_by_nothing_but_its_recipe() -> None:
    """Otherwise code that decides could stand where no key sees it."""
    worker = (ROOT / "pipeline/parts/worker.py").read_text()
    imported = set(re.findall(r"from (sgan[\w.]*) import", worker))
    assert imported == {"sgan.training", "sgan.training.comm", "sgan.training.loop"}
    assert 'import_module(f"pipeline.parts.recipes.{' in worker


def test_nets_of_another_architecture_are_in_no_key(tree: Path) -> None:
    for other, changes in (("cifar10", False), ("mnist", True), ("blocks", True)):
        before = versions(tree)
        path = tree / "sgan" / "architectures" / f"{other}.py"
        text = path.read_text()
        path.write_text(f"{text}\nONE_MORE = 1\n")
        assert (versions(tree) != before) == changes, other
        path.write_text(text)


def test_an_architecture_in_a_new_file_is_in_the_keys_of_its_parts(tree: Path) -> None:
    """Nobody has to add it to a list: it trained once and was reused stale ever after."""
    path = tree / "sgan" / "architectures" / "tiny.py"
    path.write_text("from sgan.architectures.tiny_blocks import WIDTH\n")
    blocks = path.with_name("tiny_blocks.py")
    blocks.write_text("WIDTH = 1\n")
    before = versions(tree, "tiny")
    assert before != versions(tree)
    blocks.write_text("WIDTH = 2\n")
    after = versions(tree, "tiny")
    assert all(after[kind] != before[kind] for kind in PARTS)
    path.unlink()
    blocks.unlink()


def test_every_architecture_has_its_module() -> None:
    for architecture in ARCHITECTURES.values():
        assert (ROOT / "sgan/architectures" / f"{architecture.module}.py").is_file()


def project(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root.joinpath("pipeline", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "pipeline" / "__init__.py").touch()
    return root


def test_imports_in_functions_count_and_those_for_types_do_not(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        entry="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pipeline.typed\n"
        "def f():\n    from pipeline import used\n    import torch\n",
        used="from .deep.thing import X\n",
        deep__thing="X = 1\n",
        typed="",
        unused="X = 2\n",
    )
    found = closure("pipeline.entry", root=root)
    assert list(found) == ["pipeline.deep.thing", "pipeline.entry", "pipeline.used"]


def test_a_key_does_not_know_python_s_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 3.12 on functions and classes have type_params: [] where they take none."""
    from pipeline import code

    path = project(tmp_path, entry="class C:\n    async def f(): ...\ndef g(): pass\n")
    meaning = (
        "Module(body=[ClassDef(name='C', bases=[], keywords=[], body=[AsyncFunctionDef(name='f', "
        "args=arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]), "
        "body=[], decorator_list=[])], decorator_list=[]), "
        "FunctionDef(name='g', args=arguments(posonlyargs=[], args=[], kwonlyargs=[], "
        "kw_defaults=[], defaults=[]), body=[Pass()], decorator_list=[])], type_ignores=[])"
    )
    kinds, parse = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef), ast.parse

    def parsed_by_3_12(*given: str) -> ast.AST:
        tree = parse(*given)
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                node.type_params = []
        return tree

    for kind in kinds:
        fields = tuple(dict.fromkeys((*kind._fields, "type_params")))
        monkeypatch.setattr(kind, "_fields", fields)
    monkeypatch.setattr(ast, "parse", parsed_by_3_12)
    assert code._read(path / "pipeline/entry.py", "pipeline.entry").meaning == meaning


def test_a_computed_import_is_any_module_of_the_package(tmp_path: Path) -> None:
    call = "import_module(f'pipeline.nets.{name}')"
    root = project(
        tmp_path,
        entry=f"from importlib import import_module\ndef f(name): return {call}\n",
        nets__a="A = 1\n",
        nets__b="B = 1\n",
    )
    both = ["pipeline.entry", "pipeline.nets.a", "pipeline.nets.b"]
    assert list(closure("pipeline.entry", root=root)) == both
    one = closure("pipeline.entry", chosen={"pipeline.nets": "b"}, root=root)
    assert list(one) == ["pipeline.entry", "pipeline.nets.b"]


def test_what_cannot_be_followed_is_an_error(tmp_path: Path) -> None:
    root = project(tmp_path, entry="from importlib import import_module\nimport_module(NAME)\n")
    with pytest.raises(ClosureError, match=r"entry\.py:2: import_module takes"):
        closure("pipeline.entry", root=root)
    with pytest.raises(ClosureError, match=r"pipeline\.nothing: no such module"):
        closure("pipeline.nothing", root=root)


def test_data_files_that_a_module_names_count(tmp_path: Path) -> None:
    root = project(
        tmp_path, page__draw="STYLE = 'style.css'\nFOLDER = 'templates'\n", page__other="X = 1\n"
    )
    folder = root / "pipeline" / "page"
    (folder / "templates" / "deep").mkdir(parents=True)
    files = [folder / "style.css", folder / "templates" / "deep" / "a.j2"]
    for path in (*files, folder / "unnamed.css"):
        path.write_text("a")
    assert data_files(closure("pipeline.page.draw", root=root)) == files
    assert data_files(closure("pipeline.page.other", root=root)) == []
    before = closure_digest("pipeline.page.draw", root=root)
    (folder / "unnamed.css").write_text("b")
    assert closure_digest("pipeline.page.draw", root=root) == before
    files[1].write_text("b")
    assert closure_digest("pipeline.page.draw", root=root) != before


def test_packages_that_lie_apart_are_found_as_python_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another node of a cluster, where each has a folder of its own."""
    import sgan
    from pipeline import code

    whole = code.closure_digest("sgan.losses")
    (tmp_path / "pipeline").mkdir()
    monkeypatch.setattr(code, "ROOT", tmp_path)
    assert code.closure_digest("sgan.losses", root=tmp_path) == whole
    assert Path(sgan.__file__).is_relative_to(code._home("sgan", tmp_path))
