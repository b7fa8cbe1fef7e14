"""From two versions in the registry to a verdict, row by row, and what is written of it."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution import promotion
from pipeline.execution.promotion import decide, registry_of
from pipeline.execution.registration import register
from pipeline.execution.stage import opened
from pipeline.stages import evaluate
from pipeline.tracking import registry
from pipeline.tracking.registry import CHAMPION
from pipeline.tracking.revision import VARIABLE


@pytest.fixture
def challenge(project: Path, evaluated: Any, saved_stack: Any, monkeypatch: Any) -> Any:
    """`challenge(seed, fid=…)`: another stack is trained and evaluated, so to speak."""
    monkeypatch.setenv(VARIABLE, "0" * 40)  # the project has no git
    monkeypatch.setattr(registry, "_SETTLE_S", 0.0)  # no two promote at once here
    for name in ("encoder", "levels", "joint"):
        (project / "metrics").mkdir(exist_ok=True)
        (project / paths.metrics_file(name)).write_text(json.dumps({"loss": 0.5}))

    def make(seed: int, **values: Any) -> None:
        with opened("evaluate") as stage, stage.run(None) as run:
            saved_stack(stage.path(paths.STACK_WEIGHTS), seed)
            scores = evaluated(**values)
            evaluate.record(stage, run, scores)
            run.log_artifacts(stage.path(paths.EVALUATE), "evaluate")
            register(stage, run, scores)

    return make


def decided(**options: Any) -> Any:
    with opened("promote") as stage:
        return decide(stage, **options)


def test_a_challenger_takes_the_place_or_does_not_and_it_is_said_why(challenge: Any) -> None:
    with pytest.raises(UserError, match="no version 'challenger'"):
        decided()
    challenge(1, fid=1.0)
    first = decided()
    assert (first.status, first.champion) == (0, None)
    again = decided()
    assert again.status == 3 and "model" in again.verdict.why
    challenge(2, fid=0.9)
    noise = decided()
    assert (noise.status, noise.verdict.why) == (3, "fid")
    challenge(3, fid=0.3)
    dry = decided(dry=True)
    assert dry.status == 0
    better = decided()
    assert (better.status, better.challenger, better.champion) == (0, "3", "1")
    with opened("promote") as stage:
        found = registry_of(stage)
        champion, kept = found.version(CHAMPION), found.version("2")
    assert champion is not None and str(champion.version) == "3"
    assert champion.tags["sgan.verdict"] == "promoted"
    assert kept is not None and kept.tags["sgan.verdict"] == "kept"
    assert kept.tags["sgan.verdict.fid"].startswith("does not hold: ")
    table = noise.markdown()
    assert table.startswith("**kept: sgan-custom version 2 is not promoted (fid); version 1 stays")
    assert "| fid | 1.000 ± 0.02 | 0.900 ± 0.02 | better beyond seed noise: t = " in table
    assert json.loads(json.dumps(noise.as_dict()))["rows"][2]["holds"] is False


def test_scores_by_another_judge_are_taken_again(
    challenge: Any, evaluated: Any, monkeypatch: Any
) -> None:
    """As where the data have changed since the champion was scored: their judge is another. Where
    the challenger's is an older one too, both are scored again."""
    again: list[str] = []
    scores = {"1": evaluated(fid=1.1), "2": evaluated(fid=0.4), "3": evaluated(fid=0.1)}

    def scored_again(_: Any, __: Any, version: Any, settings: Any, ___: Path) -> list[Any]:
        again.append(str(version.version))
        assert len(settings.seeds) >= 3
        return scores[str(version.version)]

    monkeypatch.setattr(promotion, "_scored_again", scored_again)
    challenge(1, fid=1.0, judge="b")
    assert decided().status == 0
    challenge(2, fid=0.3)
    decision = decided()
    assert (decision.status, decision.challenger, again) == (0, "2", ["1"])
    assert decision.verdict.rows[2].sides == ("1.100 ± 0.02", "0.300 ± 0.02")
    challenge(3, fid=0.9, judge="c")
    decision = decided()
    assert (decision.status, again) == (0, ["1", "2", "3"])
    assert decision.verdict.rows[2].sides == ("0.400 ± 0.02", "0.100 ± 0.02")


def test_outputs_are_pushed_where_a_remote_is_set_and_it_can_have_been_done(
    challenge: Any, project: Path, monkeypatch: Any
) -> None:
    told = {}
    monkeypatch.setattr(
        promotion, "_dvc", lambda _, command, *__: CompletedProcess([], 0, told[command], "")
    )
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("['remote \"storage\"']\n    url = s3://b\n")
    challenge(1, fid=1.0)
    for status, shown, holds in (
        ({"a": "new", "b": "missing", "c": "deleted"}, "2 not pushed (dvc push)", False),
        ({"c": "deleted"}, "pushed", True),  # the remote has it, and the cache here does not
    ):
        told["status"] = json.dumps(status)
        row = decided(dry=True).verdict.rows[-1]
        assert (row.what, row.sides[1], row.holds) == ("outputs", shown, holds)
    monkeypatch.setenv("DVC_STAGE", "promote")  # nobody can push before the stage has ended
    assert "outputs" not in [row.what for row in decided(dry=True).verdict.rows]


def test_a_loss_that_is_not_finite_keeps_the_champion(challenge: Any, project: Path) -> None:
    challenge(1, fid=1.0)
    (project / paths.metrics_file("joint")).write_text('{"level0": {"loss_g": NaN}}')
    decision = decided()
    assert decision.status == 3
    assert decision.verdict.why == "losses"
    assert "joint.level0.loss_g" in decision.verdict.rows[1].sides[1]


def test_code_that_nobody_can_name_is_not_called_clean(challenge: Any, monkeypatch: Any) -> None:
    challenge(1, fid=1.0)
    monkeypatch.delenv(VARIABLE)
    decision = decided()
    assert (decision.status, decision.verdict.why) == (2, "git")
    assert "is no git repository" in decision.markdown()
