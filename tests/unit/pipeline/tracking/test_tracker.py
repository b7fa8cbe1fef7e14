import math
import os
import socket

import pytest

from pipeline.errors import UserError
from pipeline.tracking import uri as tracking_uri
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker
from pipeline.tracking.uri import lock_path
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.errors import WeightsError
from sgan.stack import Stack
from sgan.weights import save_stack

PARAMS = {"levels": {"1": {"learning_rate": 1e-4}}, "data": {"name": "mnist"}}


def data(tracker, run_id):
    return tracker.client.get_run(run_id).data


def status(tracker, run_id):
    return tracker.client.get_run(run_id).info.status


def runs(tracker, filter_string=""):
    return tracker.client.search_runs([tracker.experiment_id], filter_string)


def test_artifacts_lie_beside_the_database(tracker, root):
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    assert experiment.name == "sgan"
    assert experiment.artifact_location == (root / "mlartifacts").as_uri()


def test_stages_of_one_lineage_share_a_parent(root, tracker, line):
    parent = tracker.parent(line, PARAMS)
    assert Tracker(root).parent(line) == parent
    found = data(tracker, parent)
    assert found.params == {"levels.1.learning_rate": "0.0001", "data.name": "mnist"}
    assert found.tags["sgan.lineage"] == line.tag_value
    other = lineage({"data": {"name": "cifar10"}}, root)
    assert tracker.parent(other) != parent


def test_an_experiment_redone_with_other_parameters_gets_its_own_parent(tracker, root, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "brave-newt")
    first = tracker.parent(lineage(PARAMS, root), PARAMS)
    other = {"data": {"name": "cifar10"}}
    again = Tracker(root)
    assert again.parent(lineage(other, root), other) != first
    assert Tracker(root).parent(lineage(PARAMS, root)) == first


def test_the_tree_of_runs_and_its_tags(tracker, line, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "levels")
    with tracker.stage(line, "levels", {"seed": 1}, {"sgan.data_digest": "d1"}) as stage:
        child = stage.child("levels/level0", "key0", {"learning_rate": 0.1}, {"sgan.node": "a"})
        child.finish()
        assert status(tracker, tracker.parent(line)) == "RUNNING"
    stage_tags, child_tags = (data(tracker, run.run_id).tags for run in (stage, child))
    assert stage_tags["mlflow.parentRunId"] == tracker.parent(line)
    assert child_tags["mlflow.parentRunId"] == stage.run_id
    assert child_tags["sgan.part_key"] == "key0"
    for tags in (stage_tags, child_tags):
        assert tags["sgan.stage"] == tags["sgan.dvc_stage"] == "levels"
        assert tags["sgan.data_digest"] == "d1"
        assert tags["sgan.git_revision"] == "nogit"
    assert child_tags["sgan.node"] == "a"
    assert tracker.client.get_run(child.run_id).info.run_name == "levels/level0"
    assert [status(tracker, run.run_id) for run in (stage, child)] == ["FINISHED", "FINISHED"]


def test_a_run_opened_late_began_when_its_stage_did(tracker, line):
    run = tracker.stage(line, "prepare", began=1_700_000_000.5)
    assert tracker.client.get_run(run.run_id).info.start_time == 1_700_000_000_500


def test_whatever_is_open_is_ended_with_the_stage(tracker, line):
    """A stage that is told to stop while it opens or ends its runs."""
    stage = tracker.stage(line, "levels")
    child = stage.child("levels/level0", "key0")
    child.finish()
    tracker.close("KILLED")
    ended = [status(tracker, run) for run in (tracker.parent(line), stage.run_id, child.run_id)]
    assert ended == ["KILLED", "KILLED", "FINISHED"]
    tracker.close("FAILED")
    assert status(tracker, stage.run_id) == "KILLED"


def test_the_page_of_a_run(tracker):
    page = f"http://127.0.0.1:5000/#/experiments/{tracker.experiment_id}/runs/abc"
    assert tracker.run_page("abc") == page


def test_a_parent_runs_only_while_a_stage_does(tracker, root, line):
    parent = tracker.parent(line)
    with tracker.stage(line, "levels"):
        assert status(tracker, parent) == "RUNNING"
    assert status(tracker, parent) == "FINISHED", "`dvc repro levels` may be all"
    later = Tracker(root)
    with later.stage(line, "joint"):
        assert later.parent(line) == parent
        assert status(later, parent) == "RUNNING"
    assert status(later, parent) == "FINISHED"


