"""`sgan serve` as a process: the champion of a registry, and the next one without a pause."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from pipeline import cli
from pipeline.tracking.lineage import lineage
from pipeline.tracking.registry import CHAMPION, Registry
from pipeline.tracking.tracker import Tracker
from tests.stacks import write_stack

pytestmark = pytest.mark.integration

NAME = "sgan-test"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_database: Path) -> Registry:
    """A project's registry with two versions, the first of them the champion."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    tracker = Tracker(tmp_path)
    run = tracker.stage(lineage({}, tmp_path), "evaluate")
    for seed in (3, 4):
        path = write_stack(tmp_path / f"stack{seed}.safetensors", seed)
        tracker.log_model(run, "stack", path, registered_name=NAME, alias="challenger")
    tracker.client.set_registered_model_alias(NAME, CHAMPION, "1")
    return Registry(tracker, NAME)


def served(*options: str) -> tuple[subprocess.Popen, str]:
    """`sgan serve` on a free port, and its address."""
    command = [sys.executable, "-m", "pipeline", "serve", "--port", "0", "--poll", "0.2", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert " on http://127.0.0.1:" in line, line
    return process, line.split(" on ")[1].split()[0]


def test_the_champion_is_served_and_its_successor_taken_up(registry: Registry) -> None:
    process, url = served("--model", f"models:/{NAME}@champion")
    try:
        told = requests.get(f"{url}/v1/model", timeout=10).json()
        assert (told["version"], told["sample_options"]) == ("1", f"--model models:/{NAME}/1")
        body = {"label": 3, "seed": 5}
        first = requests.post(f"{url}/v1/samples", json=body, timeout=30)
        # The line that the page offers gives the same picture, byte by byte.
        command = f"sample --label 3 --n 1 --seed 5 {told['sample_options']} --out one.png"
        assert cli.main(command.split()) == 0
        assert Path("one.png").read_bytes() == first.content

        ending, answers = threading.Event(), []

        def ask() -> None:
            while not ending.is_set():
                answers.append(requests.post(f"{url}/v1/samples", json=body, timeout=30))

        asker = threading.Thread(target=ask)
        asker.start()
        registry.promote("2", "1", {})
        deadline = time.monotonic() + 60
        while not answers or answers[-1].headers["x-model-version"] != "2":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ending.set()
        asker.join()
        assert {answer.status_code for answer in answers} == {200}
        assert answers[-1].content != first.content
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
