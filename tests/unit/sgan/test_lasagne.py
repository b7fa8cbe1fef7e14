"""The authors' parameter lists, against a numpy reference of what Theano and Lasagne compute.

The reference knows only definitions: a deconvolution is the adjoint of a true convolution
(scipy's convolve2d), their convolution layers are correlations, dense weights are in × out.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d
from torch.nn import functional as F

from sgan import lasagne
from sgan.config import ConfigError, EncoderConfig
from sgan.encoder import Encoder
from sgan.lasagne import (
    LasagneError,
    discriminator_slots,
    encoder_slots,
    fill,
    generator_slots,
)
from sgan.stack import Stack

Arrays = list[np.ndarray]


def random_list(shapes: list[tuple[int, ...]], seed: int = 0) -> Arrays:
    """float32 arrays; what stands for a variance (every fourth vector of a norm) is positive."""
    rng = np.random.default_rng(seed)
    fan = [np.prod(s) / max(s[-1] if len(s) == 2 else s[0], 1) if len(s) > 1 else 1 for s in shapes]
    return [
        (rng.random(s) + 0.5 if len(s) == 1 else rng.normal(0, f**-0.5, s)).astype(np.float32)
        for s, f in zip(shapes, fan, strict=True)
    ]


def write(path: Path, arrays: Arrays) -> Path:
    np.savez(path, *arrays)
    return path


def encoder_from(
    path: Path, architecture: str = "mnist", cut: tuple[str, ...] = ("fc",)
) -> Encoder:
    """E with the weights of a file, frozen."""
    config = EncoderConfig(architecture=architecture, cut=cut)
    encoder = Encoder(lasagne.IMAGES[architecture], config)
    fill(path, encoder_slots(encoder), "encoder")
    return encoder.freeze()


def fill_generators(path: Path, stack: Stack, levels: list[int]) -> None:
    """G_i of these levels, from the top, with the weights of a file."""
    slots = [slot for i in levels for slot in generator_slots(stack.level(i))]
    fill(path, slots, " and ".join(f"G_{i}" for i in levels))


def fill_discriminator(path: Path, stack: Stack, index: int, with_q: bool) -> None:
    """D_i, and Q_i where the file has it, with the weights of a file."""
    fill(path, discriminator_slots(stack.level(index), with_q), f"D_{index}")


# --- what Theano and Lasagne compute, by definition -----------------------------------------


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def lrelu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.2 * x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def batch_norm(x: np.ndarray, b, g, mean, var) -> np.ndarray:
    """Their nn.py with deterministic=True."""
    shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
    b, g, mean, var = (v.reshape(shape) for v in (b, g, mean, var))
    return (x - mean) / np.sqrt(1e-6 + var) * g + b


def correlate(x: np.ndarray, w: np.ndarray, stride: int = 1, pad: int = 0) -> np.ndarray:
    """Conv2DDNNLayer with flip_filters=False. x [B, C, H, W], w [F, C, kh, kw]."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    maps = [
        [sum(correlate2d(c, k, "valid") for c, k in zip(image, f, strict=True)) for f in w]
        for image in x
    ]
    return np.array(maps)[:, :, ::stride, ::stride]


def pool2(x: np.ndarray) -> np.ndarray:
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).max((3, 5))


