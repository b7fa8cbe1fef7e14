"""The whole pipeline once, from nothing, on real digits: what `dvc repro` makes and leaves."""

import csv
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.cli import main
from pipeline.stages import ORDER

STAGES = list(ORDER)
MEASURED = [name for name in STAGES if name != "report"]
PICTURES = ("samples", "real", "reconstructions", "nearest", "vary_z0", "vary_z1")

pytestmark = pytest.mark.integration


def outputs(project, kind: str) -> list[Path]:
    """The files that dvc.yaml declares as `kind` (outs, metrics, plots), folders opened."""
    stages = yaml.safe_load((project.root / "dvc.yaml").read_text())["stages"]
    declared = [entry for stage in stages.values() for entry in stage.get(kind, [])]
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in declared]
    paths = [project.root / name for name in names]
    return [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]


def test_every_stage_runs_in_order(trained):
    assert trained.ran == STAGES


def test_every_declared_output_is_there(trained):
    for kind, least in (("outs", 20), ("metrics", 1), ("plots", 4)):
        files = outputs(trained, kind)
        assert len(files) >= least, kind
        assert [str(path) for path in files if not path.stat().st_size] == [], kind


def test_metrics_are_numbers_that_fit_the_budget(trained):
    found = {
        path.stem: json.loads(path.read_text()) for path in (trained.root / "metrics").glob("*")
    }
    assert sorted(found) == sorted(MEASURED)
    assert {path.name for path in outputs(trained, "metrics")} == {"evaluate.json"}
    untimed = ("evaluate", "promote")
    assert all(found[name]["seconds"] > 0 for name in MEASURED if name not in untimed)
    described = found["prepare"].pop("found")
    assert (described["form"], described["images_read"]) == ("idx", 2500)
    assert found["prepare"] | {"seconds": 0} == {
        "train_images": 2000,
        "test_images": 500,
        "classes": 10,
        "skipped_images": 0,
        "left_out_images": 0,
        "seconds": 0,
    }
    assert 0.9 < found["encoder"]["test_accuracy"] <= 1
    assert found["encoder"]["images_seen"] == 20_000
    assert found["levels"]["level0"]["images_seen"] == 4800
    assert found["levels"]["level1"]["images_seen"] == 50_000
    assert found["joint"]["images_seen"] == 1500
    assert set(found["joint"]) >= {"level0", "level1"}
    # An independent judge reads one in ten digits right where the stack learnt nothing.
    assert 0.5 < found["evaluate"]["gan_test"] <= 1
    assert 0 < found["evaluate"]["diversity"] < 2
    assert len(found["evaluate"]) <= 12
    assert all(math.isfinite(value) for value in found["evaluate"].values())


@pytest.mark.parametrize(
    ("curve", "column", "images"),
    [
        ("plots/encoder.csv", "encoder/loss", 20_000),
        ("plots/levels/level0.csv", "loss_g_adv", 4800),
        ("plots/levels/level1.csv", "loss_g_adv", 50_000),
        ("plots/joint.csv", "level0/loss_g_adv", 1500),
    ],
)
def test_plots_run_to_the_last_image(trained, curve, column, images):
    rows = list(csv.DictReader((trained.root / curve).open()))
    seen = [int(row["images_seen"]) for row in rows]
    assert seen == sorted(set(seen))
    assert seen[-1] == images
    assert len(seen) >= 10
    assert all(math.isfinite(float(row[column])) for row in rows)


def test_pictures_show_several_images(trained):
    folder = trained.root / "artifacts" / "evaluate"
    for name in PICTURES:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.format == "PNG", name
            assert picture.width >= 28 * 8, name
    pixels = np.asarray(Image.open(folder / "samples.png").convert("L"))
    blocks = {pixels[row : row + 28].tobytes() for row in range(0, len(pixels) - 28, 28)}
    assert len(blocks) > 3
    assert pixels.std() > 20  # ink on paper, no grey slab


