"""Directions that change the image most: orthonormal, the strongest first, found where they are."""

import torch

from pipeline.serving.directions import find_directions
from sgan.drawing import Drawer


def test_orthonormal_and_the_strongest_first(model):
    found = find_directions(model.drawer)
    for level, dim in model.z_dims.items():
        vectors, shares = found.vectors[level], found.shares[level]
        assert vectors.shape == (4, dim)
        assert torch.allclose(vectors @ vectors.T, torch.eye(4, dtype=torch.float64), atol=1e-9)
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1 + 1e-9


def test_the_first_changes_the_image_more_than_chance_does(model):
    found = find_directions(model.drawer)
    y, z = torch.arange(10), model.drawer.noise(range(100, 110))
    g = torch.special.ndtri(z[1].clamp(1e-7, 1 - 1e-7))

    def change(direction):
        moved = z | {1: torch.special.ndtr(g + direction)}
        ours, base = (model.drawer.images(y, v).int() for v in (moved, z))
        return float((ours - base).abs().float().mean())

    generator = torch.Generator().manual_seed(0)
    random = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    others = [change(v / v.norm()) for v in random]
    assert change(found.vectors[1][0]) > sum(others) / len(others)


def test_the_same_in_every_process(model, weights):
    from sgan.weights import load_stack

    again = find_directions(Drawer(load_stack(weights)))
    for level, vectors in find_directions(model.drawer).vectors.items():
        assert torch.allclose(vectors, again.vectors[level])
