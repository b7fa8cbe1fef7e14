"""A run's page with some of everything in it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.survey.description import LEFT, TEST, TRAIN, Description, LeftOut, Split
from pipeline.report.contents import Curves, Figure, PublishedScore, ReportData
from pipeline.report.grids import grid
from pipeline.report.record import StageFact
from pipeline.scores.score import Score

JUDGE = {"judge": "judge CNN", "judge_sha256": "abc"}


@pytest.fixture
def data(tmp_path: Path) -> ReportData:
    """Three scores (one not measured), two pictures, a chart, four stages."""
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    path = tmp_path / "picture.png"
    grid(images, 2).save(path)
    gan_test = Score(
        name="GAN-test (judge CNN)",
        key="gan_test",
        metric="gan_test",
        value=0.97,
        sd=0.001,
        repeats=3,
        real=0.992,
        per_class={"7": 0.9},
        protocol=JUDGE,
    )
    fid = Score(
        name="FID (judge CNN, 10k)",
        key="fid_judge_10k",
        metric="fid",
        value=1.5,
        sd=0.02,
        repeats=3,
        real=0.05,
        better="lower",
        protocol=JUDGE,
    )
    inception = Score(
        name="IS (Inception, 50k)", key="is_50k", value=None, why="no <last> layer", metric="is"
    )
    return ReportData(
        title="MNIST <joint> & more",
        revision="0123abc (dirty)",
        scores=[gan_test, fid, inception],
        headline=["gan_test", "fid_judge_10k"],
        figures=[
            Figure("Samples", grid(images, 2), "Four random pictures", "two rows"),
            Figure("From a file", path, 'The same "again"', section="Files"),
        ],
        curves=[Curves("Losses", {"loss_d": [(0, 1), (1, 0.5)]}, level=0)],
        stages=[
            StageFact("prepare", 3.2),
            StageFact("levels", 75, ["prepare"], link="http://127.0.0.1:5000/#/runs/1"),
            StageFact("level0", 70, part_of="levels"),
            StageFact("joint", None, ["levels"], "reused", "javascript:alert(1)", "an-execution"),
        ],
        params={"levels": {"0": {"lr": 0.0001}}, "seed": 3},
        facts={"data": "MNIST"},
        found=Description(
            "/data/pets <&>",
            "folder",
            "zip",
            [
                Split("train", TRAIN, "its name, beside test", 1234, (1200, 34)),
                Split("test", TEST, "its name", 56, (50, 6)),
                Split("val", LEFT, "test is held out", 7),
            ],
            ("cat", "猫 <b>"),
            "the folders' names",
            [LeftOut(".psd files, pictures that are not read", 3, "cat/<x>.psd", 3)],
            ["the zip does not say in which encoding its names are"],
        ).as_dict(),
        published=[PublishedScore("SGAN", 8.59, 0.12, "is_50k"), PublishedScore("real", 11.24)],
        published_caption="Inception Score",
    )
