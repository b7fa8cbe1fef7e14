"""DVC as a library: a project opened with its remote, what lies there brought here, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.tracking.revision import why_no_git

if TYPE_CHECKING:
    from dvc.repo import Repo


@contextmanager
def opened(root: Path, shown: str, config: Mapping[str, Any] | None = None) -> Iterator[Repo]:
    """DVC's view of the project `root`.

    Args:
        root: the project.
        shown: how messages call the remote.
        config: settings of DVC on top of the project's own.

    Raises UserError for whatever DVC or its remote says inside.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with chdir(root), Repo(str(root), config=config) as repo:  # DVC's paths are from here
            yield repo
    except SCMError as error:
        why = why_no_git(root)
        without = "; without one, `dvc config --local core.no_scm true`" if why else ""
        raise UserError(f"DVC, with {shown}: {why or error}{without}") from error
    except (DvcException, BotoCoreError, ClientError, OSError) as error:
        raise UserError(f"DVC, with {shown}: {error}") from error


def is_set(root: Path) -> bool:
    """Whether the project `root` has any remote, as `dvc remote list` would tell."""
    from dvc.config import Config, ConfigError
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    folder: str | None
    try:
        folder = Repo.find_dvc_dir(str(root))
    except NotDvcRepoError:
        folder = None
    try:
        return bool(Config(folder, validate=False).read()["remote"])
    except ConfigError:
        return False


def push(repo: Repo, remote: str | None) -> None:
    """Keep the outputs, the run-cache, and all that a cached run needs, in the remote."""
    repo.push(remote=remote, run_cache=True)
    # DVC leaves out the files that git would have, which a cached run needs as well.
    runs = Path(repo.stage_cache.cache_dir).glob("*/*/*")
    used = repo.stage_cache.get_used_objs([(run.parent.name, run.name) for run in runs])
    for objects in used.values():
        repo.cloud.push(objects, remote=remote)


def pull(repo: Repo, remote: str | None) -> None:
    """Bring the outputs that dvc.lock names, as far as the remote has them, and the run-cache."""
    repo.pull(remote=remote, run_cache=True, force=True, allow_missing=True)
