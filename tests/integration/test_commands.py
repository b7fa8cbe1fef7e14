"""The subcommands that are not stages, in a project that was really trained."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import main
from tests.servers import MlflowServer

pytestmark = pytest.mark.integration
WIDTH = 58  # a picture of 28 pixels doubled, and the gap


@pytest.fixture(scope="module")
def lived(
    trained: Any, tmp_path_factory: pytest.TempPathFactory, stages_from: Callable[[str], list[str]]
) -> Any:
    """A copy of the trained project, evaluated a second time with two sets of samples.

    Both times at one commit; the first results have the tag `first`.
    """
    project = trained.copy(tmp_path_factory.mktemp("lived") / "sgan")
    project.commit("results")
    project.run("git", "tag", "first")
    project.run("git", "reset", "--quiet", "HEAD~1")
    project.edit(evaluate={"seeds": [2, 3], "num_samples": 200, "cas": False})
    assert project.repro() == stages_from("evaluate")
    return project


@pytest.fixture
def sgan(
    lived: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """`sgan(…)` runs a command there, expects the exit status `code`, returns what it printed."""
    monkeypatch.chdir(lived.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)

    def run(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return run


def names(project: Any) -> list[str]:
    """Both executions' names, the older one first."""
    return [run.info.run_name for run in project.runs(role="parent")]


def test_an_edit_of_evaluate_trains_nothing(trained: Any, lived: Any) -> None:
    parts = ("encoder", "level0", "level1", "joint")
    assert [lived.keys(part) for part in parts] == [trained.keys(part) for part in parts]
    for path in ("levels/level0", "levels/level1", "joint/stack", "encoder/encoder"):
        name = f"artifacts/{path}.safetensors"
        assert (lived.root / name).read_bytes() == (trained.root / name).read_bytes(), name
    scores = "artifacts/evaluate/scores.json"
    assert (lived.root / scores).read_bytes() != (trained.root / scores).read_bytes()
    assert "judge: 100/" not in lived.log  # the judge is reused too

    facts = json.loads((lived.root / "artifacts/evaluate/stages.json").read_text())
    status = {fact["name"]: fact["status"] for fact in facts}
    assert status.pop("evaluate") == "" and set(status.values()) == {"reused"}
    assert all(fact["seconds"] is not None and fact["link"] for fact in facts)

    diffs = lived.dvc("metrics diff first --json", "params diff first --json")
    metrics, params = map(json.loads, diffs)
    assert metrics["metrics/evaluate.json"]["fid"]["new"] > 0
    assert list(metrics) == ["metrics/evaluate.json"]
    changed = params["params.yaml"]
    assert changed["evaluate.seeds"] == {"old": "[1]", "new": "[2, 3]"}
    assert set(changed) == {f"evaluate.{name}" for name in ("seeds", "num_samples", "cas")}


@pytest.mark.parametrize(
    ("command", "columns", "rows"),
    [
        (("sample", "--n", 20), 10, 2),
        (("vary", "--level", 0, "--columns", 5), 5, 10),
        (("vary", "--level", 1, "--columns", 5, "--label", 3, "--rows", 2), 5, 2),
        (("interpolate", "--level", 1, "--columns", 6), 6, 10),
        (("reconstruct", "--n", 7, "--draws", 2), 7, 3),
        (("neighbours", "--n", 6, "--label", 4), 6, 2),
    ],
)
def test_pictures(
    sgan: Callable[..., str], tmp_path: Path, command: tuple, columns: int, rows: int
) -> None:
    said = sgan(*command, "--seed", 1, "--out", tmp_path / "x.png")
    assert "(again: --seed 1)" in said
    with Image.open(tmp_path / "x.png") as image:
        width, height = image.size
    assert height >= rows * WIDTH - 2
    assert columns * WIDTH - 2 <= width < columns * WIDTH + 150


def test_reconstructions_begin_with_the_test_images(
    sgan: Callable[..., str], lived: Any, tmp_path: Path
) -> None:
    from pipeline.data import shards

    sgan("reconstruct", "--n", 4, "--seed", 1, "--out", tmp_path / "r.png")
    with Image.open(tmp_path / "r.png") as image:
        sheet = np.asarray(image.convert("L"))
    first = sheet[:56, sheet.shape[1] - 4 * WIDTH + 2 :][:, :56]
    real = shards.read_split(lived.root / "artifacts" / "data", "test")[0][0, ..., 0]
    assert np.array_equal(first, real.repeat(2, axis=0).repeat(2, axis=1))


