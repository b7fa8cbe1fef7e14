"""What ran, what was reused and what it cost: dvc.lock beside the commit's, evaluate's facts."""

import json
from dataclasses import asdict
from pathlib import Path

import yaml

from pipeline import paths
from pipeline.execution.retraining.branch import base_of
from pipeline.execution.retraining.outcome import outcome, stages_in
from pipeline.execution.retraining.plan import LAST
from pipeline.params.loading import load
from pipeline.report.record import StageFact
from tests.small_project import committed

NAMES = ("prepare", "encoder", "levels", "joint", "evaluate", "report")


def lock(root: Path, **changed: int) -> None:
    stages = {name: {"outs": [{"md5": str(changed.get(name, 0))}]} for name in NAMES}
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def facts(root: Path, *found: StageFact) -> None:
    (root / paths.EVALUATE).mkdir(parents=True, exist_ok=True)
    (root / paths.EVALUATE / "stages.json").write_text(json.dumps([asdict(one) for one in found]))


def test_only_what_this_execution_made_is_counted(checkout: Path) -> None:
    params = load(checkout / "params.yaml", checkout)
    lock(checkout)
    committed("results")
    base = base_of(checkout)
    assert not outcome(checkout, base, params).is_news
    lock(checkout, levels=1, joint=1, evaluate=1, report=1)
    (checkout / "metrics").mkdir()
    times = {"level0": {"seconds": 240.0}, "level1": {"seconds": 90.0}, "seconds": 241.0}
    (checkout / "metrics" / "levels.json").write_text(json.dumps(times))
    (checkout / "metrics" / "joint.json").write_text('{"seconds": 60.0}')
    facts(
        checkout,
        StageFact("level0", 240.0, status="reused", note="abc-123", part_of="levels"),
        StageFact("level1", 90.0, part_of="levels"),
        StageFact("joint", 60.0),
        StageFact("evaluate", 30.0),
    )
    found = outcome(checkout, base, params)
    assert [(one.name, one.how) for one in found.done] == [
        ("prepare", "unchanged"),
        ("encoder", "unchanged"),
        ("level1", "trained"),
        ("level0", "reused"),
        ("joint", "trained"),
        ("evaluate", "ran"),
        ("report", "ran"),
    ]
    assert found.done[3].note == "abc-123"
    # 90 s and 60 s on one thread, 30 s on two; report's time nobody noted.
    assert found.core_minutes == (90 + 60 + 2 * 30) / 60
    found.write(checkout, "7")
    noted = json.loads((checkout / LAST).read_text())
    assert noted["version"] == "7" and noted["core_minutes"] == 3.5
    assert noted["seconds"] == {"level1": 90.0, "level0": 240.0, "joint": 60.0, "evaluate": 30.0}


def test_facts_of_an_older_evaluation_do_not_count(checkout: Path) -> None:
    params = load(checkout / "params.yaml", checkout)
    lock(checkout)
    committed("results")
    facts(checkout, StageFact("encoder", 40.0, status="reused", note="abc-123"))
    lock(checkout, encoder=1)
    found = outcome(checkout, base_of(checkout), params)
    assert [one.how for one in found.done if one.name == "encoder"] == ["trained"]


def test_the_time_that_a_stage_took_is_no_news(checkout: Path) -> None:
    """`prepare` that looked at its source again and found the same, every week."""
    params = load(checkout / "params.yaml", checkout)
    stages = {"prepare": {"outs": [{"path": "artifacts/data", "md5": "a"}]}}
    for seconds in ("1", "2"):
        took = {"path": "metrics/prepare.json", "md5": seconds}
        timed = {"prepare": {"outs": [*stages["prepare"]["outs"], took]}}
        (checkout / "dvc.lock").write_text(yaml.safe_dump({"stages": timed}))
        if seconds == "1":
            committed("results")
    assert not outcome(checkout, base_of(checkout), params).is_news


def test_what_another_execution_made_was_not_trained_now(checkout: Path) -> None:
    """An edit of a comment, or a setting put back: dvc.lock differs, and nothing was trained. The
    evaluation that came from the run-cache tells of the day that it was made."""
    params = load(checkout / "params.yaml", checkout)
    lock(checkout)
    committed("results")
    lock(checkout, levels=1, joint=1, evaluate=1)
    (checkout / "metrics").mkdir()
    (checkout / "metrics" / "joint.json").write_text('{"seconds": 60.0}')
    facts(checkout, StageFact("level1", 90.0, part_of="levels"), StageFact("evaluate", 30.0))
    elsewhere = {"level1": "abc-123", "level0": "abc-123", "evaluate": "abc-123"}
    found = outcome(checkout, base_of(checkout), params, lambda: elsewhere)
    told = {one.name: (one.how, one.note) for one in found.done if one.how != "unchanged"}
    assert told == {
        "level1": ("reused", "abc-123"),
        "level0": ("reused", "abc-123"),
        "joint": ("trained", ""),
        "evaluate": ("reused", "abc-123"),
    }
    assert found.core_minutes == 1.0


def test_a_project_without_a_lock_has_no_stages() -> None:
    assert stages_in(None) == stages_in(b"") == stages_in(b"- 1") == {}
