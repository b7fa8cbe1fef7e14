"""Where a workspace came from: edges from dvc.yaml, runs from the marks of the outputs."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.execution.stage import Stage, opened
from pipeline.report import facts
from pipeline.report.facts import Workspace, all_before, made_elsewhere, stage_facts, waits
from pipeline.report.record import StageFact
from pipeline.storage.atomic import write_json
from pipeline.tracking.lineage import Lineage
from pipeline.tracking.run import StageRun
from sgan.config import EncoderConfig, ImageConfig
from sgan.encoder import Encoder
from sgan.weights import save_encoder

EARLIER = Lineage("earlier", "earlier", "nogit", False, None, "digest", "clone")


def facts_of(stage: Stage, run: StageRun) -> list[StageFact]:
    """The facts as evaluate gathers them."""
    levels = tuple(stage.params.levels)
    workspace = Workspace(stage.root, levels, stage.lineage, stage.tracker)
    return stage_facts(workspace, stage.name, stage.seconds(), run.run_id)


def test_the_edges_are_those_of_dvc_yaml(project: Path) -> None:
    assert waits(project) == {
        "prepare": [],
        "encoder": ["prepare"],
        "features": ["encoder"],
        "levels": ["features"],
        "joint": ["levels"],
        "evaluate": ["joint"],
        "report": ["evaluate"],
        "promote": ["evaluate"],
    }


def test_what_follows_from_other_edges_is_left_out(tmp_path: Path) -> None:
    assert waits(tmp_path) == {}
    (tmp_path / "dvc.yaml").write_text("""
stages:
  last: {cmd: x, deps: [a, b, c, code.py]}
  c: {cmd: x, deps: [a], outs: [c]}
  b: {cmd: x, deps: [a], outs: [b: {cache: false}]}
  a: {cmd: x, outs: [a]}
""")
    assert waits(tmp_path) == {"last": ["c", "b"], "c": ["a"], "b": ["a"], "a": []}


def test_all_before_follows_the_edges() -> None:
    waits_for = {"last": ["c"], "c": ["a", "b"], "b": ["a"], "other": ["a"]}
    assert all_before("last", waits_for) == {"a", "b", "c"}
    assert all_before("unknown", waits_for) == set()


def test_times_and_runs_of_what_lies_there(project_here: Path) -> None:
    with opened("evaluate") as stage:
        with stage.tracker.stage(EARLIER, "encoder", part_key="key") as made:
            pass
        with stage.tracker.stage(stage.lineage, "encoder", part_key="key") as reused:
            reused.mark_reused()
        with stage.tracker.stage(EARLIER, "levels") as levels:
            levels.child("levels/level0", "never written here")
        encoder = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)))
        (project_here / paths.ENCODER).mkdir(parents=True)
        save_encoder(project_here / paths.ENCODER_WEIGHTS, encoder, {"key": "key"})
        write_json(project_here / paths.metrics_file("encoder"), {"seconds": 34.5})
        write_json(project_here / paths.metrics_file("levels"), {"level1": {"seconds": 7}})
        with stage.run(None) as run:
            facts = {fact.name: fact for fact in facts_of(stage, run)}
        page = stage.tracker.run_page
    assert list(facts) == [
        "prepare", "encoder", "features", "levels", "level1", "level0", "joint", "evaluate",
    ]  # fmt: skip
    assert facts["prepare"].run_id and facts["prepare"].seconds is not None
    assert (facts["prepare"].status, facts["prepare"].note) == ("", "")
    found = facts["encoder"]
    assert (found.seconds, found.status, found.note) == (34.5, "reused", "earlier")
    assert (found.run_id, found.link) == (made.run_id, page(made.run_id))
    assert facts["evaluate"].run_id == run.run_id
    assert (facts["level1"].seconds, facts["level1"].part_of) == (7, "levels")
    for name in ("features", "levels", "level0", "joint"):
        assert (facts[name].link, facts[name].seconds) == ("", None)


def test_what_an_earlier_execution_made_is_named(
    project_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was trained and then reused is the earlier one's; one that both trained is ours,
    as is what only we made. Of evaluations counts the one whose scores lie there."""
    keys = {name: {"part_key": name} for name in ("encoder", "level0", "joint", "level1")}
    monkeypatch.setattr(facts, "_marks", lambda workspace: keys)
    with opened("evaluate") as stage:
        made = {}
        for name in ("encoder", "level0", "evaluate"):
            with stage.tracker.stage(EARLIER, name, part_key=name) as run:
                made[name] = run.run_id
        for name in ("encoder", "level0", "joint", "evaluate"):
            with stage.tracker.stage(stage.lineage, name, part_key=name) as run:
                if name == "encoder":
                    run.mark_reused()
        workspace = Workspace(stage.root, (0, 1), stage.lineage, stage.tracker)
        assert made_elsewhere(workspace) == {"encoder": "earlier"}
        for run_id, told in ((made["evaluate"], {"evaluate": "earlier"}), (run.run_id, {})):
            noted = [
                {"name": name, "seconds": 1.0, "run_id": run_id} for name in ("joint", "evaluate")
            ]
            write_json(project_here / paths.EVALUATE / "stages.json", noted)
            assert made_elsewhere(workspace) == {"encoder": "earlier"} | told


def test_levels_are_linked_to_the_run_of_their_stage_that_had_them_all(
    project_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {f"level{i}": {"part_key": f"key{i}"} for i in (0, 1)}
    monkeypatch.setattr(facts, "_marks", lambda workspace: keys)
    with opened("evaluate") as stage:
        made = []
        for name, parts in (("levels", "01"), ("tune", "01"), ("levels", "1")):
            lineage = replace(EARLIER, name=name, tag_value=f"{name}{parts}")
            with stage.tracker.stage(lineage, name) as above:
                for part in parts:
                    above.child(f"{name}/level{part}", f"key{part}")
            made.append(above.run_id)
        with stage.run(None) as run:
            linked = {fact.name: fact.run_id for fact in facts_of(stage, run)}
    assert linked["levels"] == made[0]


def test_a_server_s_address_has_no_credentials(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("evaluate") as stage, stage.run(None) as run:
        monkeypatch.setattr(stage.tracker._asker, "uri", "https://me:secret@mlflow.example")
        links = [fact.link for fact in facts_of(stage, run) if fact.link]
    assert len(links) == 2
    assert all(link.startswith("https://mlflow.example/#/experiments/") for link in links)
