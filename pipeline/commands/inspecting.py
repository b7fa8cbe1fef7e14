"""`sgan inspect`: what lies at a source, and how it would be read."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options
from pipeline.errors import UserError
from pipeline.paths import found_in_project

if TYPE_CHECKING:
    from pipeline.params.settings import DataConfig


def add(commands: Any) -> None:
    """Add the subcommand."""
    inspect = commands.add_parser(
        "inspect",
        help="what lies at a folder, archive, address or table, and how it would be read",
        **options.taught(
            "Say what a source holds: its form, splits, classes with their images, where labels "
            "come from, and what is not read. Nothing is decoded and nothing is written, but with "
            "--out a contact sheet. Exit status 2 and one line where it could not be used.",
            "sgan inspect ~/pets --out pets.png",
        ),
    )
    inspect.add_argument("source", help="path, file://, http(s):// or s3:// address, or a glob")
    inspect.add_argument(
        "settings", nargs="*", help="settings that decide: data.splits={} data.format=npz"
    )
    inspect.add_argument("--json", action="store_true", help="the whole description as JSON")
    inspect.add_argument("--out", type=Path, help="write a contact sheet (PNG), a row to a class")
    inspect.set_defaults(handler=_inspect)


def _inspect(arguments: argparse.Namespace) -> None:
    from pipeline.data.inspecting import EACH, look, look_closely

    settings = _settings(arguments.source, arguments.settings)
    if arguments.out is None:
        description = look(arguments.source, settings)
    else:
        from pipeline.report.sheet_file import write_sheet
        from pipeline.scores.studies import Sheet

        description, contact = look_closely(arguments.source, settings)
        write_sheet(arguments.out, Sheet(contact.images, EACH, contact.classes))
    if arguments.json:
        json.dump(description.as_dict(), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print("\n".join(description.lines()))
        print(f"for DVC: dvc exp run {_as_arguments(arguments.source, arguments.settings)}")


def _as_arguments(source: str, settings: list[str]) -> str:
    """The source and what was set, as they are typed behind `dvc exp run`."""
    from pipeline.params.compose import as_override

    source = source if "://" in source else str(found_in_project(source))
    named = [one if one.startswith("data.") else f"data.{one}" for one in settings]
    given = ["data=custom", as_override("data.source", source), *named]
    return " ".join(f"-S {shlex.quote(one)}" for one in given)


def _settings(source: str, overrides: list[str]) -> "DataConfig":
    """The settings of a set of one's own, wherever this runs. Raises UserError."""
    import yaml

    from pipeline.params.sections import check
    from pipeline.params.settings import DataConfig

    values: dict[str, Any] = {"name": "custom", "source": source}
    for override in overrides:
        name, _, value = override.partition("=")
        try:
            values[name.removeprefix("data.")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"{override}: cannot be read ({error})".replace("\n", " ")) from error
    settings, problems = check(DataConfig, values, "data")
    if settings is None:
        raise UserError("\n".join(problems))
    return settings
