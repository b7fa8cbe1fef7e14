import tarfile
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.tracking.revision import NO_GIT, VARIABLE, Revision, git, revision_of, why_no_git
from tests.repository import git as told

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def nobody_says_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    told(root, "init", "-q")
    (root / "code.py").write_text("a = 1\n")
    told(root, "add", ".")
    told(root, "commit", "-qm", "first")
    return root


def test_a_repository_tells_its_commit(repository):
    assert revision_of(repository) == Revision(told(repository, "rev-parse", "HEAD"), False)
    assert revision_of(repository).told == ""
    (repository / "code.py").write_text("a = 2\n")
    assert revision_of(repository).dirty is True


def test_a_worktree_and_a_shallow_clone_tell_theirs(repository, tmp_path):
    told(repository, "commit", "-q", "--allow-empty", "-m", "second")
    head = told(repository, "rev-parse", "HEAD")
    told(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    told(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    for name in ("tree", "shallow"):
        assert revision_of(tmp_path / name) == Revision(head, False), name


def test_where_no_git_is_it_is_said(tmp_path):
    found = revision_of(tmp_path)
    assert (found.commit, found.dirty) == (NO_GIT, None)
    assert "is no git repository (`git init`" in found.told


def test_a_repository_without_a_commit_is_called_so(tmp_path):
    told(tmp_path, "init", "-q")
    assert "has no commit yet" in revision_of(tmp_path).told


def test_the_repository_around_a_project_is_not_taken_for_its_own(repository):
    copy = repository / "unpacked"
    copy.mkdir()
    (copy / "params.yaml").write_text("")
    found = revision_of(copy)
    assert found.commit == NO_GIT
    assert f"the git repository {repository} has none of the files in {copy}" in found.told
    told(repository, "add", "--all")
    told(repository, "commit", "-qm", "a project of several")
    assert revision_of(copy) == Revision(told(repository, "rev-parse", "HEAD"), False)


def test_another_owner_s_repository_is_told_with_what_mends_it(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    found = revision_of(repository)
    assert found.commit == NO_GIT
    mend = f"`git config --global --add safe.directory {repository}`"
    assert "another user owns" in found.told and mend in found.told
    assert why_no_git(repository) == found.why


def test_a_machine_without_git_is_told_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "git: No such file or directory" in revision_of(repository).told
    with pytest.raises(UserError, match=r"git cannot be run .*install it"):
        git(repository, "status")


def test_who_submits_a_job_says_its_revision(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0123456789abcdef-dirty")
    assert revision_of(tmp_path) == Revision("0123456789abcdef", True)


def test_an_archive_of_the_source_says_what_it_was_made_of_and_dvc_works_in_it(tmp_path):
    """What `git archive` makes of this checkout's own files."""
    source, unpacked = tmp_path / "source", tmp_path / "unpacked"
    for name in (".gitattributes", ".git_archival.txt", ".dvc/config"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    told(source, "init", "-q")
    told(source, "add", "--all", "--force")
    told(source, "commit", "-qm", "first")
    told(source, "archive", "--output", str(tmp_path / "source.tar"), "HEAD")
    with tarfile.open(tmp_path / "source.tar") as archive:
        archive.extractall(unpacked, filter="data")
    found = revision_of(unpacked)
    assert (found.commit, found.dirty) == (told(source, "rev-parse", "HEAD"), None)
    assert f"runs name the commit of this archive, {found.short}: " in found.told
    from dvc.repo import Repo

    with Repo(str(unpacked)) as repo:
        assert repo.config["core"]["no_scm"] is True
        assert repo.config["hydra"]["enabled"] is True
    with Repo(str(source)) as repo:
        assert repo.config["core"]["no_scm"] is False
