"""One run: what is sent when, and what waits."""

import logging
import math

import pytest
from botocore.exceptions import NoCredentialsError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from pipeline.errors import UserError
from pipeline.tracking import outbox
from pipeline.tracking import run as tracking_run
from pipeline.tracking.tracker import Tracker


class Wire:
    """The client's `log_batch`, which can be cut; counts the calls that reach it."""

    def __init__(self, tracker, monkeypatch):
        self.error = None
        self.lose_answer = False
        self.calls = 0
        self._send = tracker.client.log_batch
        monkeypatch.setattr(tracker.client, "log_batch", self)

    def __call__(self, *arguments, **options):
        self.calls += 1
        if self.error:
            raise self.error
        self.sent = options.get("metrics")
        self._send(*arguments, **options)
        if self.lose_answer:
            raise OSError("read timed out")


@pytest.fixture
def wire(tracker, monkeypatch):
    return Wire(tracker, monkeypatch)


def history(tracker, run, key):
    return [(m.step, m.value) for m in tracker.client.get_metric_history(run.run_id, key)]


def test_metrics_wait_while_the_database_is_busy_and_arrive_at_the_end(tracker, line, wire, caplog):
    run = tracker.stage(line, "encoder")
    wire.error, wire.calls = OSError("away"), 0
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        for step in range(5):
            run.log_metrics([("m", float(step), step)])
    assert wire.calls == 1, "then a pause, so that training does not wait for the network"
    assert len(caplog.records) == 1 and "the work goes on" in caplog.text
    wire.error = None
    run.finish()
    assert sorted(history(tracker, run, "m")) == [(step, float(step)) for step in range(5)]
    assert tracker.client.get_run(run.run_id).info.status == "FINISHED"


def test_they_are_tried_again_after_the_pause(tracker, line, wire, monkeypatch):
    monkeypatch.setattr(tracking_run, "_RETRY_S", 0.0)
    run = tracker.stage(line, "encoder")
    wire.error = OSError("away")
    run.log_metrics([("m", 1.0, 1)])
    wire.error = None
    run.log_metrics([("m", 2.0, 2)])
    assert history(tracker, run, "m") == [(1, 1.0), (2, 2.0)]


def test_a_batch_whose_answer_was_lost_is_not_stored_twice(tracker, line, wire, monkeypatch):
    monkeypatch.setattr(tracking_run, "_RETRY_S", 0.0)
    run = tracker.stage(line, "encoder")
    wire.lose_answer = True
    run.log_metrics([("m", 1.0, 1), ("m", 2.0, 2)])
    wire.lose_answer = False
    run.log_metrics([("m", 3.0, 3)])
    assert history(tracker, run, "m") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert [metric.step for metric in wire.sent] == [3], "asked first; only the new one was sent"


def test_the_oldest_are_given_up_where_too_many_wait(tracker, line, wire, monkeypatch):
    monkeypatch.setattr(outbox, "_MOST_WAITING", 3)
    run = tracker.stage(line, "encoder")
    wire.error = OSError("away")
    run.log_metrics([("m", float(step), step) for step in range(5)])
    wire.error = None
    run.finish()
    assert [step for step, _ in history(tracker, run, "m")] == [2, 3, 4]


def test_what_could_not_be_sent_in_time_is_sent_by_the_next_process(
    tracker, line, wire, root, monkeypatch, caplog
):
    """Tags, parameters, metrics, files and the end: nothing of a finished stage is lost."""
    stage = tracker.stage(line, "levels")
    run = stage.child("levels/level0", "key0")
    wire.error = OSError("http://ann:hunter22@host is gone")
    monkeypatch.setattr(tracker.client, "log_artifact", wire)
    monkeypatch.setattr(tracker.client, "set_terminated", wire)
    weights = root / "weights.safetensors"
    weights.write_text("as it was")
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        run.set_tags({"sgan.reused": "true"})
        run.log_params({"lr": 1})
        run.log_metrics([("m", float(step), step) for step in range(5)])
        run.log_artifact(weights, "weights")
        stage.finish()
    told = [record.message for record in caplog.records]
    assert len(told) == 2 and "work goes on" in told[0] and "the next stage or command" in told[1]
    assert "hunter22" not in caplog.text
    weights.write_text("DVC has cleared it")
    later = Tracker(root)
    found = later.client.get_run(run.run_id)
    assert (found.info.status, found.data.params) == ("FINISHED", {"lr": "1"})
    assert found.data.tags["sgan.reused"] == "true"
    assert [step for step, _ in history(later, run, "m")] == [0, 1, 2, 3, 4]
    file = later.client.download_artifacts(run.run_id, "weights/weights.safetensors", str(root))
    assert open(file).read() == "as it was"
    assert later.client.get_run(tracker.parent(line)).info.status == "FINISHED"
    assert list((root / ".runs" / "mlflow").iterdir()) == []


