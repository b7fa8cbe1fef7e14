"""The ONNX file draws what torch draws, for any batch, and says how to ask it."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.cli import main
from pipeline.export.onnx_model import export, input_names, metadata
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import load_stack

pytestmark = pytest.mark.integration


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def inputs(stack: Stack, count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    given = {"label": np.arange(count) % stack.config.image.num_classes}
    for i in range(stack.num_levels):
        given[f"z_{i}"] = rng.random((count, stack.level(i).config.z_dim), dtype=np.float32)
    return given


def differences(stack: Stack, path: Path, count: int) -> np.ndarray:
    """|torch - onnxruntime| of every byte of `count` samples."""
    given = inputs(stack, count, count)
    z = {i: torch.from_numpy(given[f"z_{i}"]) for i in range(stack.num_levels)}
    ours = stack.sample_uint8(torch.from_numpy(given["label"]), z=z).numpy()
    theirs = session(path).run(["images"], given)[0]
    assert theirs.dtype == np.uint8
    assert theirs.shape == ours.shape
    assert len(np.unique(ours)) > 50
    return np.abs(ours.astype(int) - theirs)


@pytest.fixture(scope="module")
def stack(weights: Path) -> Stack:
    return load_stack(weights)


@pytest.fixture(scope="module")
def file(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "stack.onnx"
    export(path, stack, metadata(stack, tuple("0123456789"), "ab" * 32))
    return path


@pytest.mark.parametrize("count", [1, 7, 64])
def test_the_images_are_torch_s(stack: Stack, file: Path, count: int) -> None:
    """A value near a half may be rounded the other way."""
    found = differences(stack, file, count)
    assert found.max() <= 1
    assert (found > 0).mean() < 0.01


def test_it_is_one_file_that_says_how_to_ask_it(stack: Stack, file: Path) -> None:
    assert [path.name for path in file.parent.iterdir()] == ["stack.onnx"]
    told = session(file)
    assert [one.name for one in told.get_inputs()] == input_names(stack) == ["label", "z_1", "z_0"]
    assert [one.shape for one in told.get_inputs()] == [["batch"], ["batch", 4], ["batch", 4]]
    about = {k: json.loads(v) for k, v in told.get_modelmeta().custom_metadata_map.items()}
    assert about["classes"] == list("0123456789")
    assert about["z"]["z_1"] == {"length": 4, "low": 0.0, "high": 1.0}
    assert about["image"] == {"channels": 1, "height": 28, "width": 28}
    assert about["weights_sha256"] == "ab" * 32


def test_three_levels_and_colour(tmp_path: Path) -> None:
    torch.manual_seed(0)
    level = LevelConfig(z_dim=3, batch_size=10, total_images=10, width=0.25)
    image = ImageConfig(3, 28, 28, 5, centre="pixel_mean")
    encoder = EncoderConfig(architecture="pyramid", cut=("conv3", "fc"))
    stack = Stack(StackConfig(image, encoder, (level, level, level))).eval()
    stack.encoder.mean_image.uniform_(0.2, 0.8)
    stack.level(0).offset.copy_(stack.encoder.mean_image)
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    export(tmp_path / "x.onnx", stack, {})
    assert input_names(stack) == ["label", "z_2", "z_1", "z_0"]
    found = differences(stack, tmp_path / "x.onnx", 9)
    assert found.max() <= 1
    assert (found > 0).mean() < 0.01


def test_the_command_s_file_draws(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--onnx", "out/stack.onnx", "--weights", str(weights)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("wrote out/stack.onnx (")
    assert said.endswith("label, z_1, z_0 -> images uint8\n")
    z = np.full((2, 4), 0.5, np.float32)
    session_ = onnxruntime.InferenceSession("out/stack.onnx")
    images = session_.run(None, {"label": np.array([3, 5]), "z_1": z, "z_0": z})[0]
    assert images.shape == (2, 28, 28, 1)
