"""Which clone, which process, and whether it still runs."""

import os
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from pipeline.tracking import clone


def test_a_clone_keeps_its_id_and_another_has_another(tmp_path):
    first = clone.clone_id(tmp_path / "a")
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert clone.clone_id(tmp_path / "a") == first
    assert clone.clone_id(tmp_path / "b") != first


def test_a_copy_is_another_clone_and_a_moved_folder_is_not(tmp_path):
    first = clone.clone_id(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert clone.clone_id(tmp_path / "b") not in ("", first)
    (tmp_path / "a").rename(tmp_path / "c")
    assert clone.clone_id(tmp_path / "c") == first


def test_processes_that_come_at_once_agree(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(clone.clone_id, [tmp_path] * 8))) == 1
    assert [path.name for path in (tmp_path / ".runs").iterdir()] == ["clone-id"]


def test_temporary_workspaces_are_their_project(tmp_path):
    workspace = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpab12"
    workspace.mkdir(parents=True)
    assert clone.clone_id(workspace) == clone.clone_id(tmp_path)


def test_a_folder_that_does_not_last_is_told_who_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SGAN_CLONE", "job's 7")
    assert clone.clone_id(tmp_path) == "job_s 7"
    assert not (tmp_path / ".runs").exists()


def test_who_is_dead_and_who_is_alive():
    own = clone.process_mark()
    assert not clone.is_dead(own) and not clone.is_alive_elsewhere(own)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = f"{socket.gethostname()} {other.pid} {psutil.Process(other.pid).create_time():.2f}"
    assert clone.is_alive_elsewhere(mark) and not clone.is_dead(mark)
    other.communicate()
    assert clone.is_dead(mark) and not clone.is_alive_elsewhere(mark)


def test_a_number_that_was_given_again_is_another_process():
    host, number, start = clone.process_mark().split(" ")
    assert clone.is_dead(f"{host} {number} {float(start) - 60:.2f}")


@pytest.mark.parametrize("mark", ["", "elsewhere 1 5.0", "nonsense", f"{socket.gethostname()} x y"])
def test_of_another_host_nothing_is_known(mark):
    assert not clone.is_dead(mark) and not clone.is_alive_elsewhere(mark)


def test_an_execution_is_dvc_where_dvc_started_the_stage(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert clone.execution_mark() == clone.process_mark()
    monkeypatch.setenv("DVC_STAGE", "levels")
    assert int(clone.execution_mark().split(" ")[1]) in (
        process.pid for process in [psutil.Process(os.getpid()), *psutil.Process().parents()]
    )
