"""Tracking through a real MLflow server: the same tree of runs, outages, models."""

import logging
import os
import shutil
from pathlib import Path
from threading import Timer

import pytest

from pipeline.errors import UserError
from pipeline.tracking import run as tracking_run
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.errors import WeightsError
from sgan.stack import Stack
from sgan.weights import save_stack
from tests.forking import run_forked
from tests.servers import MlflowServer

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory, mlflow_database):
    server = MlflowServer(tmp_path_factory.mktemp("server"))
    shutil.copy(mlflow_database, server.folder / "server.db")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def tracker(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    return Tracker(tmp_path)


def test_the_tree_of_runs_through_a_server(tracker, tmp_path):
    line = lineage({"tree": 1}, tmp_path)
    (tmp_path / "report.html").write_text("<p>")
    tracker.parent(line, {"levels": {"0": {"lr": 1e-4}}})
    with tracker.stage(line, "levels", {f"p{i}": i for i in range(150)}) as stage:
        with stage.child("levels/level0", "key0") as child:
            child.log_metrics([("level0/loss_d", float(i), i) for i in range(1500)])
            child.log_metrics([("level0/odd", float("nan"), 0)])
            child.log_artifact(tmp_path / "report.html", "html")
        reused = stage.child("levels/level1", "key1")
        reused.mark_reused()
    tracker.finish_parent(line, {"fid_10k": 7.5})
    names = {
        run.info.run_name: run
        for run in tracker.client.search_runs(
            [tracker.experiment_id], f"tags.`sgan.lineage` = '{line.tag_value}'"
        )
    }
    assert set(names) == {line.name, "levels", "levels/level0", "levels/level1"}
    assert {run.info.status for run in names.values()} == {"FINISHED"}
    assert len(names["levels"].data.params) == 150
    assert names["levels/level1"].info.run_id == reused.run_id
    history = tracker.client.get_metric_history(child.run_id, "level0/loss_d")
    assert sorted(m.step for m in history) == list(range(1500))
    assert tracker.client.download_artifacts(child.run_id, "html/report.html", str(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()


def test_nothing_is_lost_while_the_server_is_away(server, tracker, tmp_path, caplog, monkeypatch):
    """Its whole outage: what is logged waits, the stage ends, the next one sends the rest."""
    monkeypatch.setattr(tracking_run, "_RETRY_S", 300)  # longer than a busy machine takes
    line = lineage({"outage": 1}, tmp_path)
    run, other = tracker.stage(line, "encoder"), tracker.stage(line, "features")
    run.log_metrics([("encoder/loss", 3.0, 100)])
    server.kill()
    attempts = []
    log_batch = tracker.client.log_batch

    def counted(*arguments, **options):
        attempts.append(arguments)
        return log_batch(*arguments, **options)

    monkeypatch.setattr(tracker.client, "log_batch", counted)
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        for step in (200, 300, 400):
            run.log_metrics([("encoder/loss", 2.0, step)])
        assert len(attempts) == 1  # then a pause
        run.set_tags({"sgan.tag": "b"})
        told = [record.message for record in caplog.records if record.name.startswith("pipeline")]
        assert len(told) == 1 and server.uri in told[0] and "work goes on" in told[0]
        tracker._asker.longest_s = 0.0
        other.finish()
        assert "the next stage or command sends it" in caplog.text
    assert list((tmp_path / ".runs" / "mlflow").glob("*.json"))
    restart = Timer(2.0, server.start)  # while the next call waits
    restart.start()
    tracker._asker.longest_s = 120.0
    tracker._asker._gave_up = False
    run.finish()
    restart.join()
    history = tracker.client.get_metric_history(run.run_id, "encoder/loss")
    assert [m.step for m in history] == [100, 200, 300, 400]
    assert tracker.client.get_run(run.run_id).data.tags["sgan.tag"] == "b"
    later = Tracker(tmp_path)
    for run_id in (run.run_id, other.run_id, tracker.parent(line)):
        assert later.client.get_run(run_id).info.status == "FINISHED"
    assert not list((tmp_path / ".runs" / "mlflow").glob("*.json"))


CLONE_IMPORTS = """
import time
from pathlib import Path
import mlflow.store.tracking.rest_store
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
"""
CLONE = """
root = Path(own)
tracker = Tracker(root, "shared")
line = lineage({"shared": True}, root)
with tracker.stage(line, "levels") as stage:
    part = stage.child("levels/level0", "key0")
    for step in range(1, 21):
        part.log_metrics([("level0/loss_d", 1.0 / step, 100 * n) for n in range(1, step + 1)])
        time.sleep(0.02)
tracker.finish_parent(line, {"gan_test": 0.5}, 2000)
print(line.clone)
"""


def test_two_clones_at_once_on_one_server_keep_apart(server, tracker, tmp_path):
    """The same stage of the same revision and parameters, in an experiment that neither finds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    clones = [tmp_path / name for name in ("a", "b")]
    for root in clones:
        root.mkdir()
    ids = run_forked(CLONE_IMPORTS, CLONE, clones, env=environment, timeout=120)
    assert len(ids) == 2
    experiment = tracker.client.get_experiment_by_name("shared").experiment_id
    runs = tracker.client.search_runs([experiment])
    assert sorted(run.data.tags["sgan.clone"] for run in runs) == sorted(ids * 3)
    assert {run.info.status for run in runs} == {"FINISHED"}
    parts = [run for run in runs if run.data.tags["sgan.role"] == "part"]
    assert len(parts) == len(set(ids)) == 2
    for run in parts:
        history = tracker.client.get_metric_history(run.info.run_id, "level0/loss_d")
        assert [point.step for point in history] == list(range(100, 2001, 100))


LOAD_IMPORTS = "import mlflow.pyfunc, numpy, pandas, torch"
LOAD = """
assert "pipeline" not in sys.modules and "sgan" not in sys.modules
model = mlflow.pyfunc.load_model(own)
frame = pandas.DataFrame({"label": [3, 1, 3], "seed": [7, 8, 9]})
images = model.predict(frame)
alone = model.predict(pandas.DataFrame({"label": [1], "seed": [8]}))
assert images.shape == (3, 28, 28, 1) and images.dtype == numpy.uint8, (images.shape, images.dtype)
assert images.std() > 0
assert (images[1] == alone[0]).all()
free = pandas.DataFrame({"label": [3]})
assert (model.predict(free) != model.predict(free)).any()
try:
    model.predict(pandas.DataFrame({"label": [10]}))
except Exception as error:
    assert "'label' holds '10': allowed are whole numbers from 0 to 9" in str(error), error
else:
    raise AssertionError("label 10 was taken")
"""


def test_a_logged_model_loads_without_this_project(tracker, tmp_path):
    path = tmp_path / "stack.safetensors"
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (LevelConfig(),) * 2)
    save_stack(path, Stack(config), {})
    line = lineage({"model": 1}, tmp_path)
    with tracker.stage(line, "evaluate") as run:
        logged = tracker.log_model(
            run, "stack", path, registered_name="sgan", alias="challenger", tags={"data": "mnist"}
        )
    assert logged.version == "1"
    version = tracker.client.get_model_version_by_alias("sgan", "challenger")
    assert (version.version, version.run_id) == ("1", run.run_id)
    model = tracker.client.get_logged_model(logged.model_id)
    assert (model.status, model.source_run_id) == ("READY", run.run_id)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    addresses = [logged.uri, "models:/sgan@challenger"]
    run_forked(LOAD_IMPORTS, LOAD, addresses, cwd=tmp_path, env=environment)


def test_a_model_without_weights(tracker, tmp_path):
    run = tracker.stage(lineage({"model": 2}, tmp_path), "evaluate")
    with pytest.raises(WeightsError, match="no such weights file"):
        tracker.log_model(run, "stack", tmp_path / "none.safetensors")
    assert tracker.client.get_run(run.run_id).outputs.model_outputs == []


@pytest.mark.timeout(60)  # MLflow's own defaults would try for four minutes
def test_a_server_that_is_not_mlflow(tmp_path):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    other = HTTPServer(("127.0.0.1", 0), NotFound)
    Thread(target=other.serve_forever, daemon=True).start()
    with pytest.raises(UserError, match=f"127.0.0.1:{other.server_port}"):
        Tracker(tmp_path, uri=f"http://127.0.0.1:{other.server_port}")
    other.shutdown()
    other.server_close()
