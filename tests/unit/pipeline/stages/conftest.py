"""A project whose data is prepared, with weights of every net that nobody has trained."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import yaml

from pipeline import paths
from pipeline.execution.stage import opened
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.weights import save_encoder, save_levels


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Training sets this process's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def edit(project: Path) -> Callable[..., None]:
    """`edit(section, name=value)` changes params.yaml."""

    def change(section: str, **values: object) -> None:
        path = project / "params.yaml"
        params = yaml.safe_load(path.read_text())
        assert values.keys() <= params[section].keys()
        params[section].update(values)
        path.write_text(yaml.safe_dump(params))

    return change


@pytest.fixture
def runs(project: Path) -> Callable[[str], list[Any]]:
    """`runs(stage)`: its MLflow runs, oldest first."""

    def find(stage: str) -> list[Any]:
        client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("sgan")
        wanted = f"tags.`sgan.stage` = '{stage}'"
        order = ["attributes.start_time ASC"]
        return client.search_runs([experiment.experiment_id], wanted, order_by=order)

    return find


@pytest.fixture
def encoder(project: Path) -> Encoder:
    """E with random weights, where the stage encoder would leave it."""
    with opened("encoder") as stage:
        config = stage.stack_config()
    torch.manual_seed(0)
    encoder = Encoder(config.image, config.encoder).freeze()
    (project / paths.ENCODER).mkdir(parents=True)
    save_encoder(project / paths.ENCODER_WEIGHTS, encoder, {})
    return encoder


@pytest.fixture
def levels(project: Path, encoder: Encoder) -> list[Stack]:
    """Every level with random weights, where the stage levels would leave it."""
    with opened("levels") as stage:
        config = stage.stack_config()
    (project / paths.LEVELS).mkdir(parents=True)
    made = []
    for i in range(len(config.levels)):
        torch.manual_seed(i + 1)
        made.append(Stack(config, (i,)))
        save_levels(project / paths.level_weights(i), made[-1], {})
    return made