def theano_convolution(x: np.ndarray, w: np.ndarray, stride: int, pad: int) -> np.ndarray:
    """conv2d with filter_flip=True. x [C, H, W], w [F, C, kh, kw] -> [F, h, w]."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    maps = [sum(convolve2d(c, k, "valid") for c, k in zip(x, f, strict=True)) for f in w]
    return np.array(maps)[:, ::stride, ::stride]


def deconvolve(t: np.ndarray, w: np.ndarray, side: int, stride: int, pad: int) -> np.ndarray:
    """AbstractConv2d_gradInputs, filter_flip=True: the adjoint, scattered tap by tap.

    t [B, F, h, w], w [F, C, kh, kw] -> [B, C, side, side]. `theano_convolution` reads
    x[s·i + a, s·j + b] with weight w[kh-1-a, kw-1-b]; the adjoint writes there.
    """
    batch, _, h, v = t.shape
    k = w.shape[2]
    out = np.zeros((batch, w.shape[1], side + 2 * pad, side + 2 * pad), t.dtype)
    for a in range(k):
        for b in range(k):
            tap = np.einsum("bfij,fc->bcij", t, w[:, :, k - 1 - a, k - 1 - b], optimize=True)
            out[:, :, a : a + stride * h : stride, b : b + stride * v : stride] += tap
    return out[:, :, pad : pad + side, pad : pad + side]


@pytest.mark.parametrize(("stride", "pad", "side"), [(1, 0, 8), (2, 2, 8)])
def test_a_deconvolution_is_the_transposed_matrix_of_a_convolution(stride, pad, side) -> None:
    """Proof by the definition: column by column of the convolution's matrix, and then torch's
    ConvTranspose2d on the kernel turned by half a turn gives the same numbers, unturned not."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 2, 5, 5))
    basis = np.eye(2 * side * side).reshape(-1, 2, side, side)
    matrix = np.stack([theano_convolution(e, w, stride, pad).ravel() for e in basis], axis=1)
    t = rng.normal(size=(1, 3, 4, 4))
    assert matrix.shape == (t.size, 2 * side * side)
    by_definition = (matrix.T @ t.ravel()).reshape(1, 2, side, side)
    np.testing.assert_allclose(deconvolve(t, w, side, stride, pad), by_definition, atol=1e-12)

    def torchs(kernel: np.ndarray) -> np.ndarray:
        extra = 1 if stride == 2 else 0
        kernel = torch.from_numpy(np.ascontiguousarray(kernel))
        return F.conv_transpose2d(torch.from_numpy(t), kernel, None, stride, pad, extra).numpy()

    np.testing.assert_allclose(torchs(w[:, :, ::-1, ::-1]), by_definition, atol=1e-12)
    assert np.abs(torchs(w) - by_definition).max() > 0.1


# --- the encoder ------------------------------------------------------------------------------

ENCODERS = {
    "mnist": [(32, 1, 5, 5), (32,), (32, 32, 5, 5), (32,), (512, 256), (256,), (256, 10), (10,)],
    "cifar10": [
        (64, 3, 5, 5),
        (64,),
        (128, 64, 5, 5),
        (128,),
        (3200, 256),
        (256,),
        (256, 10),
        (10,),
    ],
}


def reference_encoder(x: np.ndarray, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """(fc3, the label layer before its softmax)."""
    w1, b1, w2, b2, w3, b3, w4, b4 = arrays
    h = pool2(relu(correlate(x, w1) + b1[:, None, None]))
    h = pool2(relu(correlate(h, w2) + b2[:, None, None]))
    fc3 = relu(h.reshape(len(h), -1) @ w3 + b3)
    return fc3, fc3 @ w4 + b4


@pytest.mark.parametrize("architecture", ["mnist", "cifar10"])
@torch.no_grad()
def test_an_imported_encoder_computes_what_lasagne_does(architecture: str, tmp_path: Path) -> None:
    arrays = random_list(ENCODERS[architecture])
    path = write(tmp_path / "encoder.npz", arrays)
    image = lasagne.IMAGES[architecture]
    encoder = encoder_from(path, architecture)
    x = np.random.default_rng(1).random((2, *image.shape)).astype(np.float32)
    fc3, logits = reference_encoder(x, arrays)
    _, ours, ours_logits = encoder.encode(torch.from_numpy(x))
    np.testing.assert_allclose(ours.numpy(), fc3, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours_logits.numpy(), logits, rtol=1e-3, atol=1e-3)
    assert fc3.std() > 0.1 and (fc3 == 0).any()
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())


@torch.no_grad()
def test_an_encoder_is_imported_wherever_it_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "e.npz", random_list(ENCODERS["mnist"]))
    x = torch.rand(2, 1, 28, 28)
    logits = [encoder_from(path, cut=cut)(x) for cut in ((), ("fc",), ("conv1", "conv2", "fc"))]
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[1], logits[2])


def test_a_double_precision_file_is_taken_too(tmp_path: Path) -> None:
    arrays = [a.astype(np.float64) for a in random_list(ENCODERS["mnist"])]
    path = write(tmp_path / "e.npz", arrays)
    encoder = encoder_from(path)
    assert next(encoder.parameters()).dtype == torch.float32
    np.testing.assert_allclose(encoder.blocks[1][0][1].bias.numpy(), arrays[7], rtol=1e-6)


