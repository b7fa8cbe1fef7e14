"""What travels to the nodes: the two packages by content, the driver's environment, its versions.

Ray shows a runtime environment to everyone who may look at its dashboard, its state API or its
logs, so no variable goes that way: they travel as an argument, which it shows nowhere.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.memory import look_rarely
from pipeline.storage.s3_client import as_variables

PACKAGES = ("pipeline", "sgan")
S3 = "s3://"
# What a worker imports, beside the two packages.
NEEDED = ("boto3", "numpy", "pillow", "pyarrow", "ray", "safetensors", "torch", "webdataset")
_SAME = ("python", "ray", "torch")
_CARRIED = re.compile(r"(?:AWS|SGAN|MLFLOW|RAY_TRAIN)_\w+|(?i:(?:https?|all|no|ftp)_proxy)")
_NAMES_A_FILE = re.compile(r"\w+_(?:FILE|PATH|BUNDLE|DIR)")
_PROFILE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_MODE = "SGAN_RUNTIME_ENV"


def runtime_env() -> dict[str, Any] | None:
    """Ray's `runtime_env` of a driver on a cluster: this project's packages, nothing else.

    None where the code is there already: in a job that Ray started from a working directory, and
    where SGAN_RUNTIME_ENV=image says that the nodes' image holds it.
    Raises UserError where SGAN_RUNTIME_ENV is anything else.
    """
    mode = os.environ.get(_MODE, "")
    if mode not in ("", "image"):
        raise UserError(
            f"{_MODE}={mode}: must be 'image' (the nodes' image holds this project and nothing is "
            "uploaded) or not set"
        )
    if mode == "image" or _job_has_code():
        return None
    root = Path(__file__).resolve().parents[2]
    modules = [str(root / package) for package in PACKAGES]
    return {"py_modules": modules, "excludes": ["__pycache__", "*.pyc"]}


def _job_has_code() -> bool:
    """Whether this process is a submitted job's, whose working directory its workers have."""
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    given = job.get("runtime_env") or {}
    return bool(given.get("working_dir") or given.get("py_modules"))


@dataclass(frozen=True, repr=False)
class Luggage:
    """What a task gets from its driver. Its text never shows a value.

    Attributes:
        environment: variables by name.
        versions: what Python, Ray and torch have to be.
    """

    environment: Mapping[str, str]
    versions: Mapping[str, str]

    def unpack(self) -> None:
        """In the worker, before anything else: the driver's variables become this process's, and
        Python looks for circles as seldom as there.

        One that names a file counts only where the file is.
        Raises UserError where this node's versions are others.
        """
        look_rarely()
        faults = found_fault(self.versions)
        if faults:
            raise UserError(told(faults, os.uname().nodename))
        os.environ.update(
            (name, value)
            for name, value in self.environment.items()
            if not _NAMES_A_FILE.fullmatch(name) or Path(value).exists()
        )

    def __repr__(self) -> str:
        return f"Luggage({len(self.environment)} variables)"


def packed(*addresses: object) -> Luggage:
    """What this process gives to the tasks that it starts.

    Args:
        addresses: where those read and write. The keys of this machine's own ~/.aws travel only
            where one of these is on S3.
    """
    carried = {name: value for name, value in os.environ.items() if _CARRIED.fullmatch(name)}
    on_s3 = any(str(address).startswith(S3) for address in addresses)
    if on_s3:  # a profile's name means nothing elsewhere
        carried = {name: value for name, value in carried.items() if name not in _PROFILE}
        carried |= as_variables()
    return Luggage(carried, expected_versions())


def expected_versions() -> dict[str, str]:
    """What `found_fault` compares on another node: this process's versions, by name."""
    return {name: value for name, value in _versions().items() if value}


def found_fault(expected: Mapping[str, str]) -> list[str]:
    """What this process lacks, or has in another version than `expected`; [] where all is well."""
    own = _versions()
    missing = [name for name in NEEDED if not installed(name)]
    return [f"no package {name}" for name in missing] + [
        f"{name} {own[name]} and not {wanted}"
        for name, wanted in expected.items()
        if own[name] and own[name] != wanted
    ]


def told(faults: list[str], where: str) -> str:
    """One line for a person."""
    return (
        f"the node {where} has {', '.join(faults)}: give every node of the cluster the driver's "
        "Python and packages (requirements.lock), or let nodes start from one image"
    )


def _versions() -> dict[str, str]:
    """By name, the versions that have to agree; builds of one version (`+cpu`) count as one."""
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    return found | {name: installed(name).partition("+")[0] for name in _SAME[1:]}


def installed(name: str) -> str:
    """The version of a package; "" where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
