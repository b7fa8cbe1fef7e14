"""Which commit the code is, as git tells it, and where it does not: why, and what mends that."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError

NO_GIT = "nogit"

# A job on a cluster has no git: whoever submits it says what it was made of, `-dirty` after a
# revision whose files were changed.
VARIABLE = "SGAN_GIT_REVISION"

# Git writes the commit into it as it makes an archive of the source (.gitattributes).
ARCHIVED = Path(".git_archival.txt")

# Written by the pipeline as it runs; a change there does not make the code another one.
_OUTPUTS = ("dvc.lock", "metrics", "plots", "artifacts")

_TIMEOUT_S = 20
_COMMIT = re.compile(r"^node: ([0-9a-f]{40,64})$", re.MULTILINE)


@dataclass(frozen=True)
class Revision:
    """Which code a folder holds.

    Attributes:
        commit: the full hash, `"nogit"` where nobody tells it.
        dirty: whether tracked files differ from it; None where that cannot be told.
        why: why git does not tell it, and what to do; "" where it does, or somebody else did.
    """

    commit: str
    dirty: bool | None
    why: str = ""

    @property
    def short(self) -> str:
        """Ten digits, for a person."""
        return self.commit[:10]

    @property
    def told(self) -> str:
        """A line for whoever runs the project; "" where the commit is known for certain."""
        if not self.why:
            return ""
        if self.commit == NO_GIT:
            return f"runs name no commit: {self.why}, or {VARIABLE} may name one"
        return f"runs name the commit of this archive, {self.short}: {self.why}"


def revision_of(root: Path) -> Revision:
    """Which commit the files of `root` are, or were said to be: by git, else by SGAN_GIT_REVISION,
    else by the source archive that they came in."""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    why = _why_not(root, commit)
    if not why:
        return Revision(commit.stdout.strip(), _is_dirty(root))
    told = os.environ.get(VARIABLE, "")
    if told:
        return Revision(told.removesuffix("-dirty"), told.endswith("-dirty"))
    return Revision(_archived(root) or NO_GIT, None, why)


def git(
    root: Path, *arguments: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A git command in `root`, with further variables of the environment, whatever it answers.

    Raises UserError where there is no git.
    """
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **(more or {})}
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, env=environment)
    except OSError as error:
        raise UserError(f"git cannot be run ({error.strerror}): install it") from error


def why_no_git(root: Path) -> str:
    """Why git does not answer for the files of `root`, and what to do; "" where it does."""
    return _why_not(root, _git(root, "rev-parse", "--verify", "HEAD"))


def _why_not(root: Path, asked: subprocess.CompletedProcess[str]) -> str:
    if asked.returncode == 0:
        if _git(root, "ls-files", "--", ".").stdout:
            return ""
        above = _git(root, "rev-parse", "--show-toplevel").stdout.strip()
        return f"the git repository {above} has none of the files in {root}"
    said = asked.stderr.strip()
    if "dubious ownership" in said:
        mend = next((line.strip() for line in said.splitlines() if "--add" in line), "")
        return f"another user owns the git repository of {root}: `{mend}` lets git read it"
    if "not a git repository" in said:
        return f"{root} is no git repository (`git init`, and a commit, make it one)"
    if "Needed a single revision" in said:
        return f"the git repository of {root} has no commit yet"
    return f"git cannot be asked about {root}: {said.splitlines()[-1] if said else 'no answer'}"


def _archived(root: Path) -> str:
    try:
        found = _COMMIT.search((root / ARCHIVED).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return found.group(1) if found else ""


def _is_dirty(root: Path) -> bool | None:
    excluded = [f":(exclude){path}" for path in _OUTPUTS]
    status = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    return bool(status.stdout.strip()) if status.returncode == 0 else None


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A question to git, in English, that locks nothing; a failure where there is no git."""
    command = ["git", "-C", str(root), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            env=environment,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"git: {error.strerror}")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {_TIMEOUT_S} s")
