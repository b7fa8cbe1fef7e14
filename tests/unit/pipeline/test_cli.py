"""The command line: help that teaches, errors on one line, exit codes that scripts can trust."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.errors import UserError
from sgan.errors import WeightsError

ROOT = Path(__file__).resolve().parents[3]
STAGES = ["prepare", "encoder", "features", "levels", "joint", "evaluate", "report", "promote"]


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every subcommand and its parser."""
    (choices,) = (
        action.choices
        for action in cli.parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(choices)


def sgan(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`python -m pipeline …` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def fresh(tmp_path) -> Path:
    """A project in which nothing has run."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def test_help_lists_the_stages_in_their_order_and_says_how_to_begin(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    places = [text.index(f"\n    {name} ") for name in STAGES]
    assert places == sorted(places)
    for word in ("dvc repro", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "SGAN_STORAGE", "examples:"):
        assert word in text


@pytest.mark.parametrize("name", list(commands()))
def test_each_command_explains_itself_and_all_its_options(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: sgan {name} ")
    command = commands()[name]
    assert command.description
    assert len(command.description) > 30
    for action in command._actions:
        if action.help == argparse.SUPPRESS:  # between our own processes
            continue
        assert action.help, f"{name} {action.option_strings or action.dest} has no help"
        for option in action.option_strings:
            assert option in text


@pytest.mark.parametrize("name", [name for name in STAGES if name not in ("evaluate", "promote")])
def test_a_stage_s_help_is_the_first_line_of_its_module(name):
    from importlib import import_module

    told = import_module(f"pipeline.stages.{name}").__doc__.splitlines()[0]
    assert told.startswith(f"{name}: ") and told.endswith(".")
    command = commands()[name]
    assert command.description.lower().startswith(told.removeprefix(f"{name}: ").lower())


def test_every_stage_of_dvc_is_a_command():
    import yaml

    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert list(stages) == STAGES
    for name, stage in stages.items():
        assert stage["cmd"] == f"python -m pipeline {name}"
        assert name in commands()


@pytest.mark.parametrize("arguments", [[], ["trian"], ["sample"], ["sample", "--n", "x"]])
def test_a_wrong_command_line_ends_with_2_and_its_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith("usage: sgan")
    assert said.out == ""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UserError("no such thing; do that"), 2),
        (WeightsError("no such thing; do that"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(monkeypatch, capsys, raised, code):
    def run(_):
        raise raised

    monkeypatch.setattr(cli, "_stage", lambda name: run)
    assert cli.main(["levels"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("error: no such thing; do that\n" if code == 2 else "")


def test_a_bug_is_not_hidden(monkeypatch, fresh, capsys):
    """Its trace: tests/unit/pipeline/test_unforeseen.py."""

    def run(_):
        raise AssertionError("a bug")

    monkeypatch.chdir(fresh)
    monkeypatch.setattr(cli, "_stage", lambda name: run)
    assert cli.main(["levels"]) == 70
    assert capsys.readouterr().err.startswith("error: AssertionError: a bug. This is a fault")
    assert len(list(fresh.glob(".runs/crashes/*.txt"))) == 1


def test_a_stage_too_early_says_which_comes_first(fresh):
    done = sgan(fresh, "encoder")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith("manifest.parquet does not exist. Run `dvc repro prepare` first.")
    assert not (fresh / "mlflow.db").exists()


def test_a_mistake_in_params_is_one_line_before_anything_is_written(fresh):
    params = fresh / "params.yaml"
    params.write_text(params.read_text().replace("z_dim: 50", "z_dim: 0", 1))
    done = sgan(fresh, "prepare")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: params.yaml: levels.0.z_dim")
    assert [path.name for path in fresh.iterdir()] == ["params.yaml"]


def test_a_folder_that_is_no_project_is_named(tmp_path):
    done = sgan(tmp_path, "levels")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: params.yaml: no such file; run this from the project's root")


def test_weights_that_cannot_be_read_are_one_line(fresh):
    weights = fresh / "stack.safetensors"
    weights.write_bytes(b"no weights")
    done = sgan(fresh, "sample", "--out", "x.png", "--weights", str(weights))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {weights}: ")
    assert not (fresh / "x.png").exists()


def test_a_stage_that_meets_bad_weights_says_so_in_one_line(monkeypatch, capsys):
    """As `features` does where the encoder's file is damaged."""

    def run(_):
        load_encoder(Path("encoder.safetensors"))

    from sgan.weights import load_encoder

    monkeypatch.setattr(cli, "_stage", lambda name: run)
    assert cli.main(["features"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: encoder.safetensors: no such weights file; train first")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(unbuffered):
    """`sgan --help | head`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
@pytest.mark.parametrize("length", [10, 100_000])
def test_standard_output_on_a_full_disk_is_one_line(monkeypatch, fresh, capsys, length):
    """Short output is refused at its end, long output inside the command."""
    monkeypatch.chdir(fresh)
    monkeypatch.setattr(cli, "_stage", lambda name: lambda _: print("x" * length))
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert cli.main(["levels"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: standard output: No space left on device. Make room")


def test_the_console_script_is_the_same_program():
    script = Path(sys.executable).with_name("sgan")
    assert os.access(script, os.X_OK), "pip install -e . makes it"
    done = subprocess.run([script, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == sgan(ROOT, "--help").stdout


@pytest.mark.parametrize("below", [".dvc/tmp/exps/temp", "."])
def test_in_a_temporary_workspace_of_dvc_that_workspace_is_the_project(
    tmp_path, monkeypatch, below
):
    """`dvc exp run --temp` sets DVC_ROOT to the project that owns the workspace."""
    seen = []
    monkeypatch.setattr(cli, "_stage", lambda name: lambda _: seen.append(os.environ["DVC_ROOT"]))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    workspace = tmp_path / below
    workspace.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(workspace)
    assert cli.main(["levels"]) == 0
    assert seen == [str(workspace)]


def test_ray_knows_that_it_asks_for_tokens_before_any_command_imports_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert cli.main(["inspect", str(tmp_path / "nothing")]) == 2
    assert os.environ["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cli.main(["inspect", str(tmp_path / "nothing")])
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
