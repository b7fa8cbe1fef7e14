"""Samples for other tools: on a cluster, after a kill, and scored as the stack's own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.export.forms import Recipe
from pipeline.export.generation import Generation
from pipeline.params.settings import RuntimeConfig
from pipeline.paths import STACK_WEIGHTS
from pipeline.storage.store import Storage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def generation(weights: Path, out: Path, count: int, form: str = "npz") -> Generation:
    """Samples of the small project's stack, in chunks of a block."""
    recipe = Recipe(
        hashlib.sha256(weights.read_bytes()).hexdigest(),
        1,
        count,
        tuple("0123456789"),
        (1,) * 10,
        (1, 28, 28),
        form,
    )
    runtime = RuntimeConfig(device="cpu", threads={"judge": 1}, progress="none")
    storage = Storage(out.parent / "runs")
    return Generation(out, recipe, weights, runtime, storage, lambda *told: None, chunk=500)


@pytest.fixture
def weights(trained) -> Path:
    """The session's trained stack."""
    return trained.root / STACK_WEIGHTS


@pytest.fixture
def here(weights, tmp_path) -> bytes:
    """1,300 samples as this process draws them."""
    one = generation(weights, tmp_path / "here.npz", 1300)
    assert one.run()
    return one.out.read_bytes()


def test_nodes_that_share_nothing_draw_the_same_bytes(
    nodes_apart, weights, here, tmp_path, monkeypatch
):
    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    there = generation(weights, tmp_path / "there.npz", 1300)
    counts = []
    there.told = lambda what, done, total: counts.append(done)
    assert there.run()
    assert there.out.read_bytes() == here
    assert max(counts) == 1300
    assert not there.begun.exists()


KILLED = """
import sys
from pathlib import Path
from tests.integration.test_generate import generation
one = generation(Path(sys.argv[1]), Path(sys.argv[2]), 1300)
one.told = lambda what, done, total: print(done, flush=True)
one.run()
"""


def test_a_killed_process_goes_on_where_it_was(weights, here, tmp_path):
    out = tmp_path / "killed.npz"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(weights), str(out)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["500\n", "1000\n"]
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    one, counts = generation(weights, out, 1300), []
    assert one.done() >= 500
    one.told = lambda what, done, total: counts.append(done)
    assert one.run()
    assert counts[0] > 500
    assert out.read_bytes() == here


def test_evaluate_gives_the_stack_s_own_scores(trained, monkeypatch, capsys, tmp_path):
    """The seed and the number of the project's evaluation: the same images, the same digits."""
    monkeypatch.chdir(trained.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    own = json.loads(Path("artifacts/evaluate/scores.json").read_text())
    count = str(next(s["n"] for s in own if s["key"].startswith("fid")))
    for name in ("set.npz", "folder"):
        out = str(tmp_path / name)
        assert main(["generate", "--n", count, "--seed", "1", "--out", out]) == 0
        scores = str(tmp_path / "scores.json")
        options = ["--data", "custom", "--seed", "1", "--out", scores]
        assert main(["evaluate", "--images", out, *options]) == 0
        theirs = {s["key"]: s["value"] for s in json.loads(Path(scores).read_text())}
        ours = {s["key"]: s["value"] for s in own if s["key"] in theirs}
        assert len(ours) == len(theirs) > 10
        assert ours == theirs
