"""`sgan inspect`: lines, JSON, a contact sheet, and one line where it cannot be used."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.params.loading import load
from tests import people


@pytest.fixture
def source(tmp_path: Path) -> str:
    (override, *_) = people.write("files-left-out", tmp_path / "data")
    return override.removeprefix("data.source=")


def test_lines_and_nothing_written(source, capsys, tmp_path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(["inspect", source]) == 0
    out = capsys.readouterr().out
    assert "2 classes: cat 70, dog 30" in out and "not read: 15 files: 10 dead links" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_how_dvc_takes_the_source_and_what_was_set(tmp_path, capsys) -> None:
    from dvc.utils.hydra import compose_and_dump

    (override, *_) = people.write("files-left-out", tmp_path / "café, it's [1] = $x")
    odd = override.removeprefix("data.source=")
    assert main(["inspect", odd, "data.classes=[dog,cat]"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(line.removeprefix("for DVC: "))
    overrides = [word for word in words[3:] if word != "-S"]
    conf = str(Path(__file__).resolve().parents[4] / "conf")
    compose_and_dump(tmp_path / "params.yaml", conf, None, "config", "unused", overrides)
    settings = load(tmp_path / "params.yaml").data
    assert (settings.source, settings.classes) == (odd, ["dog", "cat"])


def test_json(source, capsys) -> None:
    assert main(["inspect", source, "data.classes=[dog,cat]", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == ["dog", "cat"]
    assert found["images_read"] + found["images_left_out"] == 115


def test_a_contact_sheet(source, tmp_path) -> None:
    assert main(["inspect", source, "--out", str(tmp_path / "sheet.png")]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 8 * 64 and sheet.height > 2 * 64


def test_what_cannot_be_used_is_one_line(tmp_path, capsys) -> None:
    people.write("wrapped-twice", tmp_path / "data")
    assert main(["inspect", str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and len(error) < 600