def test_neighbours_are_found_in_the_training_split(
    sgan: Callable[..., str], tmp_path: Path
) -> None:
    said = sgan("neighbours", "--n", 10, "--seed", 1, "--out", tmp_path / "n.png")
    told = said.splitlines()[-1].split(": ")[1]  # samples 5.80, real test images 5.29
    ours, usual = (float(part.split()[-1]) for part in told.split(", "))
    assert 0 < ours < 28
    assert 0 < usual < 28


def test_the_weights_of_other_data_have_no_test_split(
    sgan: Callable[..., str], tmp_path: Path
) -> None:
    from sgan.weights import load_stack, save_stack

    stack = load_stack(Path("artifacts/joint/stack.safetensors"))
    save_stack(tmp_path / "s.safetensors", stack, {"inputs": {"data": "other"}})
    options = ("--weights", tmp_path / "s.safetensors", "--out", tmp_path / "x.png")
    said = sgan("reconstruct", *options, code=2)
    assert "artifacts/data does not hold the images that this stack was trained on" in said
    assert "wrote 4 images" in sgan("sample", "--n", 4, *options)


def test_runs_are_compared_by_name_id_beginning_and_path(
    sgan: Callable[..., str], lived: Any, tmp_path: Path
) -> None:
    older, newer = names(lived)
    run_id = lived.runs(stage="evaluate")[0].info.run_id
    said = sgan("compare", older, newer, "--out", tmp_path / "page.html")
    assert "evaluate.seeds" in said
    assert "[2, 3]" in said
    assert "levels.0" not in said
    assert "another judge" not in said
    row = next(line for line in said.splitlines() if " gan_test " in line)
    assert " ± " in row.split("│")[4]
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure") == 9  # samples of each run; the other sheets are the same
    assert older in page
    for name in (run_id, run_id[:12], lived.root / "artifacts/evaluate/scores.json"):
        assert "gan_test" in sgan("compare", newer, name)


def test_a_run_s_report_has_its_curves_stages_and_parameters(lived: Any, tmp_path: Path) -> None:
    from pipeline.experiments.executions import Executions

    older, newer = names(lived)
    runs = Executions(lived.root)
    report = runs.report(older, tmp_path)
    assert {curves.title for curves in report.curves} == {
        "Level 0 alone",
        "Level 1 alone",
        "Level 0 together with the others",
        "Level 1 together with the others",
    }
    assert all(len(points) > 1 for c in report.curves for points in c.series.values())
    names_of_all = ["prepare", "encoder", "features", "levels", "level1", "level0", "joint"]
    assert [stage.name for stage in report.stages] == [*names_of_all, "evaluate"]
    assert report.params["levels"]["0"]["lambda_ent"] == "40.0"
    reused = runs.report(newer, tmp_path)
    assert [stage.name for stage in reused.stages] == [*names_of_all, "evaluate"]
    assert {curves.title for curves in reused.curves} == {c.title for c in report.curves}


def test_runs_that_are_not_there_are_told_with_the_nearest(
    sgan: Callable[..., str], lived: Any
) -> None:
    older, newer = names(lived)
    said = sgan("compare", newer, older[:-1] + "x", code=2)
    assert said.startswith(f"error: run '{older[:-1]}x': neither a path nor in sqlite:")
    assert older in said
    assert said.count("\n") == 1
    said = sgan("compare", newer, older[:10], code=2)
    assert "several begin so" in said
    assert "neither a path nor" in sgan("compare", newer, "x", code=2)


@pytest.fixture
def server(lived: Any) -> Iterator[str]:
    """The address of an MLflow server on the project's database."""
    running = MlflowServer(lived.root, database=f"sqlite:///{lived.root / 'mlflow.db'}")
    running.start()
    try:
        yield running.uri
    finally:
        running.kill()