def test_an_execution_that_was_evaluated_has_ended(tracker, root, line):
    with tracker.stage(line, "evaluate"):
        pass
    parent = tracker.parent(line)
    tracker.finish_parent(line, {"fid_10k": 7.5}, step=100)
    assert (status(tracker, parent), data(tracker, parent).metrics) == (
        "FINISHED",
        {"fid_10k": 7.5},
    )
    shown = Tracker(root)
    assert shown.parent(line, again=True) == parent, "the report belongs to it"
    shown.close("FINISHED")
    assert status(shown, parent) == "FINISHED"
    another = Tracker(root).parent(line)
    assert another != parent
    assert Tracker(root).parent(line, again=True) == another


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")],
)
def test_a_stage_that_ends_early_takes_its_runs_with_it(tracker, line, error, expected):
    parent = tracker.parent(line)
    with pytest.raises(error), tracker.stage(line, "levels") as stage:
        child = stage.child("levels/level0", "key0")
        done = stage.child("levels/level1", "key1")
        done.finish()
        raise error
    assert [status(tracker, r) for r in (parent, stage.run_id, child.run_id)] == [expected] * 3
    assert status(tracker, done.run_id) == "FINISHED"


@pytest.mark.parametrize("ending", [None, "FAILED", "KILLED"])
def test_an_unfinished_part_goes_on(root, line, ending):
    stage = Tracker(root).stage(line, "levels")
    child = stage.child("levels/level0", "key0", {"workers": 1})
    child.log_metrics([("level0/loss_d", 1.0, 100)])
    if ending:
        stage.finish(ending)
    again = Tracker(root)
    with again.stage(line, "levels") as resumed:
        part = resumed.child("levels/level0", "key0", {"workers": 2})
        assert (resumed.run_id, part.run_id) == (stage.run_id, child.run_id)
        assert status(again, part.run_id) == status(again, again.parent(line)) == "RUNNING"
        part.log_metrics([("level0/loss_d", 2.0, 200)])
        assert resumed.child("levels/level0", "another").run_id != child.run_id
    found = data(again, child.run_id)
    assert found.params == {"workers": "1"}
    assert found.tags["sgan.resumed_with.workers"] == "2"
    assert found.tags["sgan.resumed"] == "true"
    history = again.client.get_metric_history(child.run_id, "level0/loss_d")
    assert [(m.step, m.value) for m in history] == [(100, 1.0), (200, 2.0)]


def test_a_finished_part_does_not_go_on(root, line):
    with Tracker(root).stage(line, "encoder", part_key="k") as first:
        pass
    with Tracker(root).stage(line, "encoder", part_key="k") as second:
        pass
    assert first.run_id != second.run_id


def test_a_part_moves_below_the_stage_run_that_resumes_it(root, line):
    first = Tracker(root).stage(line, "levels", part_key="a")
    child = first.child("levels/level0", "key0")
    tracker = Tracker(root)
    second = tracker.stage(line, "levels", part_key="b")
    assert second.run_id != first.run_id
    assert second.child("levels/level0", "key0").run_id == child.run_id
    assert data(tracker, child.run_id).tags["mlflow.parentRunId"] == second.run_id


