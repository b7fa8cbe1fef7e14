"""What to do where the Python that runs this is one that the project was not set up for.

DVC starts `python -m pipeline …` by the first python on PATH, and `.venv/bin/dvc` alone does not
put `.venv/bin` there. With the standard library only: this is read where nothing else can be.
"""

import sys
from pathlib import Path

_OURS = ("pipeline", "sgan")


def remedy(error: ModuleNotFoundError) -> str | None:
    """One line on a package that is missing here, and how to use the Python that has it; None where
    the missing module is one of the project's own."""
    package = (error.name or "").partition(".")[0]
    if not package or package in _OURS:
        return None
    project = Path(__file__).resolve().parent.parent
    prepared = project / ".venv"
    if Path(sys.prefix).resolve() == prepared.resolve():
        how = f"run `make setup` in {project} to bring it up to date"
    elif (prepared / "bin/python").exists():
        how = f"run `. {prepared}/bin/activate` first, and the same command again"
    else:
        how = f"run `make setup` in {project}, then `. {prepared}/bin/activate`"
    return f"{sys.executable} has no package {package!r}; {how}"
