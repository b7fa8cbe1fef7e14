"""What a person is told of an error that nobody foresaw: one line, and a file with the rest."""

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline import paths
from pipeline.cluster.travel import installed
from pipeline.storage.atomic import final, is_refusal, refusal, write_bytes
from pipeline.tracking.redaction import is_secret_name, redact

EXIT_STATUS = 70  # EX_SOFTWARE of sysexits.h
FOLDER = paths.STORAGE / "crashes"

_PACKAGES = ("torch", "ray", "mlflow", "dvc", "boto3", "pyarrow", "webdataset", "numpy")
_VARIABLES = ("SGAN_", "RAY_", "MLFLOW_", "DVC_", "AWS_", "OMP_", "TMPDIR", "HOME")
_LONGEST = 300


def tell(error: Exception, arguments: Sequence[str]) -> int:
    """Print one line about `error`; returns the exit status.

    A disk that is full or may not be written is the person's to mend (2). Anything else is a fault
    of this program (70): its trace, the versions and the settings, without secrets, go into a file
    that the line names.

    Args:
        error: what a command raised.
        arguments: the command line behind `sgan`.
    """
    if isinstance(error, OSError) and is_refusal(error):
        where = _refused(error)
        _say(f"{where}: {refusal(error, where)}")
        return 2
    what = redact(" ".join(f"{type(error).__name__}: {error}".split()))
    what = what if len(what) <= _LONGEST else f"{what[:_LONGEST]} …"
    report = _report(error, arguments)
    try:
        file = _kept(report)
    except Exception:  # as where the disk is full: the trace must not be lost
        print(report, file=sys.stderr)
        _say(f"{what}. This is a fault of sgan; its trace stands above")
        return EXIT_STATUS
    _say(f"{what}. This is a fault of sgan; its trace, versions and settings are in {file}")
    return EXIT_STATUS


def _refused(error: OSError) -> Path:
    """The file that an error is about: of a renaming the new name."""
    name = error.filename2 or error.filename or tempfile.gettempdir()
    return final(Path(os.fsdecode(name)).absolute())


def _say(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)


def _kept(report: str) -> Path:
    """The file that holds it: in the project, else, outside of one, in the temporary folder."""
    inside = paths.in_project(paths.PARAMS).exists()
    folder = paths.in_project(FOLDER) if inside else Path(tempfile.gettempdir())
    file = folder / f"sgan-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    write_bytes(file, report.encode(errors="backslashreplace"))
    return file


def _report(error: Exception, arguments: Sequence[str]) -> str:
    lines = [f"sgan {' '.join(arguments)}", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", ""]
    lines += ["".join(traceback.format_exception(error))]
    lines += [f"Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"{package} {installed(package) or 'is not installed'}" for package in _PACKAGES]
    lines += ["", *(f"{name}={_shown(name)}" for name in sorted(os.environ) if _ours(name))]
    params = paths.project_root() / paths.PARAMS
    if params.exists():
        lines += ["", f"{params}:", params.read_text(errors="replace")]
    return redact("\n".join(lines))


def _ours(name: str) -> bool:
    return name.startswith(_VARIABLES)


def _shown(name: str) -> str:
    return "***" if is_secret_name(name) else os.environ[name]