def test_a_reused_part_says_so(tracker, line):
    with tracker.stage(line, "levels") as stage:
        first = stage.child("levels/level0", "key0", {"lr": 1})
        first.mark_reused()
        first.log_metrics([("level0/loss_d", 0.5, 1000)])
    found = tracker.client.get_run(first.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["sgan.reused"] == "true"
    assert found.data.metrics == {"level0/loss_d": 0.5}


def test_a_part_that_ended_with_its_process_is_not_called_reused(root, line):
    """Killed after its last step: the next execution finds the result, and the run's points."""
    first = Tracker(root).stage(line, "encoder", part_key="key0")
    first.log_metrics([("loss", 0.5, 1000)])
    tracker = Tracker(root)
    with tracker.stage(line, "encoder", part_key="key0") as again:
        again.mark_reused()
    assert again.run_id == first.run_id
    assert "sgan.reused" not in data(tracker, first.run_id).tags


def test_a_curve_offered_again_after_a_restart_is_logged_once(root, line):
    def points(stop):
        return [(key, 0.1 * n, 100 * n) for n in range(1, stop) for key in ("loss", "accuracy")]

    first = Tracker(root).stage(line, "encoder", part_key="key0")
    for stop in (2, 5, 8):
        first.log_metrics(points(stop))
    tracker = Tracker(root)
    again = tracker.stage(line, "encoder", part_key="key0")
    for stop in (4, 6, 10):  # from an older checkpoint
        again.log_metrics(points(stop))
    again.finish()
    for key in ("loss", "accuracy"):
        history = tracker.client.get_metric_history(first.run_id, key)
        assert [m.step for m in history] == list(range(100, 1000, 100))


def test_a_stage_that_measures_again_does_so_in_a_run_of_its_own(root, line):
    first = Tracker(root).stage(line, "evaluate")
    first.log_metrics([("gan_test", 0.5, 1000)])
    first.finish("KILLED")
    tracker = Tracker(root)
    with tracker.stage(line, "evaluate") as second:
        second.log_metrics([("gan_test", 0.6, 1000)])
    assert second.run_id != first.run_id
    assert data(tracker, second.run_id).metrics == {"gan_test": 0.6}


def test_metrics_beyond_one_call(tracker, line):
    run = tracker.stage(line, "encoder")
    run.log_metrics([("encoder/loss", float(i), i * 100) for i in range(2500)])
    run.log_metrics([("encoder/odd", math.nan, 1), ("encoder/odd", math.inf, 2)])
    history = tracker.client.get_metric_history(run.run_id, "encoder/loss")
    assert sorted((m.step, m.value) for m in history) == [(i * 100, float(i)) for i in range(2500)]
    odd = tracker.client.get_metric_history(run.run_id, "encoder/odd")
    assert math.isnan(odd[0].value) and odd[1].value > 1e300


def test_params_beyond_one_call(tracker, line):
    run = tracker.stage(line, "encoder", {"many": {f"p{i}": i for i in range(250)}})
    assert data(tracker, run.run_id).params == {f"many.p{i}": str(i) for i in range(250)}


def test_artifacts(tracker, line, root):
    folder = root / "out"
    folder.mkdir()
    (folder / "report.html").write_text("<p>")
    run = tracker.stage(line, "evaluate")
    run.log_artifact(folder / "report.html")
    run.log_artifacts(folder, "grids")
    names = {file.path for file in tracker.client.list_artifacts(run.run_id)}
    assert names == {"grids", "report.html"}


def test_evaluate_runs_of_two_executions_compare(tracker, root):
    for name, fid in (("mnist", 5.0), ("cifar10", 20.0)):
        params = {"data": {"name": name}}
        line = lineage(params, root)
        with tracker.stage(line, "evaluate", params) as run:
            run.log_metrics([("fid_10k", fid, 1000)])
        tracker.finish_parent(line)
    found = runs(tracker, "tags.`sgan.stage` = 'evaluate' and metrics.fid_10k < 10")
    assert [run.data.params for run in found] == [{"data.name": "mnist"}]
    assert len(runs(tracker, "tags.`sgan.stage` = 'evaluate'")) == 2


def test_a_refused_metric_is_an_error(tracker, line, root):
    run = tracker.stage(line, "encoder")
    with pytest.raises(UserError, match="MLflow at sqlite"):
        run.log_metrics([("m" * 300, 1.0, 0)])
    with pytest.raises(UserError, match="nowhere"):
        run.log_artifact(root / "nowhere")


def test_a_model_registered_in_a_database(tracker, line, root, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = root / "stack.safetensors"
    levels = (LevelConfig(width=0.25),) * 2
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), levels)
    save_stack(path, Stack(config), {})
    run = tracker.stage(line, "evaluate")
    for number in ("1", "2"):
        logged = tracker.log_model(run, "stack", path, registered_name="sgan", alias="challenger")
        assert logged.version == number
    version = tracker.client.get_model_version_by_alias("sgan", "challenger")
    assert (str(version.version), version.source) == ("2", logged.uri)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    files = {path.name for path in (root / "mlartifacts").rglob("*")}
    assert {"MLmodel", "serving_model.py", "stack.safetensors", "stack.py"} <= files
    assert not {name for name in files if name.endswith((".pkl", ".pyc"))}


def test_a_file_that_holds_no_stack(tracker, line, root):
    run = tracker.stage(line, "evaluate")
    with pytest.raises(WeightsError, match=r"mlflow\.db: not a readable"):
        tracker.log_model(run, "stack", root / "mlflow.db")
    with pytest.raises(UserError, match="registered_name"):
        tracker.log_model(run, "stack", root / "mlflow.db", alias="champion")


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.timeout(60)  # MLflow's own defaults would try for four minutes
def test_a_server_that_does_not_answer(tmp_path, monkeypatch):
    port = closed_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:hunter22@127.0.0.1:{port}")
    with pytest.raises(UserError) as caught:
        Tracker(tmp_path)
    message = str(caught.value)
    assert f"http://***@127.0.0.1:{port}" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "hunter22" not in message


@pytest.mark.timeout(60)
def test_a_server_that_accepts_and_stays_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_uri, "_ANSWER_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(UserError, match="does not answer"):
            Tracker(tmp_path, uri=f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "ftp://u:p@h/x"])
def test_an_address_of_another_kind(tmp_path, uri):
    with pytest.raises(UserError, match="database") as caught:
        Tracker(tmp_path, uri=uri)
    assert "u:p" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, but text of some length " * 50)
    with pytest.raises(UserError, match=r"mlflow\.db"):
        Tracker(tmp_path)


def test_a_database_whose_driver_is_missing(tmp_path):
    with pytest.raises(UserError, match="load plugin") as caught:
        Tracker(tmp_path, uri="mssql+nodriver://u:hunter22@127.0.0.1/db")
    assert "hunter22" not in str(caught.value)


def test_the_lock_lies_beside_the_database(tmp_path):
    assert lock_path(f"sqlite:///{tmp_path}/x/runs.db", tmp_path).parent == tmp_path / "x"
    assert lock_path("http://host:5000", tmp_path) == tmp_path / "mlflow.db.lock"
