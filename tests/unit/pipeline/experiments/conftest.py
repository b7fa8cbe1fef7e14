"""Real scores, and what evaluate leaves beside them."""

from pathlib import Path

import pytest

from pipeline.experiments.comparison import from_file
from pipeline.report.contents import ReportData
from pipeline.report.record import Facts, StageFact, write_record

SCORES_JSON = Path(__file__).parents[1] / "commands" / "scores.json"
STAGES = [StageFact("prepare", 2.5, []), StageFact("joint", None, ["prepare"], run_id="a")]


@pytest.fixture(scope="session")
def scores_json() -> Path:
    """Six scores of an evaluation of 10,000 MNIST samples, as the stage wrote them."""
    return SCORES_JSON


@pytest.fixture(scope="session")
def scored() -> ReportData:
    """The run that they are known as without anything beside them."""
    return from_file(SCORES_JSON)


@pytest.fixture(scope="session")
def recorded() -> Facts:
    """What the evaluation says of itself."""
    return Facts(
        data="mnist",
        train_images=60_000,
        data_digest="ab" * 32,
        revision="0123456789 (dirty)",
        execution="full-s1",
        links_note="a note",
        params={"encoder": {"seed": 1}},
    )


@pytest.fixture
def evaluated(scored: ReportData, recorded: Facts, tmp_path: Path) -> Path:
    """artifacts/evaluate of a project, with everything in it."""
    folder = tmp_path / "mine" / "artifacts" / "evaluate"
    write_record(folder, scored.scores, [], STAGES, recorded)
    (folder / "samples.png").touch()
    return folder
