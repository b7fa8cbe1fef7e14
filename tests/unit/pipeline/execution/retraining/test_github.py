"""Pull requests through GitHub's REST interface, against a server that speaks it."""

from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining.github import GitHub


def test_it_is_opened_once_and_then_brought_up_to_date(hub: Any) -> None:
    github = GitHub("owner/name", "right", hub.api)
    assert github.propose("retrain/main", "main", "one", "text") == "https://hub/pull/1"
    assert github.propose("retrain/main", "main", "two", "x" * 70_000) == "https://hub/pull/1"
    (pull,) = hub.pulls
    assert (pull["head"], pull["base"], pull["title"]) == ("retrain/main", "main", "two")
    assert len(pull["body"]) < 65_536 and "cut here" in pull["body"]
    assert github.propose("retrain/main", "release", "three", "") == "https://hub/pull/2"


def test_what_github_says_is_told_and_the_token_is_not(hub: Any) -> None:
    with pytest.raises(UserError, match=r"403 .*not accessible.*pull-requests: write") as told:
        GitHub("owner/name", "a-secret", hub.api).propose("b", "main", "title", "")
    assert "a-secret" not in str(told.value)
    with pytest.raises(UserError, match="The branch is pushed; the same command again"):
        GitHub("owner/name", "right", "http://127.0.0.1:9").propose("b", "main", "title", "")


def test_it_needs_a_token_and_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GH_TOKEN", "GITHUB_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    assert GitHub.from_environment("a/b") is None
    monkeypatch.setenv("GITHUB_TOKEN", "of the workflow")
    monkeypatch.setenv("GH_TOKEN", "of an app")
    assert GitHub.from_environment(None) is None
    found = GitHub.from_environment("a/b")
    assert found == GitHub("a/b", "of an app", "https://api.github.com")
