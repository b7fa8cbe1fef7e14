"""A stack as an MLflow model: what is written, and what is left where it cannot be."""

import os

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.tracking import models
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.errors import WeightsError
from sgan.stack import Stack
from sgan.weights import save_encoder, save_stack


@pytest.fixture
def weights(root):
    levels = (LevelConfig(z_dim=2, width=0.25),) * 2
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), levels)
    save_stack(root / "stack.safetensors", Stack(config), {})
    return root / "stack.safetensors"


@pytest.fixture
def run(tracker, line):
    return tracker.stage(line, "evaluate")


def test_the_model_says_what_it_takes_gives_and_needs(tracker, run, weights, root):
    logged = tracker.log_model(run, "stack", weights, tags={"data": "mnist"}, step=700)
    assert logged.version is None, "not registered unless asked"
    model = tracker.client.get_logged_model(logged.model_id)
    assert (model.status, model.source_run_id) == ("READY", run.run_id)
    assert model.tags["data"] == "mnist"
    (output,) = tracker.client.get_run(run.run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (logged.model_id, 700)
    (about,) = (root / "mlartifacts").rglob("MLmodel")
    signature = yaml.safe_load(about.read_text())["signature"]
    inputs, outputs = (yaml.safe_load(signature[name]) for name in ("inputs", "outputs"))
    assert [(c["name"], c["type"], c["required"]) for c in inputs] == [
        ("label", "any", True),
        ("seed", "any", False),
    ]
    spec = outputs[0]["tensor-spec"]
    assert (spec["dtype"], spec["shape"]) == ("uint8", [-1, 28, 28, 1])
    needs = about.with_name("requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in needs} == {"mlflow", "torch", "numpy", "safetensors"}
    assert not any("+" in line for line in needs), "a build's name is not published"


def test_versions_have_no_build(monkeypatch):
    monkeypatch.setattr(models, "version", lambda package: "2.13.0+cpu")
    assert models._release("torch") == "2.13.0"


def test_a_model_whose_files_cannot_be_kept_is_marked_as_failed(tracker, run, weights, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(tracker.client, "log_model_artifacts", full)
    with pytest.raises(UserError, match="no space left"):
        tracker.log_model(run, "stack", weights)
    (model,) = tracker.client.search_logged_models([tracker.experiment_id])
    assert str(model.status) == "FAILED"
    assert tracker.client.get_run(run.run_id).outputs.model_outputs == []


def test_an_encoder_alone_draws_nothing(tracker, run, root):
    from sgan.encoder import Encoder

    save_encoder(root / "e.safetensors", Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig()), {})
    with pytest.raises(WeightsError, match=r"e\.safetensors: holds 'encoder' weights"):
        tracker.log_model(run, "stack", root / "e.safetensors")
    assert tracker.client.search_logged_models([tracker.experiment_id]) == []


@pytest.mark.parametrize("before", [None, "http://elsewhere"])
def test_the_process_s_own_address_is_put_back(monkeypatch, before):
    if before:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    else:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ZeroDivisionError), models._address_of_process("sqlite:///x"):
        assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///x"
        raise ZeroDivisionError
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
