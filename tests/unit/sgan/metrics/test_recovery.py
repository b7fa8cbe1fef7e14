"""Recovery errors on cases whose answer is known."""

import math

import pytest
import torch

from sgan.metrics.recovery import class_share, label_recovery, recovery_error


def uniform(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_generator_that_ignores_z_leaves_one_twelfth() -> None:
    z = uniform(0, 20000, 10)
    blind = recovery_error(torch.full_like(z, 0.5), z)
    assert blind.mse == pytest.approx(1 / 12, rel=0.01)
    assert blind.explained == pytest.approx(0, abs=0.001)


def test_perfect_partial_and_worse_than_a_constant() -> None:
    z = uniform(1, 5000, 4)
    assert recovery_error(z, z).explained == 1
    noisy = recovery_error(
        z + 0.1 * torch.randn(z.shape, generator=torch.Generator().manual_seed(2)), z
    )
    assert noisy.mse == pytest.approx(0.01, rel=0.05)
    assert noisy.explained == pytest.approx(1 - 0.12, abs=0.01)
    assert recovery_error(1 - z, z).explained == pytest.approx(-3, abs=0.1)


def test_labels() -> None:
    labels = torch.tensor([0, 1, 2, 2])
    even = label_recovery(torch.zeros(4, 3), labels)
    assert even.cross_entropy == pytest.approx(math.log(3))
    sure = label_recovery(torch.eye(3)[labels] * 50, labels)
    assert sure.accuracy == 1 and sure.cross_entropy < 1e-9
    wrong = label_recovery(torch.eye(3)[(labels + 1) % 3] * 50, labels)
    assert wrong.accuracy == 0 and wrong.cross_entropy == pytest.approx(50)


def test_class_share() -> None:
    labels = torch.arange(4).repeat(100)
    centres = torch.tensor([0.0, 1.0, 2.0, 3.0])[labels][:, None]
    assert class_share(centres, labels) == pytest.approx(1)
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(3))
    variance = float(centres.var(correction=0))
    assert class_share(centres + noise, labels) == pytest.approx(
        variance / (variance + 1), abs=0.06
    )
    assert abs(class_share(noise, labels)) < 0.03
    bytes_ = (noise * 40 + 128).clamp(0, 255).to(torch.uint8)  # as images come, and in parts
    tripled, own = bytes_.repeat(3, 5), labels.repeat(3)
    assert class_share(tripled, own) == pytest.approx(class_share(tripled.double(), own))


def test_the_share_of_many_labels_is_not_what_chance_gives_them() -> None:
    """Of 200 labels of five rows each chance alone "explains" a fifth: (K - 1) / (N - 1)."""
    labels = torch.arange(200).repeat_interleave(5)
    noise = torch.randn(1000, 30, generator=torch.Generator().manual_seed(4))
    assert class_share(noise, labels) == pytest.approx(0, abs=0.01)
    centres = torch.randn(200, 30, generator=torch.Generator().manual_seed(5))[labels]
    half = centres / centres.std() + noise
    assert class_share(half, labels) == pytest.approx(0.5, abs=0.02)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        recovery_error(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="do not vary"):
        recovery_error(torch.zeros(3, 2), torch.ones(3, 2))
    with pytest.raises(ValueError, match="do not fit"):
        label_recovery(torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not vary"):
        class_share(torch.ones(3, 2), torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match="no label has two"):
        class_share(torch.rand(3, 2), torch.tensor([0, 1, 2]))
