"""A Ray of this machine alone, on machines as people have them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cluster import local
from pipeline.errors import UserError


@pytest.fixture
def no_token(monkeypatch, tmp_path: Path) -> Path:
    """An environment and a home directory without a token."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "to be put back afterwards")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_local_ray_gets_a_token_that_is_written_nowhere(no_token: Path) -> None:
    local.ensure_token()
    first = os.environ.pop("RAY_AUTH_TOKEN")
    local.ensure_token()
    assert len(first) == 64 and os.environ["RAY_AUTH_TOKEN"] != first
    assert list(no_token.iterdir()) == []


@pytest.mark.parametrize("where", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "file"])
def test_a_person_s_own_token_is_taken(no_token: Path, monkeypatch, where: str) -> None:
    if where == "file":
        (no_token / ".ray").mkdir()
        (no_token / ".ray" / "auth_token").write_text("mine")
    else:
        monkeypatch.setenv(where, "mine")
    before = os.environ.get("RAY_AUTH_TOKEN")
    local.ensure_token()
    assert os.environ.get("RAY_AUTH_TOKEN") == before


def test_an_account_without_a_home_gets_a_token(no_token: Path, monkeypatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])  # as where the id has no entry
    local.ensure_token()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_cores_are_those_that_the_process_may_use() -> None:
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{core}}})\n"
    program += "from pipeline.cluster import local; print(local.cores())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr


def test_sockets_lie_in_a_folder_whose_path_is_short(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", "/short")
    assert "_temp_dir" not in local.options(1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("long" * 20)))
    assert local.options(1)["_temp_dir"] == "/tmp/ray"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"TMPDIR=.*longlong.*: Ray's sockets lie there"):
        local.options(1)


def test_a_full_disk_is_told_before_ray_waits_for_it(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert local.options(1)["num_cpus"] == 1
    monkeypatch.setattr(local, "_ROOM", 10**18)
    with pytest.raises(UserError, match=rf"{tmp_path}: [\d,.]+ MB are free .*needs .*TMPDIR"):
        local.options(1)
