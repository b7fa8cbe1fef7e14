"""Links between runs: down to stages and parts, from a reused part to whoever trained it."""

from pipeline.tracking.lineage import Lineage
from pipeline.tracking.links import BELOW, NOTE, TRAINED_BY, downwards
from pipeline.tracking.tracker import Tracker


def tags(tracker: Tracker, run_id: str) -> dict[str, str]:
    return dict(tracker.client.get_run(run_id).data.tags)


def test_parent_stage_and_level_are_linked_both_ways(tracker: Tracker, line: Lineage) -> None:
    with tracker.stage(line, "encoder", part_key="e") as encoder:
        pass
    with tracker.stage(line, "levels") as levels:
        parts = [levels.child(f"levels/level{i}", f"key{i}") for i in (0, 1)]
    parent = tracker.parent(line)
    above, experiment = tags(tracker, parent), tracker.experiment_id
    assert above[f"{BELOW}encoder"] == encoder.run_id
    assert above[f"{BELOW}levels"] == levels.run_id
    assert above[NOTE].splitlines()[2:] == [
        f"- [encoder](#/experiments/{experiment}/runs/{encoder.run_id})",
        f"- [levels](#/experiments/{experiment}/runs/{levels.run_id})",
    ]
    middle = tags(tracker, levels.run_id)
    assert middle["mlflow.parentRunId"] == parent
    for part in parts:
        assert middle[f"{BELOW}{part.name}"] == part.run_id
        assert f"[{part.name}](#/experiments/{experiment}/runs/{part.run_id})" in middle[NOTE]
        assert tags(tracker, part.run_id)["mlflow.parentRunId"] == levels.run_id


def test_a_reused_part_leads_to_the_run_that_trained_it(tracker: Tracker, line: Lineage) -> None:
    runs = []
    for reused in (False, True, True):
        with tracker.stage(line, "levels") as levels:
            part = levels.child("levels/level0", "key")
            if reused:
                part.mark_reused()
            else:
                part.log_metrics([("level0/loss_d", 0.5, 100)])
        runs.append(part.run_id)
        tracker.finish_parent(line)
        tracker = Tracker(tracker._folder.parents[1])
    for run_id in runs[1:]:
        found = tags(tracker, run_id)
        assert found["sgan.reused"] == "true"
        assert found[TRAINED_BY] == runs[0]
        link = f"[levels/level0](#/experiments/{tracker.experiment_id}/runs/{runs[0]})"
        assert found[NOTE] == f"Reused: {link} of the execution {line.tag_value} trained it."
    assert TRAINED_BY not in tags(tracker, runs[0])


def test_a_part_that_nobody_here_trained_has_no_link(tracker: Tracker, line: Lineage) -> None:
    with tracker.stage(line, "levels") as levels:
        part = levels.child("levels/level0", "key")
        part.mark_reused()
    found = tags(tracker, part.run_id)
    assert found["sgan.reused"] == "true"
    assert TRAINED_BY not in found and NOTE not in found


def test_a_description_of_a_person_stays() -> None:
    assert downwards("1", {NOTE: "my best one"}, {"levels": "r1"}) == {f"{BELOW}levels": "r1"}
    ours = downwards("1", {}, {"levels": "r1"})
    assert downwards("1", ours, {"joint": "r2"})[NOTE].endswith(
        "- [joint](#/experiments/1/runs/r2)"
    )