def test_a_server_serves_as_well(
    sgan: Callable[..., str], lived: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    older, newer = names(lived)
    assert "evaluate.seeds" in sgan("compare", older, newer)
    assert f"neither a path nor in {server}" in sgan("compare", newer, "none", code=2)


@pytest.fixture(scope="module")
def held_out(lived: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real test images as files, a folder per class."""
    from pipeline.data import shards

    folder = tmp_path_factory.mktemp("images") / "theirs"
    images, labels = shards.read_split(lived.root / "artifacts" / "data", "test")
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / str(label) / f"{index}.png")
    return folder


def test_real_images_in_a_folder_score_as_real_images(
    sgan: Callable[..., str], held_out: Path, tmp_path: Path
) -> None:
    options = ("--data", "custom", "--out", tmp_path / "s.json", "--report", tmp_path / "s.html")
    said = sgan("evaluate", "--images", held_out, *options)
    assert "evaluate: 500 images against custom" in said
    scores = {s["key"]: s for s in json.loads((tmp_path / "s.json").read_text())}
    for key in ("gan_test", "fid_judge_500", "coverage_judge_500"):
        assert scores[key]["value"] == pytest.approx(scores[key]["real"], rel=1e-5), key
    assert scores["diversity_pixels"]["value"] == pytest.approx(1, abs=0.1)
    assert scores["gan_test"]["protocol"]["source"] == str(held_out)
    own = json.loads(Path("artifacts/evaluate/scores.json").read_text())
    judges = {one["protocol"]["judge_sha256"] for one in (own[0], scores["gan_test"])}
    assert len(judges) == 1
    assert "Nearest training images" in (tmp_path / "s.html").read_text()


def test_images_without_labels_get_what_needs_none(
    sgan: Callable[..., str], held_out: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in held_out.rglob("*.png"):
        (flat / path.name).write_bytes(path.read_bytes())
    said = sgan("evaluate", "--images", flat, "--data", "custom", "--out", tmp_path / "s.json")
    assert "500 images without labels" in said
    keys = {s["key"] for s in json.loads((tmp_path / "s.json").read_text())}
    assert {"fid_judge_500", "is_judge_500", "copies_pixels"} <= keys
    assert not {key for key in keys if key.startswith(("gan_test", "diversity", "fid_within"))}


@pytest.mark.alone
@pytest.mark.slow  # DVC's queue, and a whole experiment in it
def test_ablations_reuse_what_is_trained_and_go_on(project: Any) -> None:
    options = ("--data", "mnist_small", "--budget", "smoke", "--seeds", "1", "--only", "no_joint")
    before = {part: project.keys(part) for part in ("encoder", "level0", "level1", "judge")}
    project.commit("whatever is new")
    said = project.sgan("ablations", *options)
    assert "ablations: 0 done, 1 not yet" in said
    assert "== 1 of 1: no-joint-s1-" in said
    assert {part: project.keys(part) for part in before} == before
    assert not (project.root / "artifacts" / "evaluate" / "none").exists()
    stored = json.loads((project.root / "docs" / "ablations-mnist_small.json").read_text())
    row = stored["table"][0]
    assert (row["setting"], row["seeds"], row["images_of_g0"]) == ("no_joint", 1, 4800)
    assert 0 <= row["GAN-test ↑"]["mean"] <= 1
    text = (project.root / "docs" / "ablations-mnist_small.md").read_text()
    assert "| no joint stage | 1 | 4,800 |" in text
    project.commit("a commit in between")
    said = project.sgan("ablations", *options)
    assert "ablations: 1 done, 0 not yet" in said
    assert "Reproducing" not in said
    older = stored["experiments"][0]["experiment"]
    assert "gan_test" in project.sgan("compare", older, "artifacts/evaluate")


@pytest.mark.alone
@pytest.mark.slow  # DVC's queue, three times
def test_experiments_that_fail_are_named_whatever_earlier_workers_were_told(project: Any) -> None:
    stage = project.root / "pipeline" / "stages" / "prepare.py"
    stage.write_text(
        stage.read_text().replace("    with opened(", '    raise OSError("x")\n    with opened(')
    )
    project.commit("broken")
    options = ("--data", "mnist_small", "--budget", "smoke", "--only", "no_joint", "--seeds")
    said = project.sgan("ablations", *options, "1", code=2)
    assert "error: 1 of 1 experiments did not finish: no-joint-s1-" in said
    assert "`dvc queue logs no-joint-s1-" in said
    assert "not run" in said
    deadline = time.monotonic() + 60
    while "0 active, 0 idle" not in project.run("dvc", "queue", "status"):
        assert time.monotonic() < deadline, "the queue's worker does not end with the queue"
    project.run("dvc", "queue", "stop")  # nobody reads this order: the next worker must not
    said = project.sgan("ablations", *options, "2", "3", code=2)
    assert "error: 2 of 2 experiments did not finish: no-joint-s2-" in said
