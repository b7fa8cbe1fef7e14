"""`sgan deps`: says what is out of date, and mends it unless it is only asked to look."""

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.code import ROOT


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's code; one for all, as what was read of it is kept by its path."""
    folder = tmp_path_factory.mktemp("code")
    for package in ("sgan", "pipeline"):
        (folder / package).symlink_to(ROOT / package)
    return folder


@pytest.fixture
def dvc_yaml(code: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's dvc.yaml beside its code, in the working directory."""
    monkeypatch.chdir(code)
    path = code / "dvc.yaml"
    path.write_text((ROOT / "dvc.yaml").read_text())
    return path


def test_a_file_that_is_right_is_left_alone(dvc_yaml: Path, capsys) -> None:
    before = dvc_yaml.stat().st_mtime_ns
    for arguments in (["deps"], ["deps", "--check"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == "dvc.yaml: every stage depends on the code that it uses\n"
    assert dvc_yaml.stat().st_mtime_ns == before


def test_a_check_names_what_is_missing_and_changes_nothing(dvc_yaml: Path, capsys) -> None:
    right = dvc_yaml.read_text()
    wrong = right.replace("      - sgan/losses.py\n", "", 1)
    dvc_yaml.write_text(wrong)
    assert main(["deps", "--check"]) == 2
    said = capsys.readouterr()
    assert said.out == "levels: +sgan/losses.py\n"
    assert said.err == "error: dvc.yaml is out of date with the code; run `sgan deps`\n"
    assert dvc_yaml.read_text() == wrong

    assert main(["deps"]) == 0
    assert capsys.readouterr().out == "levels: +sgan/losses.py\nwrote dvc.yaml\n"
    assert dvc_yaml.read_text() == right


def test_without_a_dvc_yaml_it_says_where_to_run_it(capsys) -> None:
    assert main(["deps"]) == 2
    assert "dvc.yaml does not exist; run this in the project's root" in capsys.readouterr().err