@pytest.mark.parametrize(
    "mean", [np.zeros((32, 32, 3), np.float32), np.full((3, 32, 32), 120.0), np.zeros(3, np.int64)]
)
def test_a_mean_image_that_is_none(mean: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", mean)
    with pytest.raises(LasagneError, match=r"mean\.npy: the mean image must"):
        lasagne.read_mean_image(tmp_path / "mean.npy", (3, 32, 32))


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "damaged zip", "npz"])
def test_a_mean_image_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mean.npy"
    if kind == "text":
        path.write_text("a mean")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind != "missing":
        whole = write(tmp_path / "mean.npz", [np.zeros((3, 32, 32), np.float32)]).read_bytes()
        path.write_bytes(whole if kind == "npz" else whole[:500])
    with pytest.raises(LasagneError, match=r"mean\.npy: (not a readable \.npy|.* found an \.npz)"):
        lasagne.read_mean_image(path, (3, 32, 32))


# --- what does not fit --------------------------------------------------------------------------


def test_arrays_that_do_not_fit_are_listed_with_both_shapes(tmp_path: Path) -> None:
    path = write(tmp_path / "encoder.npz", random_list(ENCODERS["mnist"]))
    with pytest.raises(LasagneError) as caught:
        encoder_from(path, "cifar10")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(
        "encoder.npz: not the authors' encoder: 5 arrays do not fit (8 expected, 8 found)"
    )
    assert [line.split()[0] for line in lines[1:]] == [
        "array",
        "arr_0",
        "arr_1",
        "arr_2",
        "arr_3",
        "arr_4",
    ]
    assert "W (64, 3, 5, 5)" in lines[2] and lines[2].endswith("(32, 1, 5, 5)")
    assert "W (3200, 256)" in lines[6] and lines[6].endswith("(512, 256)")


@pytest.mark.parametrize("count", [7, 9])
def test_too_few_or_too_many_arrays(count: int, tmp_path: Path) -> None:
    arrays = (random_list(ENCODERS["mnist"]) * 2)[:count]
    path = write(tmp_path / "e.npz", arrays)
    with pytest.raises(LasagneError, match=f"8 expected, {count} found") as caught:
        encoder_from(path)
    assert "nothing" in str(caught.value).splitlines()[-1]


def test_an_untransposed_dense_weight_is_refused(tmp_path: Path) -> None:
    arrays = random_list(ENCODERS["mnist"])
    arrays[4] = arrays[4].T
    path = write(tmp_path / "e.npz", arrays)
    with pytest.raises(LasagneError, match=r"arr_4 .*W \(512, 256\) +\(256, 512\)"):
        encoder_from(path)


@pytest.mark.parametrize("kind", ["missing", "text", "npy", "names", "pickle", "nan", "int", "cut"])
def test_files_that_are_no_parameter_lists(kind: str, tmp_path: Path) -> None:
    path, arrays = tmp_path / "e.npz", random_list(ENCODERS["mnist"])
    message = "not a readable"
    if kind == "missing":
        message = "no such file"
    elif kind == "text":
        path.write_text("weights")
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, arrays[0])
        message = "one array, not an .npz"
    elif kind == "names":
        np.savez(path, weight=arrays[0])
        message = r"must hold arr_0, arr_1, … only; it holds \['weight'\]"
    elif kind == "pickle":
        np.savez(path, np.array([{"a": 1}], dtype=object))
    elif kind == "nan":
        arrays[3][0] = np.nan
        write(path, arrays)
        message = r"arr_3 \(float32\) must be finite"
    elif kind == "int":
        write(path, [a.astype(np.int32) for a in arrays])
        message = r"arr_0 \(int32\) must be finite floating-point"
    elif kind == "cut":
        write(path, arrays)
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LasagneError, match=message) as caught:
        encoder_from(path)
    assert str(path) in str(caught.value)


def test_architectures_without_published_weights() -> None:
    for architecture in ("svhn", "pyramid"):
        with pytest.raises(ConfigError, match=r"\['mnist', 'cifar10'\]"):
            lasagne.check_architecture(architecture)


# --- generators and discriminators --------------------------------------------------------------


def bn(features: int) -> list[tuple[int, ...]]:
    return [(features,)] * 4


