"""Other weights while requests run: none is lost, and what cannot be read changes nothing."""

import os
import threading
import time

import pytest
import requests

from pipeline.errors import UserError
from pipeline.serving.sources import WeightsFile
from pipeline.serving.switching import Switch
from tests.stacks import write_stack


@pytest.fixture
def path(tmp_path):
    return write_stack(tmp_path / "stack.safetensors")


def test_nothing_new_changes_nothing(path):
    switch = Switch(WeightsFile(path))
    before = switch.model
    assert not switch.look()
    assert switch.model is before


def test_weights_that_cannot_be_read_are_told_once_and_not_served(path, caplog):
    failures = []
    switch = Switch(WeightsFile(path), failed=lambda: failures.append(1))
    before = switch.model
    path.write_bytes(b"cut off")
    assert not switch.look()
    assert not switch.look()
    path.unlink()
    assert not switch.look()
    assert switch.model is before
    assert [len(failures), len(caplog.records)] == [3, 2], "damaged, damaged still, then gone"
    write_stack(path, seed=4)
    assert switch.look()
    assert switch.model is not before


def test_a_second_outage_is_told_too(path, caplog):
    switch = Switch(WeightsFile(path))
    aside = path.with_name("aside")
    for _ in range(2):
        path.rename(aside)
        assert not switch.look()
        aside.rename(path)
        assert not switch.look()
    assert len(caplog.records) == 2


def test_no_weights_at_all(tmp_path):
    with pytest.raises(UserError, match="No such file or directory"):
        Switch(WeightsFile(tmp_path / "none.safetensors"))


def test_no_request_is_lost_while_the_model_is_switched(path, start):
    """Four askers without a pause, three switches between two stacks: every answer is one of the
    two, and the last is the newest."""
    other = write_stack(path.with_name("other.safetensors"), seed=4)
    contents = [path.read_bytes(), other.read_bytes()]
    running = start(Switch(WeightsFile(path)), 0.1)
    ending, answers = threading.Event(), []

    def ask():
        while not ending.is_set():
            body = {"label": 3, "seed": 5}
            answer = requests.post(f"{running.url}/v1/samples", json=body, timeout=30)
            answers.append((answer.status_code, answer.headers["x-model-version"], answer.content))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for turn in (1, 0, 1):
        served, temporary = running.switch.model, path.with_name("new")
        temporary.write_bytes(contents[turn])
        os.replace(temporary, path)
        deadline = time.monotonic() + 60
        while running.switch.model is served:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    last = running.switch.model.version
    count = len(answers)
    while len(answers) < count + 8:
        time.sleep(0.02)
    ending.set()
    for asker in askers:
        asker.join()
    assert {status for status, _, _ in answers} == {200}
    assert len({version for _, version, _ in answers}) == 4
    assert len({image for _, _, image in answers}) == 2
    assert answers[-1][1] == last
    text = requests.get(f"{running.url}/metrics", timeout=10).text
    assert "sgan_model_switches_total 3.0" in text
