"""The judge's network: its shapes, and a cost that grows slower than the images' area."""

import pytest
import torch

from pipeline.scores.judge_network import JudgeNetwork


@pytest.mark.parametrize(("size", "side"), [(8, 4), (28, 14), (32, 16), (64, 16), (128, 16)])
def test_any_size_comes_down_to_sixteen_pixels(size: int, side: int) -> None:
    network = JudgeNetwork((3, size, size), 7).eval()
    maps: list[torch.Size] = []
    for layer in network.body:
        layer.register_forward_hook(lambda _, __, out: maps.append(out.shape))
    features = network.features(torch.zeros(2, 3, size, size))
    assert features.shape == (2, 128) and network.classify(features).shape == (2, 7)
    widths = [shape[-1] for shape in maps if shape[1] == 64]
    assert set(widths) == {side}  # the body's first convolutions


def test_features_are_means_over_the_map() -> None:
    torch.manual_seed(0)
    network = JudgeNetwork((1, 28, 28), 10).eval()
    x = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(network.features(x), network.body(x).flatten(2).mean(2))
