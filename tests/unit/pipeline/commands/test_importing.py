"""`sgan import-lasagne`: a parameter list in the authors' layout becomes our weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.cli import main
from sgan.config import EncoderConfig, ImageConfig
from sgan.encoder import Encoder
from sgan.weights import load_encoder


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    """MNIST's eight arrays as Lasagne saves them: dense weights are in x out."""
    torch.manual_seed(0)
    encoder = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(architecture="mnist"))
    arrays = [p.detach().numpy() for p in encoder.parameters()]
    path = tmp_path / "encoder.npz"
    np.savez(path, *(a.T if a.ndim == 2 else a for a in arrays))
    return path


def test_the_file_is_written_beside_and_holds_the_same_net(
    authors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-lasagne", str(authors), "--architecture", "mnist"]) == 0
    out = authors.with_suffix(".safetensors")
    said = capsys.readouterr().out
    assert f"wrote the authors' mnist encoder to {out}" in said
    assert "its test accuracy is told in a project whose prepared data is mnist" in said
    torch.manual_seed(0)
    before = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(architecture="mnist"))
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(load_encoder(out)(x), before.eval()(x))


def test_what_does_not_fit_is_refused_with_names_and_shapes(
    authors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path("out.safetensors")
    arguments = ["import-lasagne", str(authors), "--out", str(out)]
    assert main([*arguments, "--architecture", "cifar10"]) == 2
    assert "--mean-image" in capsys.readouterr().err
    np.save("mean.npy", np.full((3, 32, 32), 0.5, np.float32))
    assert main([*arguments, "--architecture", "cifar10", "--mean-image", "mean.npy"]) == 2
    said = capsys.readouterr().err
    assert "(64, 3, 5, 5)" in said
    assert "(32, 1, 5, 5)" in said
    assert not out.exists()


def test_only_safetensors_are_written(authors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--architecture", "mnist", "--out", "x.pt"]
    assert main(["import-lasagne", str(authors), *options]) == 2
    assert capsys.readouterr().err == "error: --out x.pt: must end in .safetensors\n"
