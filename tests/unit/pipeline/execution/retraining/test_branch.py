"""The retraining's commit and branch, in real repositories."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining import branch
from tests.small_project import committed, run

NAME = "retrain/main"


def committed_lock(root: Path, content: str) -> str:
    (root / "dvc.lock").write_text(content)
    return branch.commit(root, branch.base_of(root), [Path("dvc.lock"), Path("plots")], "Retrain")


def test_it_is_made_beside_the_workspace(checkout: Path) -> None:
    status = run("git", "status", "--porcelain")
    base = branch.base_of(checkout)
    assert (base.branch, base.revision) == ("main", run("git", "rev-parse", "HEAD"))
    (checkout / "elsewhere").write_text("is not committed")
    made = committed_lock(checkout, "one")
    assert run("git", "show", "--name-only", "--format=%P", made).split() == [
        base.revision,
        "dvc.lock",
    ]
    assert run("git", "rev-parse", "HEAD") == base.revision
    assert status == ""
    assert run("git", "status", "--porcelain") == "?? dvc.lock\n?? elsewhere"
    assert branch.file_at(checkout, made, Path("dvc.lock")) == b"one"
    assert branch.file_at(checkout, base.revision, Path("dvc.lock")) is None


def test_the_same_again_is_there_already_and_another_takes_its_place(checkout: Path) -> None:
    assert branch.push(checkout, committed_lock(checkout, "one"), NAME)
    assert not branch.push(checkout, committed_lock(checkout, "one"), NAME)
    assert branch.push(checkout, committed_lock(checkout, "two"), NAME)
    run("git", "fetch", "--quiet", "origin")
    assert run("git", "show", f"origin/{NAME}:dvc.lock") == "two"
    assert run("git", "rev-list", "--count", f"origin/main..origin/{NAME}") == "1"


def test_what_people_committed_there_is_not_replaced(checkout: Path) -> None:
    run("git", "switch", "--quiet", "--create", NAME)
    (checkout / "by-hand").touch()
    committed("a person's")
    run("git", "push", "--quiet", "origin", NAME)
    theirs = run("git", "rev-parse", "HEAD")
    with pytest.raises(UserError, match=f"branch {NAME} is checked out here"):
        branch.push(checkout, committed_lock(checkout, "one"), NAME)
    run("git", "switch", "--quiet", "main")
    made = committed_lock(checkout, "one")
    with pytest.raises(UserError, match="here ends in a commit that is no retraining's"):
        branch.push(checkout, made, NAME)
    assert run("git", "rev-parse", NAME) == run("git", "rev-parse", f"origin/{NAME}") == theirs
    run("git", "branch", "--quiet", "-D", NAME)
    with pytest.raises(UserError, match="of origin ends in a commit that is no retraining's"):
        branch.push(checkout, made, NAME)
    assert run("git", "rev-parse", f"origin/{NAME}") == theirs


def test_a_remote_that_is_away_leaves_the_commit_as_a_branch(checkout: Path) -> None:
    made = committed_lock(checkout, "one")
    run("git", "remote", "set-url", "origin", str(checkout / "nowhere"))
    with pytest.raises(UserError, match=r"git ls-remote: .*nowhere"):
        branch.push(checkout, made, NAME)
    assert run("git", "rev-parse", NAME) == made


def test_a_checkout_that_differs_from_its_commit_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = checkout / "params.yaml"
    before = params.read_text()
    params.write_text(before + "\n")
    with pytest.raises(UserError, match=r"files differ from the commit \(params.yaml\)"):
        branch.base_of(checkout)
    params.write_text(before)
    run("git", "checkout", "--quiet", "--detach")
    with pytest.raises(UserError, match="no branch is checked out"):
        branch.base_of(checkout)
    assert branch.base_of(checkout, "next").branch == "next"
    monkeypatch.setenv("GITHUB_REF_NAME", "release")  # a runner's checkout
    assert branch.base_of(checkout).branch == "release"
    with pytest.raises(UserError, match="is no git repository"):
        branch.base_of(checkout.parent)


@pytest.mark.parametrize(
    "address", ["https://github.com/a/b.git", "git@github.com:a/b.git", "https://github.com/a/b"]
)
def test_the_repository_is_read_off_its_address(
    address: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert branch.github_repository(checkout) is None
    run("git", "remote", "set-url", "origin", address)
    assert branch.github_repository(checkout) == "a/b"
    monkeypatch.setenv("GITHUB_REPOSITORY", "c/d")
    assert branch.github_repository(checkout) == "c/d"


def test_a_runner_without_a_name_commits_all_the_same(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
    ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    made = committed_lock(checkout, "one")
    assert run("git", "log", "-1", "--format=%an %ae %cn", made).startswith("sgan retrain sgan-")
