"""`mlflow models serve` of a registered stack, by the README's line."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
from tests.cluster_rig import end_tree, free_port
from tests.stacks import write_stack

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[str]:
    """The server's address, in a project of its own whose `champion` is a stack."""
    root = tmp_path_factory.mktemp("project")
    (root / "mlflow.db").write_bytes(mlflow_database.read_bytes())
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])
    tracker = Tracker(root, uri=f"sqlite:///{root / 'mlflow.db'}")
    run = tracker.stage(lineage({}, root), "evaluate")
    path = write_stack(root / "stack.safetensors")
    tracker.log_model(run, "stack", path, registered_name="sgan-mnist", alias="champion")
    line = re.search(
        r"^ +(PATH=\S+ MLFLOW_TRACKING_URI=\S+ \\\n.*)$", (ROOT / "README.md").read_text(), re.M
    )
    assert line, "README has no line of mlflow models serve"
    port = free_port()
    program = line[1].replace("5001", str(port))
    assert shlex.split(program)[-2:] == ["--port", str(port)]
    # A shell of the person's, in which nothing of this project is set.
    environment = {"PATH": os.defpath, "HOME": str(root), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(root / "log", "w") as out:
        process = subprocess.Popen(
            ["bash", "-c", program], cwd=root, env=environment, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                requests.get(f"{address}/ping", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                alive = process.poll() is None and time.monotonic() < deadline
                assert alive, (root / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        end_tree(process)


def ask(url: str, columns: list[str], *rows: list[Any]) -> requests.Response:
    body = {"dataframe_split": {"columns": columns, "data": rows}}
    return requests.post(f"{url}/invocations", json=body, timeout=60)


def images(answer: requests.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["predictions"])


def test_a_seed_s_image_and_a_gap_that_draws_anew(url: str) -> None:
    first, second = (
        images(ask(url, ["label", "seed"], [3, 5], [4, None], [3, 6])) for _ in range(2)
    )
    assert first.shape == (3, 28, 28, 1)
    assert np.array_equal(first[[0, 2]], second[[0, 2]])
    assert (first[1] != second[1]).any()
    records = {"dataframe_records": [{"label": 3, "seed": 5}, {"label": 3}]}
    again = images(requests.post(f"{url}/invocations", json=records, timeout=60))
    assert np.array_equal(again[0], first[0])
    assert images(ask(url, ["label"], [3], [3])).shape == (2, 28, 28, 1)


@pytest.mark.parametrize(
    ("columns", "row", "sentence"),
    [
        (["label"], [3.5], "'3.5': allowed are whole numbers from 0 to 9"),
        (["label"], [True], "'True': allowed are whole numbers"),
        (["label"], [10], "'10': allowed"),
        (["label"], [None], "allowed are whole numbers from 0 to 9"),
        (["label", "seed"], [1, -1], "'-1': allowed are whole numbers from 0 to 2147483647"),
        (["label", "seed"], [1, 2**31], "'2147483648': allowed"),
        (["seed"], [1], "label"),
    ],
)
def test_what_is_refused(url: str, columns: list[str], row: list[Any], sentence: str) -> None:
    answer = ask(url, columns, row)
    assert answer.status_code == 400, answer.text
    assert sentence in answer.json()["message"]


def test_too_many_rows_are_refused_at_once(url: str) -> None:
    began = time.monotonic()
    answer = ask(url, ["label"], *([3] for _ in range(10_000)))
    assert answer.status_code == 400
    assert "10,000 rows: 256 are drawn at once" in answer.json()["message"]
    assert time.monotonic() - began < 10
    assert images(ask(url, ["label"], *([3] for _ in range(256)))).shape[0] == 256
