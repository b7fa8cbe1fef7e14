"""conf/ -> params.yaml, by Hydra's compose API, as `dvc exp run -S …` does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UserError
from pipeline.params.file import plain
from pipeline.params.loading import from_values
from pipeline.paths import project_root
from pipeline.storage.atomic import write_bytes

HEADER = """\
# The parameters that `dvc repro` reads. Composed from the groups in conf/.
#
# Which of the two to edit:
#   this file   for a one-off by hand, then `dvc repro`. `dvc exp run` composes this file anew from
#               conf/ and so drops what you changed here (unless you give it --no-hydra).
#   conf/       for a lasting default; then `python -m pipeline compose` writes this file anew.
#   neither     for an experiment: dvc exp run -S data=cifar10 -S levels.1.lr_g=1e-4
# What each setting means and allows: conf/base.yaml, conf/level.yaml, conf/runtime.yaml.
"""


# What Hydra reads as the text that it is: an address, or a path from the root.
_PLAIN = re.compile(r"(?:/|\w+://)[A-Za-z0-9_./-]*")
_PATHS = ("data.source", "evaluate.inception_weights", "runtime.storage")


class _Dumper(yaml.SafeDumper):
    """Mappings over several lines, lists on one."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, flow_style=True)


def compose(
    overrides: Sequence[str] = (), out: Path | None = None, conf: Path | None = None
) -> dict[str, Any]:
    """Compose the parameters from the groups; optionally write them.

    Args:
        overrides: in Hydra's grammar: `data=cifar10`, `levels.1.lr_g=1e-4`; paths (`_PATHS`) need
            no quotes, whatever characters they hold.
        out: the YAML file to write, atomically; None writes nothing.
        conf: the directory of the groups; by default `conf` below the project's root.

    Returns:
        The parameters as plain JSON values, checked.

    Raises:
        UserError: an unknown group, option or setting, an override that cannot be parsed, or
            parameters that pipeline.params.loading refuses; then nothing is written.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    conf = (conf or project_root() / "conf").resolve()
    if not (conf / "config.yaml").is_file():
        raise UserError(f"{conf / 'config.yaml'}: no such file; run this from the project's root")
    try:
        with initialize_config_dir(str(conf), version_base=None):
            composed = hydra_compose("config", overrides=[_with_quotes(o) for o in overrides])
        values = plain(OmegaConf.to_container(composed, resolve=True))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"cannot compose {' '.join(overrides)}: {_reason(error)}") from None
    from_values(values, shown_as=" ".join(["conf/", *overrides]))
    if out is not None:
        text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        write_bytes(out, (HEADER + text).encode())
    return values


def as_override(name: str, value: str) -> str:
    """A setting's text as `dvc exp run -S` takes it, which parses Hydra's grammar itself: with
    quotes, unless every character is a plain one."""
    return f"{name}={value}" if _PLAIN.fullmatch(value) else f"{name}={quoted(value)}"


def _with_quotes(override: str) -> str:
    """A path as Hydra's grammar takes it: with quotes, unless it has them or is null."""
    name, equals, value = override.partition("=")
    has_them = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    if name.lstrip("+") not in _PATHS or not equals or has_them or value in ("", "null"):
        return override
    return f"{name}={quoted(value)}"


def quoted(value: str) -> str:
    """Text as Hydra's grammar takes it, whatever characters it holds."""
    body = re.sub(r'(\\*)"', r'\1\1\\"', value)
    body = re.sub(r"(\\+)$", r"\1\1", body).replace("${", "\\${")
    return f'"{body}"'


def _reason(error: Exception) -> str:
    """Hydra's message on one line, without its search path and its links."""
    text = str(error).split("Config search path:")[0]
    if text.startswith("Could not override"):
        setting = text.splitlines()[0].removeprefix("Could not override").strip(" '.")
        return (
            f"there is no setting {setting!r}; those that there are: conf/base.yaml, "
            "conf/runtime.yaml, and for a level conf/level.yaml"
        )
    kept = [" ".join(line.split()) for line in text.splitlines() if "https://" not in line]
    hint = (
        " (quote special characters: 'data.source=\"s3://bucket/a=b\"')" if "input" in text else ""
    )
    return " ".join(filter(None, kept)) + hint