def test_what_an_earlier_process_kept_goes_with_what_the_next_one_logs(
    tracker, line, wire, root, monkeypatch
):
    """It could not be sent when the next one began, and the run goes on in that."""
    run = tracker.stage(line, "encoder", part_key="key0")
    wire.error = OSError("away")
    run.log_metrics([("m", 1.0, 1)])
    run.finish("KILLED")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", wire)
        later = Tracker(root)
    with later.stage(line, "encoder", part_key="key0") as again:
        again.log_metrics([("m", 2.0, 2)])
    assert again.run_id == run.run_id
    assert history(later, again, "m") == [(1, 1.0), (2, 2.0)]
    assert later.client.get_run(run.run_id).info.status == "FINISHED"
    assert list((root / ".runs" / "mlflow").iterdir()) == []


def test_what_waits_for_a_run_that_was_deleted_is_dropped(tracker, line, wire, root, caplog):
    run = tracker.stage(line, "encoder")
    wire.error = OSError("away")
    run.log_metrics([("m", 1.0, 1)])
    run.finish()
    tracker.client.delete_run(run.run_id)
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        Tracker(root)
    assert "encoder: what waited for it is dropped" in caplog.text
    assert list((root / ".runs" / "mlflow").iterdir()) == []


def test_what_mlflow_refuses_is_told_and_not_sent_again(tracker, line, wire):
    run = tracker.stage(line, "encoder")
    wire.error = MlflowException("no such key", INVALID_PARAMETER_VALUE)
    with pytest.raises(UserError, match="no such key"):
        run.log_metrics([("m", 1.0, 1)])
    wire.error = None
    run.log_metrics([("m", 2.0, 2)])
    assert history(tracker, run, "m") == [(2, 2.0)]


def test_a_run_that_cannot_be_ended_does_not_hide_what_ended_the_stage(
    tracker, line, monkeypatch, caplog
):
    def gone(*_):
        raise MlflowException("http://ann:hunter22@host says no", INVALID_PARAMETER_VALUE)

    with caplog.at_level(logging.WARNING, logger="pipeline"), pytest.raises(ZeroDivisionError):
        with tracker.stage(line, "encoder"):
            monkeypatch.setattr(tracker.client, "set_terminated", gone)
            raise ZeroDivisionError
    assert "could not be ended" in caplog.text and "hunter22" not in caplog.text


def test_a_run_ends_once(tracker, line):
    run = tracker.stage(line, "encoder")
    run.finish()
    run.finish("FAILED")
    assert (run.status, tracker.client.get_run(run.run_id).info.status) == ("FINISHED",) * 2


def test_keys_lose_what_mlflow_refuses(tracker, line):
    run = tracker.stage(line, "encoder")
    run.log_metrics([("fid (10k) ±", 1.0, 0)])
    assert set(tracker.client.get_run(run.run_id).data.metrics) == {"fid _10k_ _"}


def test_numbers_of_any_kind_are_logged(tracker, line):
    import numpy as np

    run = tracker.stage(line, "encoder")
    run.log_metrics([("m", np.float32(0.5), np.int64(3)), ("m", math.pi, 4)])
    assert history(tracker, run, "m") == [(3, 0.5), (4, pytest.approx(math.pi))]


def test_a_file_that_is_refused_leaves_no_run_running(tracker, line, root, monkeypatch):
    def refuse(*_):
        raise NoCredentialsError

    run = tracker.stage(line, "report")
    monkeypatch.setattr(tracker.client, "log_artifact", refuse)
    run.box.add_file(root / "mlflow.db", None)
    with pytest.raises(UserError, match=r"file store of MLflow at .* locate credentials"):
        run.finish()
    tracker.close("FAILED")
    assert tracker.client.get_run(run.run_id).info.status == "FINISHED"
    assert not list(root.glob(".runs/mlflow/*.json"))
