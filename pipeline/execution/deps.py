"""dvc.yaml's dependencies on code, written from the code itself."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline import code
from pipeline.errors import UserError
from pipeline.storage.atomic import write_bytes

_CODE = tuple(f"{package}/" for package in code.PACKAGES)


def code_deps(stage: str, entries: Sequence[str], root: Path = code.ROOT) -> list[str]:
    """The files whose edit makes DVC run a stage again, relative to the root, sorted: the stage's
    own module, and the import closure of what decides its results with its data files."""
    modules = code.closure(*entries, root=root)
    files = [root / "pipeline" / "stages" / f"{stage}.py", *modules.values()]
    files += code.data_files(modules)
    return sorted({path.relative_to(root).as_posix() for path in files})


def stale(dvc_yaml: Path, decided_by: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What is wrong with the code that dvc.yaml's stages depend on, by stage: "+file" is missing
    there, "-file" is there and not used. {} where all is right. Raises UserError."""
    stages = _read(dvc_yaml)[1]["stages"]
    found = {}
    for name, entries in decided_by.items():
        listed = {dep for dep in stages[name].get("deps", ()) if dep.startswith(_CODE)}
        needed = set(code_deps(name, entries, dvc_yaml.resolve().parent))
        wrong = [f"+{dep}" for dep in sorted(needed - listed)]
        wrong += [f"-{dep}" for dep in sorted(listed - needed)]
        if wrong:
            found[name] = wrong
    return found


def write(dvc_yaml: Path, decided_by: Mapping[str, Sequence[str]]) -> None:
    """Put the code that each stage depends on into dvc.yaml, after its other dependencies, and
    leave the rest of the file, comments too, as it is. Raises UserError."""
    yaml, document = _read(dvc_yaml)
    for name, entries in decided_by.items():
        stage = document["stages"][name]
        deps = stage.setdefault("deps", [])
        kept = [dep for dep in deps if not dep.startswith(_CODE)]
        deps[:] = kept + code_deps(name, entries, dvc_yaml.resolve().parent)
    text = StringIO()
    yaml.dump(document, text)
    write_bytes(dvc_yaml, text.getvalue().encode())


def _read(path: Path) -> tuple[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 100, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        return yaml, yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run this in the project's root") from None
    except YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
