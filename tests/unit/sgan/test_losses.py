"""Every loss against numbers worked out by hand and against its closed form."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sgan import losses

LN2, LN3 = math.log(2), math.log(3)


def probability(s: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-s))


def logits_of(probabilities: list[float]) -> Tensor:
    """s with sigmoid(s) = p."""
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities])


def test_a_single_logit_is_its_own_score() -> None:
    assert losses.realness(torch.tensor([[2.0], [-1.5]])).tolist() == [2.0, -1.5]


def test_a_score_of_class_logits_is_their_logsumexp() -> None:
    # e^0 + e^ln3 = 4; e^ln2 + e^ln2 = 4; in the shift invariance of Improved GAN, D = Z / (Z + 1)
    logits = torch.tensor([[0.0, LN3], [LN2, LN2]])
    score = losses.realness(logits)
    assert score.tolist() == pytest.approx([math.log(4)] * 2)
    assert probability(score).tolist() == pytest.approx([4 / 5] * 2)


def test_a_score_does_not_overflow() -> None:
    assert losses.realness(torch.tensor([[500.0, 499.0]])).item() == pytest.approx(
        500 + math.log(1 + math.exp(-1))
    )


def test_ds_two_terms_by_hand() -> None:
    s = logits_of([0.5, 0.8])
    real = (LN2 + math.log(5 / 4)) / 2  # -log 0.5, -log 0.8
    fake = (LN2 + math.log(5)) / 2  # -log 0.5, -log 0.2
    assert losses.discriminator_real(s).item() == pytest.approx(real)
    assert losses.discriminator_fake(s).item() == pytest.approx(fake)


@pytest.mark.parametrize(("halve", "factor"), [(False, 1.0), (True, 0.5)])
def test_ds_loss_is_the_sum_of_its_terms_or_half_of_it(halve: bool, factor: float) -> None:
    s_real, s_fake = logits_of([0.9]), logits_of([0.25])
    expected = factor * (-math.log(0.9) - math.log(0.75))
    loss = losses.discriminator_adversarial(s_real, s_fake, halve)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_ds_loss_agrees_with_binary_cross_entropy_on_probabilities() -> None:
    s_real, s_fake = torch.randn(50) * 2, torch.randn(50) * 2
    bce = F.binary_cross_entropy(probability(s_real), torch.ones(50)) + F.binary_cross_entropy(
        probability(s_fake), torch.zeros(50)
    )
    loss = losses.discriminator_adversarial(s_real, s_fake, halve=False)
    torch.testing.assert_close(loss, bce)


def test_class_logits_in_ds_loss_match_the_authors_formula() -> None:
    """-mean(l) + mean(softplus(l)) on real, mean(softplus(l)) on fake, l the logsumexp."""
    real, fake = torch.randn(20, 10), torch.randn(20, 10)
    l_real, l_fake = real.exp().sum(1).log(), fake.exp().sum(1).log()
    authors = 0.5 * (-l_real.mean() + (1 + l_real.exp()).log().mean())
    authors = authors + 0.5 * (1 + l_fake.exp()).log().mean()
    ours = losses.discriminator_adversarial(losses.realness(real), losses.realness(fake), True)
    torch.testing.assert_close(ours, authors)


def test_ds_class_loss_is_the_mean_negative_log_softmax_of_the_label() -> None:
    logits = torch.tensor([[0.0, LN3, 0.0], [LN2, 0.0, 0.0]])
    y = torch.tensor([1, 2])
    # 3 / (1 + 3 + 1) and 1 / (2 + 1 + 1)
    expected = (-math.log(3 / 5) - math.log(1 / 4)) / 2
    assert losses.discriminator_class(logits, y).item() == pytest.approx(expected, rel=1e-6)


def test_gs_adversarial_loss_by_hand_in_both_forms() -> None:
    s = logits_of([0.5, 0.2])
    non_saturating = (LN2 + math.log(5)) / 2  # -log D
    saturating = (math.log(0.5) + math.log(0.8)) / 2  # log(1 - D)
    assert losses.generator_adversarial(s).item() == pytest.approx(non_saturating)
    assert losses.generator_adversarial(s, saturating=True).item() == pytest.approx(saturating)


@pytest.mark.parametrize("score", [-8.0, 0.0, 3.0])
def test_gradients_of_gs_two_forms(score: float) -> None:
    """-log D pulls with D - 1, log(1 - D) with -D: near D = 0 the second vanishes."""
    s = torch.tensor([score], requires_grad=True)
    d = probability(s.detach()).item()
    (gradient,) = torch.autograd.grad(losses.generator_adversarial(s), s)
    (saturating,) = torch.autograd.grad(losses.generator_adversarial(s, saturating=True), s)
    assert gradient.item() == pytest.approx(d - 1, abs=1e-6)
    assert saturating.item() == pytest.approx(-d, abs=1e-6)


def test_conditional_loss_on_features_is_the_mean_over_batch_and_elements() -> None:
    recovered = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    target = torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    assert losses.conditional_features(recovered, target).item() == (1 + 4 + 0 + 9) / 4


def test_conditional_loss_on_labels_takes_indices_or_probabilities() -> None:
    logits = torch.tensor([[0.0, LN3]])
    assert losses.conditional_labels(logits, torch.tensor([0])).item() == pytest.approx(math.log(4))
    mixed = losses.conditional_labels(logits, torch.tensor([[0.5, 0.5]]))
    assert mixed.item() == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(4 / 3))


def test_entropy_bound_is_the_mean_square_of_the_recovery() -> None:
    z, recovered = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]])
    assert losses.entropy_bound(recovered, z).item() == 0.25


def test_entropy_bound_is_a_gaussians_negative_log_likelihood_up_to_constants() -> None:
    """With variance σ², -log Q = |z - μ|² / 2σ² + const: affine in our loss."""
    z, variance = torch.rand(8, 4), 0.3
    gaussian = torch.distributions.Normal(0.0, math.sqrt(variance))
    first, second = torch.rand(8, 4), torch.rand(8, 4)
    nll = [-(gaussian.log_prob(z - mu)).sum(1).mean() for mu in (first, second)]
    ours = [losses.entropy_bound(mu, z) for mu in (first, second)]
    slope = 4 / (2 * variance)  # four elements per row
    torch.testing.assert_close(nll[0] - nll[1], slope * (ours[0] - ours[1]), rtol=1e-4, atol=1e-5)


def test_the_bounds_best_constant_guess_is_the_variance_of_uniform_noise() -> None:
    """A Q that ignores ĥ does best at 1/2 and leaves Var U(0,1) = 1/12: the floor to beat."""
    z = torch.linspace(0, 1, 100_001, dtype=torch.float64)[:, None]
    at = {c: losses.entropy_bound(torch.full_like(z, c), z).item() for c in (0.4, 0.5, 0.6)}
    assert at[0.5] == pytest.approx(1 / 12, rel=1e-4)
    assert at[0.4] > at[0.5] < at[0.6]


def test_gs_total_weighs_its_three_terms() -> None:
    adv, cond, ent = (torch.tensor(v) for v in (2.0, 3.0, 5.0))
    assert losses.generator_total(adv, cond, ent, 1.0, 1.0, 10.0).item() == 55.0
    assert losses.generator_total(adv, cond, ent, 0.5, 0.0, 2.0).item() == 11.0


def test_r1_of_a_linear_score_is_the_squared_norm_of_its_weights() -> None:
    h = torch.randn(6, 3, requires_grad=True)
    w = torch.tensor([1.0, 2.0, -2.0])
    assert losses.r1_penalty(h @ w, h).item() == pytest.approx(9.0)


def test_r1_of_a_quadratic_score_and_its_own_gradient() -> None:
    """s = a |h|² has ∇s = 2ah, so R1 = 4a² E|h|², and dR1/da = 8a E|h|²."""
    h = torch.randn(5, 2, 3, requires_grad=True)
    a = torch.tensor(0.7, requires_grad=True)
    square = h.detach().square().flatten(1).sum(1).mean().item()
    penalty = losses.r1_penalty(a * h.square().flatten(1).sum(1), h)
    assert penalty.item() == pytest.approx(4 * 0.49 * square, rel=1e-5)
    penalty.backward()
    assert a.grad is not None
    assert a.grad.item() == pytest.approx(8 * 0.7 * square, rel=1e-5)
