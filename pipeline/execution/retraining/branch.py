"""The branch of a retraining: one commit on top of what was trained, made beside the workspace.

The workspace keeps its branch, index and files; git needs no clean checkout and no second folder.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.tracking import revision

REMOTE = "origin"
TRAILER = "Retrained-from"

_NAME = "sgan retrain"
_EMAIL = "sgan-retrain@localhost"
_GITHUB = re.compile(r"github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?$")


@dataclass(frozen=True)
class Base:
    """What is retrained.

    Attributes:
        branch: its name.
        revision: the commit.
    """

    branch: str
    revision: str


def base_of(root: Path, branch: str = "") -> Base:
    """The commit that the checkout is at, and `branch`, else the one that is checked out.

    Raises UserError where there is none, or tracked files differ from it: what is trained would
    not be what the branch says.
    """
    why = revision.why_no_git(root)
    if why:
        raise UserError(f"`sgan retrain` commits to a git repository: {why}")
    code = revision.revision_of(root)
    if code.dirty:
        changed = git(root, "diff", "--name-only", "HEAD").splitlines()
        raise UserError(
            f"files differ from the commit ({', '.join(changed[:5])}): commit "
            "them, so that the branch says what was trained; `--dry-run` does without"
        )
    named = branch or _asked(root, "symbolic-ref", "--short", "HEAD")
    named = named or os.environ.get("GITHUB_REF_NAME", "")
    if not named:
        raise UserError("no branch is checked out: `git switch` to one, or give --base NAME")
    return Base(named, code.commit)


def file_at(root: Path, commit: str, path: Path) -> bytes | None:
    """The content of a file in a commit; None where it has none."""
    done = revision.git(root, "show", f"{commit}:{path.as_posix()}")
    return done.stdout if done.returncode == 0 else None


def last_change(root: Path, path: Path) -> str | None:
    """The newest commit that changed a file; None where none did."""
    return _asked(root, "log", "-1", "--format=%H", "--", path.as_posix()) or None


def has_remote(root: Path) -> bool:
    """Whether there is a remote to push to."""
    return REMOTE in git(root, "remote").split()


def commit(root: Path, base: Base, paths: Sequence[Path], subject: str) -> str:
    """A commit on top of `base` in which `paths`, files and folders, are as in the workspace.

    Returns its id. Raises UserError where git refuses.
    """
    with tempfile.TemporaryDirectory(prefix="sgan-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", base.revision, more=index)
        present = [path.as_posix() for path in paths if (root / path).exists()]
        git(root, "add", "--force", "--all", "--", *present, more=index)
        tree = git(root, "write-tree", more=index)
    message = f"{subject}\n\n{TRAILER}: {base.revision}"
    return git(root, "commit-tree", tree, "-p", base.revision, "-m", message, more=_identity(root))


def push(root: Path, commit_id: str, branch: str) -> bool:
    """Make the remote's `branch` this commit; whether that changed it.

    An earlier retraining there is replaced; what people committed is not. Raises UserError, with
    the commit kept as the local branch of that name, unless it is that branch that people have.
    """
    keep(root, commit_id, branch)
    there = _remote_tip(root, branch)
    if there and _same(root, there, commit_id):
        return False
    if there:
        _refuse_peoples(root, there, f"branch {branch} of {REMOTE}")
    lease = f"--force-with-lease=refs/heads/{branch}:{there or ''}"
    git(root, "push", "--quiet", lease, REMOTE, f"{commit_id}:refs/heads/{branch}")
    return True


def keep(root: Path, commit_id: str, branch: str) -> None:
    """Make the local `branch` this commit. Raises UserError where it is checked out, or ends in
    what people committed."""
    if _asked(root, "symbolic-ref", "HEAD") == f"refs/heads/{branch}":
        raise UserError(f"branch {branch} is checked out here: give --branch another name")
    here = _asked(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    if here:
        _refuse_peoples(root, here, f"branch {branch} here")
    git(root, "update-ref", f"refs/heads/{branch}", commit_id)


def _refuse_peoples(root: Path, tip: str, which: str) -> None:
    if TRAILER not in git(root, "log", "-1", "--format=%B", tip):
        raise UserError(
            f"{which} ends in a commit that is no retraining's ({tip[:10]}), and would be lost: "
            "merge it, or give --branch another name"
        )


def github_repository(root: Path) -> str | None:
    """owner/name on GitHub: GITHUB_REPOSITORY, else by the remote's address; None elsewhere."""
    given = os.environ.get("GITHUB_REPOSITORY")
    address = _asked(root, "remote", "get-url", REMOTE) or ""
    found = _GITHUB.search(address)
    return given or (found.group(1) if found else None)


def git(root: Path, *arguments: str, more: Mapping[str, str] | None = None) -> str:
    """What a git command prints, stripped. Raises UserError with what it says where it fails."""
    done = revision.git(root, *arguments, more=more)
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        raise UserError(f"git {arguments[0]}: {told or f'exit status {done.returncode}'}")
    return done.stdout.decode().strip()


def _remote_tip(root: Path, branch: str) -> str | None:
    listed = git(root, "ls-remote", "--heads", REMOTE, f"refs/heads/{branch}")
    if not listed:
        return None
    git(root, "fetch", "--quiet", "--no-tags", REMOTE, f"refs/heads/{branch}")
    return listed.split()[0]


def _same(root: Path, one: str, other: str) -> bool:
    """Whether two commits have the same files and the same parents."""
    return git(root, "log", "-1", "--format=%T %P", one) == git(
        root, "log", "-1", "--format=%T %P", other
    )


def _identity(root: Path) -> dict[str, str]:
    """The committer that git has, else this command."""
    who: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        if not (os.environ.get(f"GIT_{role}_EMAIL") or _asked(root, "config", "user.email")):
            who |= {f"GIT_{role}_NAME": _NAME, f"GIT_{role}_EMAIL": _EMAIL}
    return who


def _asked(root: Path, *arguments: str) -> str:
    """As `git`, but "" where it fails."""
    done = revision.git(root, *arguments)
    return done.stdout.decode().strip() if done.returncode == 0 else ""
