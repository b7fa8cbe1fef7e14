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
    assert f"wrote the authors' mnist encoder (E) to {out}" in said
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
    np.save("mean.npy", np.full((3, 32, 32), 0.5, np.float32))
    assert main([*arguments, "--architecture", "cifar10", "--mean-image", "mean.npy"]) == 2
    said = capsys.readouterr().err
    assert "(64, 3, 5, 5)" in said
    assert "(32, 1, 5, 5)" in said
    assert not out.exists()


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    """CIFAR-10's encoder, in a folder as in the authors' repository."""
    torch.manual_seed(0)
    image = ImageConfig(3, 32, 32, 10)
    encoder = Encoder(image, EncoderConfig(architecture="cifar10"))
    path = tmp_path / "cifar" / "pretrained" / "encoder.npz"
    path.parent.mkdir(parents=True)
    arrays = [p.detach().numpy() for p in encoder.parameters()]
    np.savez(path, *(a.T if a.ndim == 2 else a for a in arrays))
    return path


def test_without_a_mean_image_there_is_a_warning_and_zeros(
    cifar10: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-lasagne", str(cifar10), "--architecture", "cifar10"]) == 0
    said = capsys.readouterr()
    assert "wrote the authors' cifar10 encoder (E) to" in said.out
    assert "warning: no mean image" in said.err
    assert not load_encoder(cifar10.with_suffix(".safetensors")).mean_image.any()


def test_the_mean_image_is_found_where_their_repository_has_it(
    cifar10: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mean = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    (cifar10.parents[1] / "data").mkdir()
    np.save(cifar10.parents[1] / "data" / "meanimg.npy", mean)
    assert main(["import-lasagne", str(cifar10), "--architecture", "cifar10"]) == 0
    said = capsys.readouterr()
    assert "meanimg.npy" in said.out and not said.err
    stored = load_encoder(cifar10.with_suffix(".safetensors")).mean_image
    np.testing.assert_array_equal(stored.numpy(), mean)


def test_mnist_has_no_mean_image(authors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--architecture", "mnist", "--mean-image", "m.npy"]
    assert main(["import-lasagne", str(authors), *options]) == 2
    assert "mnist's images are not centred" in capsys.readouterr().err


def test_only_safetensors_are_written(authors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--architecture", "mnist", "--out", "x.pt"]
    assert main(["import-lasagne", str(authors), *options]) == 2
    assert capsys.readouterr().err == "error: --out x.pt: must end in .safetensors\n"
