"""Reading a YAML file of parameters strictly: no key twice, and the YAML 1.2 that DVC reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pipeline.errors import UserError


def read(path: Path, shown: str) -> dict[str, Any]:
    """The mapping in a YAML file, its keys as text, its values plain JSON types.

    Args:
        path: the file.
        shown: how messages call it.

    Raises:
        UserError: it is missing, unreadable, empty, not YAML (with the line) or not a mapping, a
            key is no text, or is there twice, of which YAML would silently take the last.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{shown}: no such file; run this from the project's root, or write the file anew "
            "with `python -m pipeline compose`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown}: cannot be read ({error})") from None
    values = _parse(text, shown)
    if values is None:
        raise UserError(
            f"{shown}: the file is empty; write it anew with `python -m pipeline compose`"
        )
    if not isinstance(values, dict):
        raise UserError(f"{shown}: must be a mapping of sections, not {type(values).__name__}")
    return values


def _parse(text: str, shown: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    # Our own check sees '0' and 0 as the same key, and tells every one that is there twice.
    yaml.allow_duplicate_keys = True
    try:
        node = yaml.compose(text)
        doubles = _duplicates(node, (), ())
        if doubles:
            raise UserError("\n".join(f"{shown}: {double}" for double in doubles))
        # Half of the time is in composing, which `load` would do once more.
        return None if node is None else plain(yaml.constructor.construct_document(node))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = " ".join(filter(None, (error.context, error.problem)))
        raise UserError(
            f"{shown}: {where}not valid YAML: {problem}; text with special "
            "characters has quotes: '…'"
        ) from None
    except (YAMLError, ValueError) as error:
        raise UserError(f"{shown}: not valid YAML: {' '.join(str(error).split())}") from None


def _duplicates(node: Node | None, path: tuple[str, ...], above: tuple[Node, ...]) -> list[str]:
    """One line per key that a mapping holds twice ('0' and 0 are the same), or that is no text."""
    if node is None:
        return []
    if node in above:
        return [f"{'.'.join(path)}: an alias that holds itself is not allowed"]
    above = (*above, node)
    found: list[str] = []
    if isinstance(node, SequenceNode):
        for index, child in enumerate(node.value):
            found += _duplicates(child, (*path, str(index)), above)
    if isinstance(node, MappingNode):
        first: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                found.append(
                    f"line {line}: a key must be text; a value with braces has quotes: '…'"
                )
                continue
            here = (*path, str(key.value))
            if key.value in first:
                found.append(
                    f"{'.'.join(here)}: given twice, on lines {first[key.value]} and {line}; "
                    "keep one"
                )
            first.setdefault(key.value, line)
            found += _duplicates(child, here, above)
    return found


def plain(value: Any) -> Any:
    """Nested values as JSON types: keys as text, tuples as lists, anything unknown as text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else shown(key): plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def shown(value: Any, limit: int = 80) -> str:
    """A value as YAML's flow style has it, on one line and cut at `limit` characters."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(entry) for entry in value) + "]"
    else:
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