def generator_shapes(architecture: str, index: int) -> list[tuple[int, ...]]:
    """Lasagne's list, by hand from the authors' scripts. z_1 = 50, z_0 = 50 (16 on CIFAR-10)."""
    if (architecture, index) == ("mnist", 1):
        return [(60, 512), *bn(512), (512, 512), *bn(512), (512, 256), (256,)]
    if (architecture, index) == ("cifar10", 1):
        embed = [(50, 256), *bn(256), (10, 512), *bn(512)]
        return [*embed, (768, 512), *bn(512), (512, 512), *bn(512), (512, 256), (256,)]
    if architecture == "mnist":
        start = [(50, 128), *bn(128), (384, 2048), *bn(2048)]
        maps = [(128, 128), (128, 64), (64, 64)]
        last: list[tuple[int, ...]] = [(64, 1, 5, 5), (1,)]
    else:
        start = [(16, 128), *bn(128), (128, 128), *bn(128), (384, 6400), *bn(6400)]
        maps = [(256, 256), (256, 128), (128, 128)]
        last = [(128, 3, 5, 5), (3,)]
    return [*start, *(s for i, o in maps for s in ((i, o, 5, 5), *bn(o))), *last]


class Reader:
    """Takes the arrays of a list one layer after the other."""

    def __init__(self, arrays: Arrays) -> None:
        self.left = list(arrays)

    def take(self) -> np.ndarray:
        return self.left.pop(0)

    def dense_bn(self, x: np.ndarray) -> np.ndarray:
        return relu(batch_norm(x @ self.take(), *(self.take() for _ in range(4))))

    def deconv_bn(self, x: np.ndarray, side: int, stride: int) -> np.ndarray:
        x = deconvolve(x, self.take(), side, stride, 2 if stride == 2 else 0)
        return relu(batch_norm(x, *(self.take() for _ in range(4))))


def reference_g1(arrays: Arrays, y: np.ndarray, z: np.ndarray, architecture: str) -> np.ndarray:
    layer = Reader(arrays)
    if architecture == "cifar10":
        z = layer.dense_bn(z)
        y = layer.dense_bn(y)
    x = layer.dense_bn(layer.dense_bn(np.concatenate([z, y], axis=1)))
    h = relu(x @ layer.take() + layer.take())
    assert not layer.left
    return h


def reference_g0(arrays: Arrays, h1: np.ndarray, z: np.ndarray, architecture: str) -> np.ndarray:
    layer = Reader(arrays)
    z = layer.dense_bn(z)
    if architecture == "cifar10":
        z = layer.dense_bn(z)
    sides = (4, 8, 12, 24, 28) if architecture == "mnist" else (5, 10, 14, 28, 32)
    x = layer.dense_bn(np.concatenate([h1, z], axis=1)).reshape(len(z), -1, sides[0], sides[0])
    for side, stride in zip(sides[1:4], (2, 1, 2), strict=True):
        x = layer.deconv_bn(x, side, stride)
    x = deconvolve(x, layer.take(), sides[4], 1, 0) + layer.take()[:, None, None]
    assert not layer.left
    return sigmoid(x)


def authors_stack(make_stack, architecture: str, **level: object):
    """z_dim is shared by our fixture's levels: 16 for CIFAR-10's level 0, else 50."""
    return make_stack(architecture, **{"z_dim": 50, **level}).eval()


@pytest.mark.parametrize("architecture", ["mnist", "cifar10"])
@torch.no_grad()
def test_an_imported_g1_computes_what_lasagne_does(architecture, make_stack, tmp_path) -> None:
    arrays = random_list(generator_shapes(architecture, 1), seed=3)
    stack = authors_stack(make_stack, architecture)
    fill_generators(write(tmp_path / "g.npz", arrays), stack, [1])
    rng = np.random.default_rng(4)
    y, z = rng.integers(0, 10, 3), rng.random((3, 50)).astype(np.float32)
    expected = reference_g1(arrays, np.eye(10, dtype=np.float32)[y], z, architecture)
    ours = stack.level(1).generate(torch.from_numpy(y), torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)
    assert expected.std() > 0.1


