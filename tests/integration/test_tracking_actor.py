"""The metric hub as a Ray actor, and many processes on one fresh tracking database."""

import os
import shutil
import time
from pathlib import Path

import pytest
import ray

from pipeline.parts.curve import Curve
from pipeline.parts.sink import ActorSender, MetricHub, PartSink
from pipeline.parts.training import log_curve
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
from tests.forking import run_forked

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, POINTS = 60, 100, 10

pytestmark = pytest.mark.integration


def train(name: str, sender: ActorSender) -> int:
    """Stands in a Ray task for a worker: reports every step, with a curve of ten points."""
    curve = Curve(STEPS * BATCH, points=POINTS)
    with PartSink(name, STEPS * BATCH, sender, rows=curve.rows, interval_s=0.05) as sink:
        for step in range(1, STEPS + 1):
            metrics = {f"{name}/loss_d": float(step)}
            curve.add(step * BATCH, metrics)
            sink.step(step * BATCH, metrics)
            time.sleep(0.005)
    return sink.images_seen


@pytest.mark.usefixtures("two_cpus")
def test_two_tasks_report_through_the_actor_to_mlflow(tmp_path, mlflow_database):
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    hub = ray.remote(num_cpus=0)(MetricHub).remote()
    task = ray.remote(num_cpus=1)(train)
    pending = [task.remote(f"level{i}", ActorSender(hub)) for i in range(2)]
    tracker = Tracker(tmp_path)
    with tracker.stage(lineage({}, tmp_path), "levels") as stage:
        runs = {f"level{i}": stage.child(f"levels/level{i}", f"key{i}") for i in range(2)}
        reports = []
        while pending:
            _, pending = ray.wait(pending, num_returns=len(pending), timeout=0.2)
            reports += log_drained(hub, runs)
        reports += log_drained(hub, runs)
    stretch = STEPS // POINTS
    for part, run in runs.items():
        own = [report for report in reports if report.part == part]
        assert own[-1].images_seen == STEPS * BATCH
        assert 3 <= len(own) <= STEPS
        history = tracker.client.get_metric_history(run.run_id, f"{part}/loss_d")
        means = [sum(range(n, n + stretch)) / stretch for n in range(1, STEPS, stretch)]
        assert [m.value for m in history] == means
        assert [m.step for m in history] == [stretch * BATCH * n for n in range(1, POINTS + 1)]


def log_drained(hub, runs):
    reports = ray.get(hub.drain.remote())
    for report in reports:
        log_curve(runs[report.part], report.part, report.curve, report.images_per_second)
    return reports


@pytest.mark.usefixtures("two_cpus")
def test_training_goes_on_when_the_actor_is_gone():
    hub = ray.remote(num_cpus=0)(MetricHub).remote()
    ray.get(hub.drain.remote())  # it is there
    ray.kill(hub)
    done = ray.remote(num_cpus=1)(train).remote("level0", ActorSender(hub, flush_timeout_s=10))
    assert ray.get(done, timeout=60) == STEPS * BATCH


LOG_IMPORTS = """
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
"""
LOG_ONE_RUN = """
root, number = Path.cwd(), int(own)
tracker = Tracker(root)
line = lineage({"shared": True}, root)
print(tracker.parent(line, {"shared": True}))
with tracker.stage(line, f"stage{number}") as run:
    for step in range(20):
        run.log_metrics([("m", float(number), step)])
"""


@pytest.mark.alone
def test_four_processes_on_a_fresh_database(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"env": environment, "cwd": tmp_path, "timeout": 150}
    parents = run_forked(LOG_IMPORTS, LOG_ONE_RUN, range(4), **options)
    assert len(parents) == 4 and len(set(parents)) == 1  # one parent for all
    tracker = Tracker(tmp_path)
    found = tracker.client.search_runs([tracker.experiment_id], "tags.`sgan.role` = 'stage'")
    assert sorted(run.info.run_name for run in found) == [f"stage{n}" for n in range(4)]
    for run in found:
        history = tracker.client.get_metric_history(run.info.run_id, "m")
        assert [m.step for m in history] == list(range(20))
