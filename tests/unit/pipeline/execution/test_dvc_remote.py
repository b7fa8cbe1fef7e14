"""DVC as a library: what was kept in a remote is all that a cached run needs elsewhere."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution import dvc_remote

PIPELINE = """\
stages:
  copy:
    cmd: cp input kept && cp input told.json && echo ran >> {ran}
    deps: [input]
    outs:
      - kept
    metrics:
      - told.json:
          cache: false
"""


def project(root: Path, remote: Path) -> Path:
    from dvc.repo import Repo

    root.mkdir()
    Repo.init(str(root), no_scm=True).close()
    (root / ".dvc" / "config").write_text(
        f"[core]\n    no_scm = true\n    remote = kept\n['remote \"kept\"']\n    url = {remote}\n"
    )
    (root / "dvc.yaml").write_text(PIPELINE.replace("{ran}", str(remote.with_name("ran"))))
    (root / "input").write_text("1")
    return root


def test_another_clone_takes_the_run_from_the_remote(
    tmp_path: Path,
) -> None:
    one, other = (project(tmp_path / name, tmp_path / "remote") for name in ("one", "other"))
    with dvc_remote.opened(one, "the remote") as repo:
        repo.reproduce()
        dvc_remote.push(repo, None)
    with dvc_remote.opened(other, "the remote") as repo:
        dvc_remote.pull(repo, None)
        repo.reproduce(pull=True)
    assert (tmp_path / "ran").read_text() == "ran\n"
    # The second is no output of DVC's cache: git would have it.
    assert (other / "kept").read_text() == (other / "told.json").read_text() == "1"


def test_what_dvc_says_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"DVC, with s3://kept/dvc: "):
        with dvc_remote.opened(tmp_path, "s3://kept/dvc"):
            pass
