"""`sgan summary` on whole, partial and empty projects."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.commands.project import headline
from pipeline.stages import ORDER

ENCODER = {"test_accuracy": 0.9918, "loss": 0.0063, "images_seen": 240000, "seconds": 40.07}
LEVELS = {"level0": {"loss_d": 1.53, "seconds": 165.15}, "level1": {"seconds": 199.59}}
EVALUATE = {"gan_test": 0.9976, "diversity": 0.952687, "diversity_z0": 0.109088}
NOTHING = dict.fromkeys(ORDER)
EVERYTHING: dict[str, Any] = {name: {} for name in ORDER} | {
    "encoder": ENCODER,
    "levels": LEVELS,
    "evaluate": EVALUATE,
}


def write(stage: str, text: str) -> None:
    """Put a metrics file into the project."""
    Path("metrics").mkdir(exist_ok=True)
    Path(f"metrics/{stage}.json").write_text(text)


def test_everything_is_told() -> None:
    assert headline(EVERYTHING) == [
        ("samples read as asked", "99.76%  (independent judge)"),
        ("diversity within a class", "0.95 of the real images'"),
        ("of which by z_0 alone", "0.11 of the real images'"),
        ("encoder's test accuracy", "99.18%"),
        ("training of the levels", "level0 165 s, level1 200 s"),
    ]


@pytest.mark.parametrize("kept", [(), ("encoder",), ("encoder", "levels"), ("evaluate",)])
def test_stages_that_have_not_run_are_named(kept: tuple[str, ...]) -> None:
    metrics = {name: EVERYTHING[name] if name in kept else None for name in NOTHING}
    missing = [name for name in NOTHING if name not in kept]
    assert headline(metrics)[-1] == ("not run yet", ", ".join(missing))


def test_metrics_of_another_version_do_no_harm() -> None:
    strange = {"evaluate": {"accuracy": 1.0}, "levels": {"level0": 3, "level1": {}}}
    missing = [name for name in ORDER if name not in strange]
    assert headline({**NOTHING, **strange}) == [("not run yet", ", ".join(missing))]


def test_a_project_half_trained_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    write("encoder", json.dumps(ENCODER))
    assert main(["summary"]) == 0
    said = capsys.readouterr().out
    assert "Not all stages have run yet" in said
    assert "99.18%" in said
    assert "Next: `dvc repro` runs what is missing" in said


def test_a_page_is_named_where_it_lies(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # the stages not run yet stay on one line
    write("evaluate", json.dumps(EVALUATE))
    assert main(["summary"]) == 0
    said = capsys.readouterr().out
    assert "report.html" not in said and re.search("not run yet.*, joint,.* report", said)
    Path("artifacts/report").mkdir(parents=True)
    Path("artifacts/report/report.html").touch()
    assert main(["summary"]) == 0
    said = capsys.readouterr().out
    assert "artifacts/report/report.html" in said
    assert not re.search("not run yet.* report ", said)


def test_an_empty_project_and_a_damaged_file_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["summary"]) == 2
    assert capsys.readouterr().err.startswith("error: nothing has run here yet; run `dvc repro`")
    write("joint", "{")
    assert main(["summary"]) == 2
    assert "metrics/joint.json: not valid JSON" in capsys.readouterr().err
