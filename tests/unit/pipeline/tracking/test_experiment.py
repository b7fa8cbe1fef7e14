"""The experiment: created once, whoever comes first, and told of where it cannot be used."""

import shutil

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


def test_a_project_that_was_moved(root, tracker, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.move(root, moved)
    with pytest.raises(UserError, match="was the project moved"):
        Tracker(moved)
