"""dvc.yaml's dependencies on code are those that the code has, both ways."""

from pathlib import Path

import pytest
import yaml

from pipeline.code import ROOT
from pipeline.errors import UserError
from pipeline.execution.deps import code_deps, stale, write
from pipeline.stages import DECIDED_BY


@pytest.mark.parametrize("stage", list(DECIDED_BY))
def test_dvc_watches_the_code_that_a_stage_uses_and_no_other(stage: str) -> None:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    listed = {dep for dep in deps if dep.startswith(("sgan/", "pipeline/"))}
    assert listed == set(code_deps(stage, DECIDED_BY[stage]))
    assert f"pipeline/stages/{stage}.py" in listed


def test_only_the_report_depends_on_how_it_looks() -> None:
    users = {
        stage: [dep for dep in code_deps(stage, entries) if dep.startswith("pipeline/report/")]
        for stage, entries in DECIDED_BY.items()
    }
    assert {stage for stage, deps in users.items() if "pipeline/report/pages.py" in deps} == {
        "report"
    }
    looks = [dep for dep in users["report"] if not dep.endswith(".py")]
    assert "pipeline/report/templates/page.css" in looks
    assert not set(looks) & set(users["evaluate"])


def test_dvc_yaml_is_written_with_its_comments(tmp_path: Path) -> None:
    for package in ("sgan", "pipeline"):
        (tmp_path / package).symlink_to(ROOT / package)
    text = (ROOT / "dvc.yaml").read_text()
    path = tmp_path / "dvc.yaml"
    path.write_text(
        text.replace("      - sgan/losses.py\n", "", 1).replace(
            "      - pipeline/stages/prepare.py\n",
            "      - pipeline/stages/prepare.py\n      - sgan/ema.py\n",
        )
    )
    assert stale(path, DECIDED_BY) == {"prepare": ["-sgan/ema.py"], "levels": ["+sgan/losses.py"]}
    write(path, DECIDED_BY)
    assert path.read_text() == text
    assert stale(path, DECIDED_BY) == {}


def test_a_file_that_is_missing_or_no_yaml_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dvc\.yaml does not exist; run this in the proj"):
        stale(tmp_path / "dvc.yaml", DECIDED_BY)
    (tmp_path / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match=r"^\S+/dvc\.yaml: .*line 1") as caught:
        write(tmp_path / "dvc.yaml", DECIDED_BY)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "dvc.yaml").read_text() == "stages: ["