@pytest.mark.parametrize(("architecture", "z_dim"), [("mnist", 50), ("cifar10", 16)])
@torch.no_grad()
def test_an_imported_g0_computes_what_lasagne_does(
    architecture, z_dim, make_stack, tmp_path
) -> None:
    arrays = random_list(generator_shapes(architecture, 0), seed=5)
    stack = authors_stack(make_stack, architecture, z_dim=z_dim)
    fill_generators(write(tmp_path / "g.npz", arrays), stack, [0])
    rng = np.random.default_rng(6)
    h1, z = rng.random((2, 256)).astype(np.float32), rng.random((2, z_dim)).astype(np.float32)
    expected = reference_g0(arrays, h1, z, architecture)
    ours = stack.level(0).generate(torch.from_numpy(h1), torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    assert expected.std() > 0.05


def test_the_joint_cifar10_file_holds_g1_and_then_g0(make_config, tmp_path) -> None:
    """gen_params_*.npz and pretrained/generator.npz: from get_all_param_values(gen0_layers[-1])."""
    config = make_config("cifar10", z_dim=50)
    level0 = dataclasses.replace(config.levels[0], z_dim=16)
    stack = Stack(dataclasses.replace(config, levels=(level0, config.levels[1])))
    shapes = [generator_shapes("cifar10", i) for i in (1, 0)]
    first, second = (random_list(s, seed=i) for i, s in enumerate(shapes))
    fill_generators(write(tmp_path / "gen.npz", first + second), stack, [1, 0])
    g1, g0 = stack.level(1).generator, stack.level(0).generator
    assert np.array_equal(g1.embed_z[0].weight.detach().numpy(), first[0].T)
    assert np.array_equal(g0.embed_z[0].weight.detach().numpy(), second[0].T)
    assert np.array_equal(g0.body[-2].bias.detach().numpy(), second[-1])
    assert np.array_equal(g1.embed_cond[1].running_var.numpy(), first[9])
    assert np.array_equal(g1.embed_cond[1].weight.detach().numpy(), first[7])


def test_a_generator_that_does_not_fit_leaves_ours_as_it_was(make_stack, tmp_path) -> None:
    arrays = random_list(generator_shapes("mnist", 0))
    arrays[-1] = np.zeros(3, np.float32)
    stack = authors_stack(make_stack, "mnist")
    before = {k: v.clone() for k, v in stack.state_dict().items()}
    with pytest.raises(LasagneError, match=r"not the authors' G_0: 1 arrays do not fit"):
        fill_generators(write(tmp_path / "g.npz", arrays), stack, [0])
    for name, value in stack.state_dict().items():
        assert torch.equal(value, before[name]), name


CIFAR_D0 = [
    (96, 3, 3, 3),
    (96,),
    (96, 96, 3, 3),
    *bn(96),
    (192, 96, 3, 3),
    *bn(192),
    (192, 192, 3, 3),
    *bn(192),
    (192, 192, 3, 3),
    *bn(192),
    (192, 192),
    (192,),
]
CIFAR_D0_Q, CIFAR_D0_HEAD = [(6912, 16), (16,)], [(192, 10), (10,)]


@torch.no_grad()
def test_an_imported_cifar10_d0_computes_what_lasagne_does(make_stack, tmp_path) -> None:
    stack = authors_stack(
        make_stack, "cifar10", z_dim=16, d_objective="class_logits", q_output="linear"
    )
    arrays = random_list([*CIFAR_D0, *CIFAR_D0_Q, *CIFAR_D0_HEAD], seed=8)
    fill_discriminator(write(tmp_path / "d.npz", arrays), stack, 0, with_q=True)

    x = np.random.default_rng(9).random((2, 3, 32, 32)).astype(np.float32)
    layer = Reader(arrays)
    h = lrelu(correlate(x, layer.take(), pad=1) + layer.take()[:, None, None])
    for stride, pad in ((2, 1), (1, 1), (2, 1), (1, 0)):
        w = layer.take()
        h = lrelu(batch_norm(correlate(h, w, stride, pad), *(layer.take() for _ in range(4))))
    nin = layer.take()
    h = lrelu(np.einsum("bcij,cf->bfij", h, nin) + layer.take()[:, None, None])
    z = h.reshape(2, -1) @ layer.take() + layer.take()
    logits = h.mean((2, 3)) @ layer.take() + layer.take()
    assert not layer.left

    ours_logits, ours_z = stack.level(0).discriminator(torch.from_numpy(x))
    np.testing.assert_allclose(ours_logits.numpy(), logits, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(ours_z.numpy(), z, rtol=1e-3, atol=2e-3)


def test_a_discriminator_saved_without_q_leaves_ours(make_stack, tmp_path) -> None:
    """MNIST's scripts save what leads to D's output only."""
    stack = authors_stack(make_stack, "mnist")
    d = stack.level(1).discriminator
    q = d.recovery.weight.detach().clone()
    arrays = random_list([(256, 256), (256,), (256, 256), (256,), (256, 1), (1,)])
    path = write(tmp_path / "d.npz", arrays)
    fill_discriminator(path, stack, 1, with_q=False)
    assert np.array_equal(d.adversarial.weight.detach().numpy(), arrays[4].T)
    assert torch.equal(d.recovery.weight, q)
    with pytest.raises(LasagneError, match="not the authors' D_0"):
        fill_discriminator(path, stack, 0, with_q=False)
