"""The paper's equations (section 3), in the paper's order, as pure functions on tensors.

D_i puts out logits of shape [B, 1] ('binary') or [B, K] ('class_logits', Improved GAN, Salimans
et al. 2016). Both reduce to one score s with D_i(h) = sigmoid(s), so that -log D = softplus(-s)
and -log(1 - D) = softplus(s). Every loss is a scalar, the mean over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def realness(logits: Tensor) -> Tensor:
    """s with D(h) = sigmoid(s): the logit itself, or logsumexp over K class logits.

    Args:
        logits: float [B, 1] or [B, K].

    Returns:
        float [B].
    """
    return logits.squeeze(1) if logits.shape[1] == 1 else torch.logsumexp(logits, dim=1)


def discriminator_real(s_real: Tensor) -> Tensor:
    """E[-log D_i(h_i)], the first term of equation 1. s_real: float [B]."""
    return F.softplus(-s_real).mean()


def discriminator_fake(s_fake: Tensor) -> Tensor:
    """E[-log(1 - D_i(G_i(h_{i+1}, z_i)))], the second term of equation 1. s_fake: float [B]."""
    return F.softplus(s_fake).mean()


def discriminator_adversarial(s_real: Tensor, s_fake: Tensor, halve: bool) -> Tensor:
    """L_D_i (equation 1); the authors' code takes half of each term (`halve`)."""
    total = discriminator_real(s_real) + discriminator_fake(s_fake)
    return 0.5 * total if halve else total


def discriminator_class(class_logits: Tensor, y: Tensor) -> Tensor:
    """E[-log p(y | h_i)] on real h_i, for D with class logits (authors' CIFAR-10 code).

    Args:
        class_logits: float [B, K].
        y: int64 [B] in [0, K).
    """
    return F.cross_entropy(class_logits, y)


def generator_adversarial(s_fake: Tensor, saturating: bool = False) -> Tensor:
    """L_adv_i: E[-log D_i(ĥ_i)] (equation 4), or the saturating E[log(1 - D_i(ĥ_i))].

    The authors' CIFAR-10 code uses the saturating form.
    """
    return -F.softplus(s_fake).mean() if saturating else F.softplus(-s_fake).mean()


def conditional_features(recovered: Tensor, target: Tensor) -> Tensor:
    """L_cond_i (equation 5) for features: mean of (E_i(ĥ_i) - h_{i+1})² over every element."""
    return F.mse_loss(recovered, target)


def conditional_labels(logits: Tensor, y: Tensor) -> Tensor:
    """L_cond_i (equation 5) for labels: E[-log p_E(y | ĥ_{N-1})].

    Args:
        logits: float [B, K], E_{N-1}'s output.
        y: int64 [B], or class probabilities float [B, K].
    """
    return F.cross_entropy(logits, y)


def entropy_bound(z_recovered: Tensor, z: Tensor) -> Tensor:
    """L_ent_i = E[-log Q_i(z_i | ĥ_i)] (equation 7) up to constants: Q_i is a Gaussian of fixed
    variance, so the mean of (μ_Q(ĥ_i) - z_i)² over every element."""
    return F.mse_loss(z_recovered, z)


def generator_total(
    adv: Tensor, cond: Tensor, ent: Tensor, lambda_adv: float, lambda_cond: float, lambda_ent: float
) -> Tensor:
    """L_G_i = λ1 L_adv_i + λ2 L_cond_i + λ3 L_ent_i (equation 3)."""
    return lambda_adv * adv + lambda_cond * cond + lambda_ent * ent


def r1_penalty(s_real: Tensor, h_real: Tensor) -> Tensor:
    """E[|∇_h s(h)|²] on real h_i (Mescheder et al. 2018; not in the paper). Needs
    `h_real.requires_grad`; the result is differentiable. s_real: float [B]."""
    (gradient,) = torch.autograd.grad(s_real.sum(), h_real, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
