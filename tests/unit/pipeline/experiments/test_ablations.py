"""The paper's comparison: which experiments, what DVC knows of them, the table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.experiments import ablations
from pipeline.experiments.ablations import Experiment, Outcome, planned
from pipeline.params.compose import compose
from pipeline.params.loading import from_values
from pipeline.scores.naming import ALL_Z, scored
from pipeline.scores.score import Score
from pipeline.stages import DECIDED_BY

ROOT = Path(__file__).resolve().parents[4]
BASELINE = "ef2f95752fed28c45e1d2d28c5c535ffdd5babea"


def metrics(gan_test: float, fid: float = 2.0) -> dict[str, float]:
    """Like metrics/evaluate.json."""
    return {
        "gan_test": gan_test,
        "fid": fid,
        "diversity": 0.9,
        "diversity_z0": 0.2,
        "coverage": 0.8,
        "cas": 0.9,
    }


def scores() -> list[Score]:
    """Of one experiment, as scores.json has them."""
    return [
        scored("gan_test", 0.9, real=0.99, judge="judge CNN"),
        scored("fid", 2.0, real=0.1, judge="judge CNN", slug="judge", n=3000),
        scored("fid", 90.0, real=5.0, judge="Inception", n=3000),
        scored("diversity", 0.9, real=1.0, space="pixels", varies=ALL_Z),
    ]


def shown(name: str, found: Mapping[str, Any] | None, state: str = "success") -> dict[str, Any]:
    """An experiment as `dvc exp show --json` (3.67) has it."""
    data = {"metrics": {"metrics/evaluate.json": {"data": found}} if found else {}}
    revision = {"rev": f"rev of {name}", "name": name, "data": data, "error": None}
    return {"revs": [revision], "executor": {"state": state, "name": "dvc-task"}, "name": name}


@pytest.fixture(scope="module")
def three() -> list[Experiment]:
    """Two seeds of the full stack and of one GAN alone."""
    return planned(ROOT, "mnist", "ablation", [1, 2], ["full", "dcgan_adv_ent"])


def test_every_choice_of_conf_is_a_row() -> None:
    choices = {path.stem for path in (ROOT / "conf" / "ablation").glob("*.yaml")}
    assert {setting.name for setting in ablations.SETTINGS} == choices


def test_a_set_is_planned_seed_by_seed(three: list[Experiment]) -> None:
    assert [(e.setting.name, e.seed) for e in three] == [
        ("full", 1),
        ("dcgan_adv_ent", 1),
        ("full", 2),
        ("dcgan_adv_ent", 2),
    ]


def test_only_what_is_compared_differs(three: list[Experiment]) -> None:
    full, one, again = (from_values(dict(e.params)) for e in three[:3])
    assert full.encoder.seed == one.encoder.seed == again.encoder.seed
    assert full.evaluate == one.evaluate == again.evaluate
    assert [level.seed for level in again.levels.values()] == [2, 2]
    assert again.joint.seed == 2
    assert (one.levels[0].lambda_cond, one.levels[0].lambda_ent) == (0.0, full.levels[0].lambda_ent)
    assert len(one.levels) == 1


def test_one_gan_alone_sees_as_many_images_as_g0_of_the_stack(three: list[Experiment]) -> None:
    assert three[0].images == 38_000
    assert three[1].images == 38_000
    assert three[1].params["levels"]["0"]["total_images"] == 38_000
    assert not three[1].params["joint"]["enabled"]


def test_the_overrides_make_the_parameters(three: list[Experiment]) -> None:
    for experiment in three:
        assert compose(experiment.overrides, conf=ROOT / "conf") == experiment.params


def test_names_tell_parameters_and_code_apart(
    three: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [e.name for e in three]
    assert len(set(names)) == 4
    assert names[1].startswith("dcgan-adv-ent-s1-")
    smoke = planned(ROOT, "mnist", "smoke", [1], ["full"])[0]
    assert smoke.name != names[0]
    assert planned(ROOT, "mnist", "ablation", [1], ["full"])[0].name == names[0]
    monkeypatch.setattr(ablations, "_code", lambda architecture: "another")
    assert three[0].name != names[0]


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(UserError, match="--only half: must be among full, three_level, "):
        planned(ROOT, "mnist", "smoke", [1], ["full", "half"])
    with pytest.raises(UserError, match="cannot compose data=mnist budget=none"):
        planned(ROOT, "mnist", "none", [1])


def test_what_dvc_shows_is_read_by_name() -> None:
    answer = [
        {"rev": "workspace", "name": None, "data": {}, "experiments": None},
        {
            "rev": BASELINE,
            "name": "main",
            "experiments": [
                shown("full-s1", metrics(0.9)),
                shown("full-s2", metrics(0.1), "failed"),  # the baseline's metrics
                shown("full-s3", metrics(0.1), "queued"),
                {"revs": [{"rev": "x", "name": "odd", "data": None, "error": {}}], "name": "odd"},
            ],
        },
        {"rev": "older", "name": None, "experiments": [shown("full-s2", metrics(0.8))]},
        {"rev": "old", "experiments": [{**shown("kept", metrics(0.7)), "executor": None}]},
        {"rev": "oldest", "name": None, "experiments": [shown("full-s1", None, "failed")]},
    ]
    found = ablations.outcomes(answer)
    assert {name: one.state for name, one in found.items()} == {
        "full-s1": "done",
        "full-s2": "done",
        "full-s3": "queued",
        "odd": "unknown",
        "kept": "done",
    }
    assert found["full-s3"].metrics == {}
    assert found["full-s1"].revision == "rev of full-s1"
    assert found["full-s2"].metrics["gan_test"] == 0.8


def test_a_row_is_mean_and_sd_over_the_seeds_that_are_done(three: list[Experiment]) -> None:
    found = {
        three[0].name: Outcome("done", "a", metrics(0.90, fid=2.0)),
        three[1].name: Outcome("done", "b", metrics(0.80)),
        three[2].name: Outcome("done", "c", metrics(0.94, fid=4.0)),
        three[3].name: Outcome("failed"),
    }
    heads, body = ablations.cells(three, found, scores())
    assert heads[1:4] == ["seeds", "images of G_0", "GAN-test ↑"]
    assert heads[-2:] == ["FID (judge, 3k) ↓", "paper: IS on CIFAR-10 ↑"]
    assert body[0][:4] == ["Stacked GAN", "2", "38,000", "0.920 ± 0.0283"]
    assert body[0][-2:] == ["3.000 ± 1.414", "8.59 ± 0.12"]
    assert body[1][:4] == ["one GAN: adv + ent", "1", "38,000", "0.800"]
    assert body[2] == ["real images", "", "", "0.990", "1.000", "-", "0.100", "11.24"]


def test_metrics_of_an_older_version_are_one_line(three: list[Experiment]) -> None:
    found = {three[0].name: Outcome("done", "a", {"gan_test": 0.9, "fid_judge_3k": 2.0})}
    with pytest.raises(UserError, match=r"no diversity in it; it is of an older version"):
        ablations.cells(three, found)


def test_what_was_not_run_is_not_given_a_number(three: list[Experiment]) -> None:
    _, body = ablations.cells(three, {})
    assert [row[3:7] for row in body] == [["not run"] * 4] * 2
    assert [row[1] for row in body] == ["0", "0"]


def test_the_files_say_what_the_numbers_are(three: list[Experiment]) -> None:
    found = {three[0].name: Outcome("done", "a", metrics(0.9))}
    text = ablations.markdown(three, found, {"data": "mnist"})
    assert "| Stacked GAN | 1 | 38,000 | 0.9 |" in text.replace("0.900", "0.9")
    assert "do not measure the same thing" in text
    assert "- data: mnist\n" in text
    stored = json.loads(ablations.as_json(three, found, {"data": "mnist"}))
    assert stored["table"][0]["GAN-test ↑"] == {"mean": 0.9, "sd": None}
    assert stored["table"][1]["seeds"] == 0
    assert [e["revision"] for e in stored["experiments"]] == ["a", None, None, None]
    assert stored["experiments"][0]["metrics"]["fid"] == 2.0


def test_what_another_judge_measured_is_in_no_mean(three: list[Experiment]) -> None:
    def by(judge: str) -> list[Score]:
        return [one.with_protocol(judge_sha256=judge) for one in scores()]

    found = {e.name: Outcome("done", "rev", metrics(0.9)) for e in three}
    names = [e.name for e in three]
    alone = [e.name for e in three if e.setting.name == "dcgan_adv_ent"]
    known = {name: by("b" if name in alone else "a") for name in names}
    told = ablations.comparable(found, known)
    assert {told[name].state for name in alone} == {"another judge"}
    _, body = ablations.cells(three, told)
    full, other = body
    assert full[3] != "another judge" and other[3:-1] == ["another judge"] * (len(other) - 4)
    assert ablations.comparable(found, {name: by("a") for name in names}) == found


def test_all_code_that_decides_an_experiment_s_numbers_is_in_its_name() -> None:
    stages = ("prepare", "features", "evaluate")
    deciding = [entry for stage in stages for entry in DECIDED_BY[stage]]
    deciding.remove("pipeline.report.sheets")  # pictures
    assert sorted(ablations._DECIDED_BY) == sorted(deciding)
    assert len({ablations._code(one) for one in ("mnist", "pyramid")}) == 2
