"""The experiment: created once, whoever comes first, and told of where it cannot be used."""

import logging
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.tracking.tracker import Tracker


def test_two_that_find_none_share_the_one_that_is_created(root, tracker, monkeypatch):
    """The second looks, finds nothing, and the first creates it."""
    from mlflow import MlflowClient

    look = MlflowClient.get_experiment_by_name
    answers = [None]

    def too_early(client, name):
        return answers.pop() if answers else look(client, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", too_early)
    assert Tracker(root).experiment_id == tracker.experiment_id


def test_a_deleted_experiment(root, tracker):
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(UserError, match="was deleted"):
        Tracker(root)


def test_a_project_whose_files_are_gone(root, tracker, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.move(root, moved)
    shutil.rmtree(moved / "mlartifacts")
    with pytest.raises(UserError, match="was the project moved"):
        Tracker(moved)


def logged(tracker, root, text):
    """The folder that a run's file went to."""
    run = tracker.client.create_run(tracker.experiment_id)
    (root / "note.txt").write_text(text)
    tracker.client.log_artifact(run.info.run_id, str(root / "note.txt"))
    return run.info.run_id


def read(tracker, run_id):
    return Path(tracker.client.download_artifacts(run_id, "note.txt")).read_text()


def test_a_copy_of_a_project_keeps_its_files_to_itself(root, tracker, tmp_path_factory, caplog):
    old = logged(tracker, root, "old")
    lost = logged(tracker, root, "did not come along")
    before = sorted((root / "mlartifacts").rglob("*"))
    copy = tmp_path_factory.mktemp("copied") / "a project"
    shutil.copytree(root, copy)
    shutil.rmtree(copy / "mlartifacts" / lost)
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        ours = Tracker(copy)
    (record,) = caplog.records
    assert f"MLflow's files are in {copy}/mlartifacts from now on" in record.message
    assert "1 entries whose files did not come along" in record.message
    new = logged(ours, copy, "new")
    assert (copy / "mlartifacts" / new / "artifacts" / "note.txt").read_text() == "new"
    assert sorted((root / "mlartifacts").rglob("*")) == before
    shutil.rmtree(root / "mlartifacts" / old)  # the copy has one of its own
    assert read(ours, old) == "old" and read(ours, lost) == "did not come along"
    caplog.clear()
    Tracker(copy)
    Tracker(root)
    assert not caplog.records


def test_a_file_in_the_place_of_its_folder_is_told(root):
    (root / "mlartifacts").write_text("")
    with pytest.raises(UserError, match=rf"{root}/mlartifacts is a file, where a folder belongs"):
        Tracker(root)


def test_a_project_that_was_moved_goes_on(root, tracker, tmp_path_factory):
    run = logged(tracker, root, "kept")
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.move(root, moved)
    assert read(Tracker(moved), run) == "kept"
