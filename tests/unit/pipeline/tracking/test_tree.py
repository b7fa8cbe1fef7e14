"""Whose run goes on: that of this clone, of what is executed, of a process that has ended."""

import dataclasses

import pytest

from pipeline.tracking import asking, clone
from pipeline.tracking.lineage import lineage
from pipeline.tracking.tracker import Tracker

PARAMS = {"levels": {"1": {"learning_rate": 1e-4}}, "data": {"name": "mnist"}}


def found(tracker, run_id):
    return tracker.client.get_run(run_id)


@pytest.fixture
def as_another(monkeypatch):
    """`as_another(tracker, run_id, mark)`: as if the process of `mark` had opened the run."""

    def tag(tracker, run_id, mark):
        tracker.client.set_tag(run_id, "sgan.process", mark)

    return tag


@pytest.fixture
def dead():
    """The mark of a process that has ended."""
    host, number, start = clone.process_mark().split(" ")
    return f"{host} {number} {float(start) - 60:.2f}"


@pytest.fixture
def alive():
    """The mark of a process that runs: pytest's own parent."""
    import psutil

    return clone._mark(psutil.Process().parent())


def test_another_clone_has_runs_of_its_own(root, line):
    theirs = dataclasses.replace(line, clone="theirs")
    ours, other = Tracker(root), Tracker(root)
    first, second = ours.stage(line, "levels"), other.stage(theirs, "levels")
    parts = [run.child("levels/level0", "key0") for run in (first, second)]
    assert len({ours.parent(line), other.parent(theirs)}) == 2
    assert len({first.run_id, second.run_id, *(part.run_id for part in parts)}) == 4
    for run in (second, parts[1]):
        assert found(other, run.run_id).data.tags["sgan.clone"] == "theirs"


def test_what_a_dead_process_left_is_ended_and_no_other(root, line, as_another, dead, alive):
    tracker = Tracker(root)
    runs = {name: tracker.stage(line, name) for name in ("prepare", "encoder", "features")}
    theirs = tracker.stage(dataclasses.replace(line, clone="theirs"), "levels")
    as_another(tracker, runs["prepare"].run_id, dead)
    as_another(tracker, runs["encoder"].run_id, alive)
    as_another(tracker, runs["features"].run_id, "elsewhere 7 1.0")
    as_another(tracker, theirs.run_id, dead)
    Tracker(root).parent(line)
    ended = {name: found(tracker, run.run_id).info.status for name, run in runs.items()}
    assert ended == {"prepare": "KILLED", "encoder": "RUNNING", "features": "RUNNING"}
    assert found(tracker, theirs.run_id).info.status == "RUNNING"


def test_a_run_at_which_another_process_works_is_not_taken(root, line, as_another, alive):
    first = Tracker(root).stage(line, "encoder", part_key="k")
    tracker = Tracker(root)
    as_another(tracker, first.run_id, alive)
    assert tracker.stage(line, "encoder", part_key="k").run_id != first.run_id
    assert tracker.stage(line, "encoder", part_key="k").run_id != first.run_id


def test_a_parent_stays_open_while_another_stage_works(root, line, as_another, alive):
    first, second = Tracker(root), Tracker(root)
    one, two = first.stage(line, "levels"), second.stage(line, "features")
    as_another(first, one.run_id, alive)
    two.finish()
    assert found(second, second.parent(line)).info.status == "RUNNING"


def test_an_experiment_run_again_under_a_new_name_goes_on(root, monkeypatch, as_another, dead):
    """`dvc exp run`, killed, and `dvc exp run` again: DVC gives it another name."""
    monkeypatch.setenv("DVC_EXP_NAME", "brave-newt")
    tracker = Tracker(root)
    parent = tracker.parent(lineage(PARAMS, root))
    stage = tracker.stage(lineage(PARAMS, root), "levels")
    part = stage.child("levels/level0", "key0")
    as_another(tracker, parent, dead)
    stage.finish("KILLED")
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-mole")
    line, again = lineage(PARAMS, root), Tracker(root)
    assert again.parent(line) == parent
    resumed = again.stage(line, "levels")
    assert resumed.run_id == stage.run_id
    assert resumed.child("levels/level0", "key0").run_id == part.run_id
    for run_id in (parent, stage.run_id, part.run_id):
        tags = found(again, run_id).data.tags
        assert (tags["sgan.lineage"], tags["sgan.dvc_exp_name"]) == ("tidy-mole",) * 2
    assert found(again, parent).info.run_name == "tidy-mole"
    resumed.finish()
    monkeypatch.delenv("DVC_EXP_NAME")
    plain, third = lineage(PARAMS, root), Tracker(root)
    assert third.parent(plain) == parent, "and so does `dvc repro`"
    assert found(third, part.run_id).data.tags["sgan.lineage"] == plain.tag_value
    assert found(third, parent).info.run_name == "tidy-mole"


def test_one_that_is_executed_now_is_not_adopted(root, monkeypatch, as_another, alive):
    monkeypatch.setenv("DVC_EXP_NAME", "brave-newt")
    tracker = Tracker(root)
    parent = tracker.parent(lineage(PARAMS, root))
    tracker.stage(lineage(PARAMS, root), "levels").finish()
    as_another(tracker, parent, alive)
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-mole")
    assert Tracker(root).parent(lineage(PARAMS, root)) != parent


def test_a_run_whose_creation_was_not_answered_is_not_created_twice(root, line, monkeypatch):
    monkeypatch.setattr(asking, "_PAUSE_S", 0.0)
    monkeypatch.setattr(asking, "is_server", lambda uri: True)
    tracker = Tracker(root)
    parent, create = tracker.parent(line), tracker.client.create_run
    lost = [True]

    def late(*arguments, **options):
        made = create(*arguments, **options)
        if lost.pop():
            raise ConnectionError("read timed out")
        return made

    monkeypatch.setattr(tracker.client, "create_run", late)
    run = tracker.stage(line, "levels")
    (only,) = tracker.client.search_runs([tracker.experiment_id], "tags.`sgan.stage` = 'levels'")
    assert only.info.run_id == run.run_id != parent


def test_another_revision_is_another_execution(root, line, as_another, dead):
    tracker = Tracker(root)
    parent = tracker.parent(line)
    tracker.stage(line, "levels").finish("KILLED")
    edited = dataclasses.replace(line, git_revision="0123", tag_value="0123")
    assert Tracker(root).parent(edited) != parent