def test_the_report_names_its_numbers(trained):
    page = (trained.root / "artifacts/report/report.html").read_text()
    scores = json.loads((trained.root / "artifacts/evaluate/scores.json").read_text())
    assert "data:image/png;base64," in page  # needs no other file
    assert "<script src=" not in page
    assert {"gan_test", "diversity_pixels"} <= {score["key"] for score in scores}
    assert all(score["name"] in page for score in scores if score["key"] == "gan_test")


def test_the_weights_load_and_draw(trained):
    import torch

    from sgan.weights import load_stack, read_card

    path = trained.root / "artifacts/joint/stack.safetensors"
    stack = load_stack(path)
    images = stack.sample_uint8(torch.arange(10), generator=torch.Generator().manual_seed(0))
    assert images.shape == (10, 28, 28, 1)
    assert len({image.numpy().tobytes() for image in images}) == 10
    # What is delivered is what storage holds under the key that its card names.
    key = read_card(path)["key"]
    assert trained.keys("joint") == {key}
    folder = trained.root / ".runs/joint" / key
    (stored,) = folder.glob("weights-*.safetensors")
    result = json.loads((folder / "result.json").read_text())
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, stored)]
    assert digests == [result["weights_sha256"]] * 2


def test_finished_parts_keep_no_checkpoints(trained):
    for part in ("encoder", "level0", "level1", "joint"):
        (key,) = trained.keys(part)
        files = {path.name for path in (trained.root / ".runs" / part / key).iterdir()}
        assert len(files) == 2 and "result.json" in files


def test_a_second_repro_runs_nothing(trained):
    assert trained.repro() == []
    assert "Data and pipelines are up to date" in trained.log


def test_summary_says_what_was_made(trained):
    text = trained.sgan("summary")
    metrics = json.loads((trained.root / "metrics/evaluate.json").read_text())
    assert f"{metrics['gan_test']:.2%}" in text
    assert f"{metrics['diversity']:.2f}" in text
    for path in ("artifacts/evaluate/samples.png", "artifacts/joint/stack.safetensors"):
        assert path in text
        assert (trained.root / path).exists()


@pytest.fixture
def here(trained, monkeypatch):
    """This process works in the project's folder, as a command that is started there does."""
    monkeypatch.chdir(trained.root)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def test_sampling_repeats_with_its_seed(trained, here, tmp_path):
    def arguments(name: str, seed: int) -> list[str]:
        options = ["--n", "9", "--label", "3", "--seed", str(seed), "--out", str(tmp_path / name)]
        return ["sample", *options]

    trained.sgan(*arguments("a.png", 1))
    assert main(arguments("b.png", 1)) == main(arguments("c.png", 2)) == 0
    first, same, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert same == first
    assert other != first
    grid = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    assert min(grid.shape) >= 3 * 28


def test_sampling_refuses_a_class_that_there_is_not(here, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert main(["sample", "--label", "10", "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert (said.out + said.err).splitlines() == ["error: --label 10: must be 0 to 9"]
    assert not out.exists()


def test_dvc_shows_metrics_and_plots(trained):
    as_json, markdown, table, vega, sheets, _, dag = trained.dvc(
        "metrics show --json",
        "metrics show --md",
        "metrics show",
        "plots show --show-vega plots/encoder.csv",
        "plots show --json --out dvc_plots_json",
        "plots diff HEAD --out dvc_plots_diff",
        "dag --dot",
    )
    shown = json.loads(as_json)
    assert shown[""]["data"]["metrics/evaluate.json"]["data"]["gan_test"] > 0.5
    assert "gan_test" in markdown
    assert max(map(len, table.splitlines())) <= 120
    assert "images_seen" in json.dumps(json.loads(vega))
    (samples,) = json.loads(sheets)["data"]["artifacts/evaluate/samples.png"]
    assert samples["type"] == "image"
    assert '"levels" -> "joint"' in dag
