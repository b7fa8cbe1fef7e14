"""One training step of a GAN, the same for a level alone and for the whole stack.

What differs is only where h_{i+1} comes from: the encoder (independent, paper section 3.2) or the
generator above (joint, section 3.3). D and Q step first, then G, on the sum of the active levels'
losses: levels are joined only through ĥ_{i+1}, whose gradient is scaled by `lower_weight`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sgan import losses
from sgan.config import LevelConfig
from sgan.stack import Stack
from sgan.training import augment
from sgan.training.batch import Batch


class Fake(NamedTuple):
    """One level's generation: the condition it was given, its noise, and ĥ_i, with its graph."""

    cond: Tensor  # float [B, *h_{i+1}], or labels int64 [B] at the top level
    z: Tensor  # float [B, z_dim]
    h: Tensor  # float [B, *h_i]


def scale_gradient(h: Tensor, weight: float) -> Tensor:
    """h itself, its gradient multiplied by `weight` on the way back."""
    if weight == 0.0:
        return h.detach()
    return h.detach() + weight * (h - h.detach())


def generate(
    stack: Stack, batch: Batch, joint: bool, lower_weight: float = 0.0, encoder_share: float = 0.0
) -> dict[int, Fake]:
    """ĥ_i of every active level, top down.

    Independent: each from the encoder's h_{i+1}. Joint: each from ĥ_{i+1} of the level above,
    whose generator receives `lower_weight` of the gradient, but for the first `encoder_share` of
    the batch, which takes the encoder's. The top level always takes y.
    """
    fakes: dict[int, Fake] = {}
    for i in reversed(stack.active):
        level = stack.level(i)
        if level.is_top:
            cond = batch.y
        elif joint:
            cond = scale_gradient(fakes[i + 1].h, lower_weight)
            if own := round(encoder_share * len(cond)):
                cond = torch.cat([batch.hidden[i + 1][:own].to(cond.dtype), cond[own:]])
        else:
            cond = batch.hidden[i + 1]
        z = level.draw_z(len(batch.y))
        fakes[i] = Fake(cond, z, level.generate(cond, z))
    return fakes


def discriminator_losses(
    stack: Stack, settings: dict[int, LevelConfig], batch: Batch, fakes: dict[int, Fake]
) -> dict[str, Tensor]:
    """Every active level's D and Q losses; `levelI/loss_d` is the one to minimise.

    Real and fake batches go through D apart, so batch norm takes each one's own statistics, as in
    the authors' code. ĥ_i is detached: no gradient reaches G.
    """
    out: dict[str, Tensor] = {}
    for i in stack.active:
        c, d, key = settings[i], stack.level(i).discriminator, f"level{i}"
        real = augment.translate(batch.hidden[i], c.augment_pixels if i == 0 else 0)
        if c.r1_gamma:
            real = real.detach().requires_grad_()
        fake = augment.translate(fakes[i].h.detach(), c.augment_pixels if i == 0 else 0)
        logits_real, _ = d(real)
        logits_fake, z_recovered = d(fake)
        logits_real, logits_fake = logits_real.float(), logits_fake.float()
        s_real, s_fake = losses.realness(logits_real), losses.realness(logits_fake)
        adv = losses.discriminator_adversarial(s_real, s_fake, c.halve_d)
        ent = losses.entropy_bound(z_recovered.float(), fakes[i].z)
        total = c.lambda_adv * adv + c.lambda_ent * ent
        if c.d_objective == "class_logits":
            out[f"{key}/loss_d_class"] = losses.discriminator_class(logits_real, batch.y)
            total = total + c.lambda_class * out[f"{key}/loss_d_class"]
        if c.r1_gamma:
            out[f"{key}/loss_d_r1"] = losses.r1_penalty(s_real, real)
            total = total + 0.5 * c.r1_gamma * out[f"{key}/loss_d_r1"]
        out |= {f"{key}/loss_d_adv": adv, f"{key}/loss_q": ent, f"{key}/loss_d": total}
    return out


def generator_losses(
    stack: Stack, settings: dict[int, LevelConfig], fakes: dict[int, Fake]
) -> dict[str, Tensor]:
    """Every active level's G losses; `levelI/loss_g` is L_G_i (equation 3)."""
    out: dict[str, Tensor] = {}
    for i in stack.active:
        c, level, key = settings[i], stack.level(i), f"level{i}"
        cond, z, h = fakes[i]
        logits, z_recovered = level.discriminator(
            augment.translate(h, c.augment_pixels if i == 0 else 0)
        )
        s_fake = losses.realness(logits.float())
        adv = losses.generator_adversarial(s_fake, c.g_objective == "saturating")
        cond_loss = conditional(stack.encoder.blocks[i], h, cond, c, level.num_classes)
        ent = losses.entropy_bound(z_recovered.float(), z)
        total = losses.generator_total(
            adv, cond_loss, ent, c.lambda_adv, c.lambda_cond, c.lambda_ent
        )
        out |= {f"{key}/loss_g_adv": adv, f"{key}/loss_g_cond": cond_loss}
        out |= {f"{key}/loss_g_ent": ent, f"{key}/loss_g": total}
    return out


def conditional(
    encoder_block: nn.Module, h: Tensor, cond: Tensor, c: LevelConfig, num_classes: int
) -> Tensor:
    """L_cond_i: f(E_i(ĥ_i), h_{i+1}); f by `cond_loss`, 'auto' by what the target is."""
    recovered = encoder_block(h).float()
    is_label = not cond.is_floating_point()
    if c.cond_loss == "cross_entropy" or (c.cond_loss == "auto" and is_label):
        return losses.conditional_labels(recovered, cond)
    if is_label:
        cond = nn.functional.one_hot(cond, num_classes).to(recovered.dtype)
        recovered = recovered.softmax(dim=1)
    return losses.conditional_features(recovered, cond.float())


@contextlib.contextmanager
def without_gradient(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, the nets' parameters take no gradient; what they are given still receives its own."""
    nets = list(modules)
    for net in nets:
        net.requires_grad_(False)
    try:
        yield
    finally:
        for net in nets:
            net.requires_grad_(True)
