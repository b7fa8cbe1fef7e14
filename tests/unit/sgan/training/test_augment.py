"""Translations and flips: what moves where, and that gradients follow."""

import torch

from sgan.training.augment import shift_and_flip, translate


def test_no_shift_returns_the_images_themselves() -> None:
    images = torch.rand(2, 1, 5, 5)
    assert translate(images, 0) is images


def test_each_image_moves_by_a_whole_shift_with_zeros_moving_in() -> None:
    torch.manual_seed(0)
    images = torch.rand(60, 2, 6, 7) + 0.1
    moved = translate(images, 2)
    padded = torch.nn.functional.pad(images, [2] * 4)
    shifts = set()
    for image, result in zip(padded, moved, strict=True):
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if torch.equal(image[:, dy : dy + 6, dx : dx + 7], result)
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 15  # of 25 shifts, in 60 draws


def test_gradients_return_to_the_pixel_they_came_from() -> None:
    torch.manual_seed(0)
    images = torch.rand(8, 1, 4, 4, requires_grad=True)
    moved = translate(images, 3)
    moved.sum().backward()
    assert set(images.grad.unique().tolist()) == {0.0, 1.0}
    assert images.grad.sum() == (moved > 0).sum()


def test_half_of_the_images_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 1, 3, 3)
    result = shift_and_flip(images, 0, flip=True)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    untouched = (result == images).flatten(1).all(1)
    assert (mirrored ^ untouched).all()
    assert 160 < int(mirrored.sum()) < 240
    assert torch.equal(shift_and_flip(images, 0, flip=False), images)
