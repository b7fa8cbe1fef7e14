"""Parameters of every net, counted by hand from the authors' tables (design, section 2).

Written out as the layers read: a dense layer in × out (+ out with a bias), a convolution
in × out × k² (+ out), batch norm 2 × features and then no bias before it.
"""

from collections.abc import Callable

import pytest
from torch import nn

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.level import Level


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def conv(inputs: int, outputs: int, side: int) -> int:
    return inputs * outputs * side * side + outputs


def dense_bn(inputs: int, outputs: int) -> int:
    return inputs * outputs + 2 * outputs


def conv_bn(inputs: int, outputs: int, side: int) -> int:
    return inputs * outputs * side * side + 2 * outputs


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


MNIST = StackConfig(
    ImageConfig(1, 28, 28, 10),
    EncoderConfig(architecture="mnist"),
    (LevelConfig(z_dim=50), LevelConfig(z_dim=50)),
)
_CLASS_LOGITS = {"d_objective": "class_logits", "q_output": "linear"}
CIFAR_LEVELS = (LevelConfig(z_dim=16, **_CLASS_LOGITS), LevelConfig(z_dim=50, **_CLASS_LOGITS))
CIFAR = StackConfig(ImageConfig(3, 32, 32, 10), EncoderConfig(architecture="cifar10"), CIFAR_LEVELS)
SVHN = StackConfig(ImageConfig(3, 32, 32, 10), EncoderConfig(architecture="svhn"), CIFAR_LEVELS)

MNIST_E = conv(1, 32, 5) + conv(32, 32, 5) + dense(32 * 4 * 4, 256) + dense(256, 10)
MNIST_G1 = dense_bn(50 + 10, 512) + dense_bn(512, 512) + dense(512, 256)
MNIST_G0 = (
    dense_bn(50, 128)
    + dense_bn(256 + 128, 128 * 4 * 4)
    + conv_bn(128, 128, 5)
    + conv_bn(128, 64, 5)
    + conv_bn(64, 64, 5)
    + conv(64, 1, 5)
)
MNIST_D1 = dense(256, 256) + dense(256, 256) + dense(256, 1) + dense(256, 50)
MNIST_D0 = (
    conv(1, 32, 5)
    + conv(32, 64, 5)
    + conv(64, 128, 5)
    + dense(128 * 4 * 4, 256)
    + dense(256, 1)
    + dense(256, 50)
)
CIFAR_E = conv(3, 64, 5) + conv(64, 128, 5) + dense(128 * 5 * 5, 256) + dense(256, 10)
CIFAR_G1 = (
    dense_bn(50, 256)
    + dense_bn(10, 512)
    + dense_bn(256 + 512, 512)
    + dense_bn(512, 512)
    + dense(512, 256)
)
CIFAR_G0 = (
    dense_bn(16, 128)
    + dense_bn(128, 128)
    + dense_bn(256 + 128, 256 * 5 * 5)
    + conv_bn(256, 256, 5)
    + conv_bn(256, 128, 5)
    + conv_bn(128, 128, 5)
    + conv(128, 3, 5)
)
CIFAR_D1 = dense(256, 512) + dense_bn(512, 512) + dense(512, 10) + dense(512, 50)
CIFAR_D0 = (
    conv(3, 96, 3)
    + conv_bn(96, 96, 3)
    + conv_bn(96, 192, 3)
    + conv_bn(192, 192, 3)
    + conv_bn(192, 192, 3)
    + conv(192, 192, 1)
    + dense(192, 10)
    + dense(6 * 6 * 192, 16)
)


def test_the_arithmetic_above_was_done_right() -> None:
    """The sums, worked out apart, so that a slip in a helper cannot pass unseen."""
    assert MNIST_E == 832 + 25_632 + 131_328 + 2_570 == 160_362
    assert MNIST_G1 == 31_744 + 263_168 + 131_328 == 426_240
    assert MNIST_G0 == 6_656 + 790_528 + 409_856 + 204_928 + 102_528 + 1_601 == 1_516_097
    assert MNIST_D1 == 65_792 + 65_792 + 257 + 12_850 == 144_691
    assert MNIST_D0 == 832 + 51_264 + 204_928 + 524_544 + 257 + 12_850 == 794_675
    assert CIFAR_E == 4_864 + 204_928 + 819_456 + 2_570 == 1_031_818
    assert CIFAR_G1 == 13_312 + 6_144 + 394_240 + 263_168 + 131_328 == 808_192
    assert CIFAR_G0 == (2_304 + 16_640 + 2_470_400 + 1_638_912 + 819_456 + 409_856 + 9_603)
    assert CIFAR_D1 == 131_584 + 263_168 + 5_130 + 25_650 == 425_532
    assert CIFAR_D0 == (2_688 + 83_136 + 166_272 + 332_160 + 332_160 + 37_056 + 1_930 + 110_608)


@pytest.mark.parametrize(
    ("config", "expected"),
    [(MNIST, MNIST_E), (CIFAR, CIFAR_E), (SVHN, CIFAR_E)],
    ids=["mnist", "cifar10", "svhn"],
)
def test_encoder(config: StackConfig, expected: int) -> None:
    assert count(Encoder(config.image, config.encoder)) == expected


@pytest.mark.parametrize(
    ("config", "index", "g", "d"),
    [
        (MNIST, 0, MNIST_G0, MNIST_D0),
        (MNIST, 1, MNIST_G1, MNIST_D1),
        (CIFAR, 0, CIFAR_G0, CIFAR_D0),
        (CIFAR, 1, CIFAR_G1, CIFAR_D1),
        (SVHN, 0, CIFAR_G0, CIFAR_D0),
        (SVHN, 1, CIFAR_G1, CIFAR_D1),
    ],
    ids=["mnist-0", "mnist-1", "cifar10-0", "cifar10-1", "svhn-0", "svhn-1"],
)
def test_generator_and_discriminator(config: StackConfig, index: int, g: int, d: int) -> None:
    level = Level(config, index, config.levels[index])
    assert count(level.generator) == g
    assert count(level.discriminator) == d


def test_where_the_encoder_is_cut_changes_no_count(make_config: Callable[..., StackConfig]) -> None:
    for cut in ((), ("conv2",), ("conv1", "conv2", "fc")):
        config = make_config("mnist", cut)
        assert count(Encoder(config.image, config.encoder)) == MNIST_E
