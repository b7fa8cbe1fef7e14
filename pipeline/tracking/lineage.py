"""Which execution of the pipeline a run belongs to: code, parameters, DVC experiment."""

import getpass
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.tracking.clone import clone_id
from pipeline.tracking.revision import NO_GIT, revision_of

# Where things run, what becomes of a result, and what is searched, is not what they compute.
_ENVIRONMENT_SECTIONS = ("promote", "runtime", "tune")

_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Lineage:
    """Identity of one execution of the pipeline, shared by all its stages.

    Attributes:
        name: what a person reads in the tracking UI.
        tag_value: value of the tag `sgan.lineage` by which every stage finds the same parent run.
        git_revision: full commit hash, or `"nogit"` where nobody tells it.
        git_dirty: True if tracked files differ from that commit (the pipeline's own outputs aside);
            None where that cannot be told.
        dvc_exp_name: name of the DVC experiment, None outside `dvc exp run`.
        params_digest: SHA-256 (hex) of the parameters that decide the result.
        clone: which clone of the project executes (`pipeline.tracking.clone`).
        note: what a person is told of the revision; "" where git tells it.
    """

    name: str
    tag_value: str
    git_revision: str
    git_dirty: bool | None
    dvc_exp_name: str | None
    params_digest: str
    clone: str
    note: str = ""


def lineage(params: Mapping[str, Any], root: Path) -> Lineage:
    """The lineage of the execution that is under way in the workspace `root`.

    The tag is `DVC_EXP_NAME` where DVC sets it, else `<short revision>-<12 digits of the
    parameters' digest>`, with the revision of `pipeline.tracking.revision`.

    Args:
        params: the whole content of params.yaml, JSON-like. The sections `promote`, `runtime` and
            `tune` are left out.
        root: the workspace, an existing directory.
    """
    digest = params_digest(params)
    code = revision_of(root)
    experiment = os.environ.get("DVC_EXP_NAME") or None
    return Lineage(
        name=experiment or f"{code.short}{'-dirty' if code.dirty else ''}-{digest[:6]}",
        tag_value=_plain(experiment) if experiment else f"{code.short}-{digest[:12]}",
        git_revision=code.commit,
        git_dirty=code.dirty,
        dvc_exp_name=experiment,
        params_digest=digest,
        clone=clone_id(root),
        note=code.told,
    )


def experiment_label(
    lineage: Lineage, params: Mapping[str, Any], defaults: Mapping[str, Any] | None
) -> str:
    """Which experiment an execution is, in a few words that tell it from others.

    The DVC experiment's name; else what differs from the default parameters, "lambda_ent=5"; else
    the revision.

    Args:
        lineage: the execution.
        params: its parameters, nested.
        defaults: the same of the default ones; None where they are not known.
    """
    if lineage.dvc_exp_name:
        return lineage.dvc_exp_name
    changed = _changes(params, defaults) if defaults is not None else []
    if not changed:
        return lineage.git_revision[:10] + ("-dirty" if lineage.git_dirty else "")
    label = changed[0]
    for number, text in enumerate(changed[1:], start=1):
        if len(label) + len(text) > _LONGEST_LABEL:
            return f"{label}, {len(changed) - number} more"
        label += f", {text}"
    return label


def _changes(params: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """`lambda_ent=5` for each setting that differs, by its last name where that is enough."""
    ours, usual = (leaves(values) for values in (params, defaults))
    changed = {path: value for path, value in ours.items() if usual.get(path, ...) != value}
    changed = {p: v for p, v in changed.items() if p[0] not in _ENVIRONMENT_SECTIONS}
    texts = []
    for path, value in changed.items():
        alike = [other for p, other in changed.items() if p[-1] == path[-1]]
        name = path[-1] if all(other == value for other in alike) else ".".join(path[-2:])
        texts.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    return list(dict.fromkeys(texts))


def leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every setting of nested `values` by its path of names."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        found |= leaves(value, (*above, key)) if inner else {(*above, key): value}
    return found


def params_digest(params: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of `params` as canonical JSON, whatever the order of its keys."""
    kept = {key: value for key, value in params.items() if key not in _ENVIRONMENT_SECTIONS}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def origin_tags(lineage: Lineage) -> dict[str, Any]:
    """Tags of an MLflow run that say which code, experiment and person it comes from."""
    known = lineage.git_revision != NO_GIT
    return {
        "sgan.lineage": lineage.tag_value,
        "sgan.clone": lineage.clone,
        "sgan.git_revision": lineage.git_revision,
        "sgan.git_dirty": lineage.git_dirty,
        "sgan.dvc_exp_name": lineage.dvc_exp_name,
        "mlflow.source.git.commit": lineage.git_revision if known else None,
        "mlflow.user": _user(),
    }


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without an entry
        return None


def _plain(name: str) -> str:
    """`name` with only characters that a tag filter takes without quoting rules."""
    return re.sub(r"[^\w.\-+/]", "_", name)
