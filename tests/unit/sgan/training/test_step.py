"""Where gradients go, which statistics D sees, and what each loss in a step is made of."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgan import losses
from sgan.stack import Stack
from sgan.training import step
from sgan.training.batch import Batch
from sgan.training.terms import total_loss


def gradients(net: nn.Module) -> list[Tensor | None]:
    return [p.grad for p in net.parameters()]


def has_none(net: nn.Module) -> bool:
    return all(g is None for g in gradients(net))


def has_all(net: nn.Module) -> bool:
    return all(g is not None and g.abs().sum() > 0 for g in gradients(net))


def close(first: Tensor, second: Tensor) -> None:
    """Equal to a 10,000th of the largest element: gradients of one tensor differ much in size."""
    torch.testing.assert_close(first, second, rtol=0.0, atol=1e-4 * second.abs().max().item())


def gradient_in_g1(stack: Stack, fakes: dict[int, step.Fake], keys: Iterable[str]) -> list[Tensor]:
    """Gradient of the sum of the named G losses with respect to G_1's parameters."""
    terms = step.generator_losses(stack, stack.level_configs(), fakes)
    total = torch.stack([terms[key] for key in keys]).sum()
    parameters = list(stack.level(1).generator.parameters())
    return list(torch.autograd.grad(total, parameters, allow_unused=True, retain_graph=True))


def joint_fakes(stack: Stack, batch: Batch, weight: float, seed: int = 3) -> dict[int, step.Fake]:
    torch.manual_seed(seed)
    return step.generate(stack, batch, joint=True, lower_weight=weight)


def test_a_share_of_joint_conditions_stays_the_encoder_s(make_stack, make_batch) -> None:
    """Rows up to the share from E, which send no gradient up; the others from G_1. All of it from E
    is a level's own training."""
    stack = make_stack()
    batch = make_batch(stack)
    torch.manual_seed(3)
    fakes = step.generate(stack, batch, joint=True, lower_weight=1.0, encoder_share=0.5)
    half = len(batch.y) // 2
    torch.testing.assert_close(fakes[0].cond[:half], batch.hidden[1][:half])
    torch.testing.assert_close(fakes[0].cond[half:], fakes[1].h[half:])
    (up,) = torch.autograd.grad(fakes[0].cond.square().sum(), fakes[1].h, retain_graph=True)
    assert not up[:half].any() and up[half:].any()
    fakes = {}
    for joint in (True, False):
        torch.manual_seed(3)
        fakes[joint] = step.generate(stack, batch, joint, lower_weight=1.0, encoder_share=1.0)
    torch.testing.assert_close(fakes[True][0].h, fakes[False][0].h, rtol=0, atol=0)


@pytest.mark.parametrize("joint", [False, True])
def test_a_d_phase_leaves_g_and_e_without_gradient(joint: bool, make_stack, make_batch) -> None:
    stack = make_stack()
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint, lower_weight=1.0)
    terms = step.discriminator_losses(stack, stack.level_configs(), batch, fakes)
    total_loss(terms, "loss_d").backward()
    assert has_none(stack.encoder)
    for i in (0, 1):
        assert has_none(stack.level(i).generator)
        assert has_all(stack.level(i).discriminator)


@pytest.mark.parametrize("joint", [False, True])
def test_a_g_phase_leaves_e_and_a_frozen_d_without_gradient(joint, make_stack, make_batch) -> None:
    stack = make_stack()
    batch = make_batch(stack)
    discriminators = [stack.level(i).discriminator for i in (0, 1)]
    with step.without_gradient(discriminators):
        fakes = step.generate(stack, batch, joint, lower_weight=1.0)
        terms = step.generator_losses(stack, stack.level_configs(), fakes)
        total_loss(terms, "loss_g").backward()
    assert has_none(stack.encoder)
    for i in (0, 1):
        assert has_all(stack.level(i).generator)
        assert has_none(stack.level(i).discriminator)
        assert all(p.requires_grad for p in stack.level(i).discriminator.parameters())


def test_d_gets_its_gradient_back_when_a_g_phase_fails(make_stack) -> None:
    d = make_stack().level(1).discriminator
    with pytest.raises(ValueError, match="in between"), step.without_gradient([d]):
        assert not any(p.requires_grad for p in d.parameters())
        raise ValueError("in between")
    assert all(p.requires_grad for p in d.parameters())


@pytest.mark.parametrize("index", [0, 1])
def test_the_conditional_term_alone_reaches_g_through_the_frozen_encoder(
    index: int, make_stack, make_batch
) -> None:
    stack = make_stack(lambda_adv=0.0, lambda_ent=0.0)
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    terms = step.generator_losses(stack, stack.level_configs(), fakes)
    terms[f"level{index}/loss_g"].backward()
    assert has_all(stack.level(index).generator)
    assert has_none(stack.encoder)
    assert has_none(stack.level(1 - index).generator)


def test_the_entropy_term_trains_q_in_d_s_step_and_g_in_g_s(make_stack, make_batch) -> None:
    stack = make_stack(lambda_adv=0.0, lambda_cond=0.0, active=[1])
    batch, settings = make_batch(stack), stack.level_configs()
    fakes = step.generate(stack, batch, joint=False)
    d_terms = step.discriminator_losses(stack, settings, batch, fakes)
    d_terms["level1/loss_d"].backward()
    d, g = stack.level(1).discriminator, stack.level(1).generator
    assert has_all(d.recovery) and has_all(d.trunk)
    assert not any(p.grad.any() for p in d.adversarial.parameters())
    step.generator_losses(stack, settings, fakes)["level1/loss_g"].backward()
    assert has_all(g)


def test_joint_training_without_lower_weight_gives_g1_nothing_from_level_0(
    make_stack, make_batch
) -> None:
    stack = make_stack()
    fakes = joint_fakes(stack, make_batch(stack), 0.0)
    from_0 = gradient_in_g1(stack, fakes, ["level0/loss_g"])
    assert from_0 == [None] * len(from_0)
    from_1 = gradient_in_g1(stack, fakes, ["level1/loss_g"])
    assert all(g is not None and g.abs().sum() > 0 for g in from_1)


@pytest.mark.parametrize("weight", [0.5, 2.0**-6])
def test_lower_weight_scales_level_0s_gradient_in_g1_exactly(
    weight, make_stack, make_batch
) -> None:
    """A power of two scales without rounding: equal bit for bit."""
    stack = make_stack(seed=1)
    batch = make_batch(stack)
    whole = gradient_in_g1(stack, joint_fakes(stack, batch, 1.0), ["level0/loss_g"])
    scaled = gradient_in_g1(stack, joint_fakes(stack, batch, weight), ["level0/loss_g"])
    for full, part in zip(whole, scaled, strict=True):
        assert full.abs().sum() > 0
        assert torch.equal(part, weight * full)


def test_g1_minimises_its_own_loss_plus_a_hundredth_of_level_0s(make_stack, make_batch) -> None:
    stack = make_stack(seed=1)
    batch = make_batch(stack)
    own = gradient_in_g1(stack, joint_fakes(stack, batch, 0.0), ["level1/loss_g"])
    below = gradient_in_g1(stack, joint_fakes(stack, batch, 1.0), ["level0/loss_g"])
    both = gradient_in_g1(
        stack, joint_fakes(stack, batch, 0.01), ["level0/loss_g", "level1/loss_g"]
    )
    for mine, lower, total in zip(own, below, both, strict=True):
        close(total, mine + 0.01 * lower)


def test_level_0s_gradient_passes_the_input_and_the_conditional_target(
    make_stack, make_batch
) -> None:
    """Both paths by hand, the target's not detached; each contributes."""
    stack = make_stack(seed=1, lambda_adv=0.0, lambda_ent=0.0)
    fakes = joint_fakes(stack, make_batch(stack), 1.0)
    ours = gradient_in_g1(stack, fakes, ["level0/loss_g"])

    g0, e0 = stack.level(0).generator, stack.encoder.blocks[0]
    parameters = list(stack.level(1).generator.parameters())

    def by_hand(through_input: bool, through_target: bool) -> list[Tensor]:
        h1 = fakes[1].h
        given = h1 if through_input else h1.detach()
        target = h1 if through_target else h1.detach()
        loss = (e0(g0(given, fakes[0].z)) - target).square().mean()
        return list(torch.autograd.grad(loss, parameters, retain_graph=True))

    both, only_input, only_target = by_hand(True, True), by_hand(True, False), by_hand(False, True)
    for mine, all_of_it, first, second in zip(ours, both, only_input, only_target, strict=True):
        close(mine, all_of_it)
        close(first + second, all_of_it)
        assert first.abs().sum() > 0 and second.abs().sum() > 0


def test_three_levels_pass_the_weight_on_at_every_level(make_stack, make_batch) -> None:
    """G_2 gets w of level 1's gradient and w² of level 0's."""
    stack = make_stack("mnist", ("conv2", "fc"), seed=1)
    batch = make_batch(stack)
    parameters = list(stack.level(2).generator.parameters())

    def gradient(weight: float, key: str) -> list[Tensor]:
        fakes = joint_fakes(stack, batch, weight)
        terms = step.generator_losses(stack, stack.level_configs(), fakes)
        return list(torch.autograd.grad(terms[key], parameters))

    for key, power in (("level2/loss_g", 0), ("level1/loss_g", 1), ("level0/loss_g", 2)):
        for full, part in zip(gradient(1.0, key), gradient(0.5, key), strict=True):
            assert full.abs().sum() > 0
            assert torch.equal(part, 0.5**power * full)


def test_scaling_a_gradient_leaves_the_value_alone() -> None:
    h = torch.randn(4, 3, requires_grad=True)
    for weight in (0.0, 0.01, 0.3, 1.0):
        assert torch.equal(step.scale_gradient(h, weight), h)
    assert not step.scale_gradient(h, 0.0).requires_grad


def test_independent_levels_are_given_the_encoders_features(make_stack, make_batch) -> None:
    stack = make_stack("mnist", ("conv2", "fc"))
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    assert fakes[0].cond is batch.hidden[1]
    assert fakes[1].cond is batch.hidden[2]
    assert fakes[2].cond is batch.y


def test_joint_levels_are_given_what_the_generator_above_made(make_stack, make_batch) -> None:
    stack = make_stack("mnist", ("conv2", "fc"))
    fakes = step.generate(stack, make_batch(stack), joint=True, lower_weight=0.01)
    assert torch.equal(fakes[0].cond, fakes[1].h)
    assert torch.equal(fakes[1].cond, fakes[2].h)


def cifar_d1(make_stack, make_batch) -> tuple[Stack, Batch, dict[int, step.Fake]]:
    """D_1 with batch norm; real features far from the generated ones."""
    stack = make_stack(
        "cifar10", active=[1], d_objective="class_logits", q_output="linear", lambda_ent=0.0
    )
    batch = make_batch(stack, 8)
    batch.hidden[1] = 5 + 3 * batch.hidden[1]
    with torch.no_grad():
        nn.init.normal_(stack.level(1).discriminator.adversarial.weight, 0, 0.3)
    return stack, batch, step.generate(stack, batch, joint=False)


def test_real_and_fake_batches_take_their_own_batch_norm_statistics(make_stack, make_batch) -> None:
    stack, batch, fakes = cifar_d1(make_stack, make_batch)
    d, real, fake = stack.level(1).discriminator, batch.hidden[1], fakes[1].h.detach()
    terms = step.discriminator_losses(stack, stack.level_configs(), batch, fakes)

    def adversarial(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        scores = losses.realness(real_logits), losses.realness(fake_logits)
        return losses.discriminator_adversarial(*scores, halve=True)

    apart = adversarial(d(real)[0], d(fake)[0])
    together = d(torch.cat([real, fake]))[0]
    jointly = adversarial(together[:8], together[8:])
    torch.testing.assert_close(terms["level1/loss_d_adv"], apart)
    assert (jointly - apart).abs() > 0.1


def test_d_sees_the_real_batch_before_the_fake_one(make_stack, make_batch) -> None:
    """Running mean after one D phase: 0.9 (0.9·0 + 0.1 real) + 0.1 fake."""
    stack, batch, fakes = cifar_d1(make_stack, make_batch)
    trunk = stack.level(1).discriminator.trunk
    at = next(i for i, m in enumerate(trunk) if isinstance(m, nn.BatchNorm1d))
    before = trunk[:at]
    step.discriminator_losses(stack, stack.level_configs(), batch, fakes)
    real, fake = before(batch.hidden[1]).mean(0), before(fakes[1].h.detach()).mean(0)
    torch.testing.assert_close(trunk[at].running_mean, 0.9 * 0.1 * real + 0.1 * fake)


def test_ds_terms_and_their_weights(make_stack, make_batch) -> None:
    stack = make_stack(
        active=[1],
        d_objective="class_logits",
        lambda_adv=0.5,
        lambda_ent=3.0,
        lambda_class=0.25,
        r1_gamma=0.8,
        halve_d=False,
    )
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    d = stack.level(1).discriminator
    for parameter in d.parameters():  # steep enough for R1 to weigh something
        nn.init.normal_(parameter, 0.0, 0.1)
    terms = step.discriminator_losses(stack, stack.level_configs(), batch, fakes)
    real = batch.hidden[1].clone().requires_grad_()
    (real_logits, _), (fake_logits, z) = d(real), d(fakes[1].h.detach())
    s_real, s_fake = real_logits.exp().sum(1).log(), fake_logits.exp().sum(1).log()
    adv = F.softplus(-s_real).mean() + F.softplus(s_fake).mean()
    (slope,) = torch.autograd.grad(s_real.sum(), real, retain_graph=True)
    r1 = slope.square().sum(1).mean()
    expected = {
        "level1/loss_d_adv": adv,
        "level1/loss_d_class": F.cross_entropy(real_logits, batch.y),
        "level1/loss_q": (z - fakes[1].z).square().mean(),
        "level1/loss_d_r1": r1,
    }
    weights = (0.5, 0.25, 3.0, 0.4)
    expected["level1/loss_d"] = sum(w * v for w, v in zip(weights, expected.values(), strict=True))
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, rtol=1e-5, atol=1e-6)
    assert r1 > 0.1


def test_a_binary_d_has_no_class_term(make_stack, make_batch) -> None:
    stack = make_stack()
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    terms = step.discriminator_losses(stack, stack.level_configs(), batch, fakes)
    per_level = {"loss_d_adv", "loss_q", "loss_d"}
    assert terms.keys() == {f"level{i}/{name}" for i in (0, 1) for name in per_level}


@pytest.mark.parametrize("g_objective", ["non_saturating", "saturating"])
def test_gs_terms_and_their_weights(g_objective: str, make_stack, make_batch) -> None:
    weights = {"lambda_adv": 0.5, "lambda_cond": 2.0, "lambda_ent": 7.0}
    stack = make_stack(g_objective=g_objective, **weights)
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    terms = step.generator_losses(stack, stack.level_configs(), fakes)
    for i in (0, 1):
        logits, z = stack.level(i).discriminator(fakes[i].h)
        s = logits.squeeze(1)
        adv = -F.softplus(s).mean() if g_objective == "saturating" else F.softplus(-s).mean()
        recovered = stack.encoder.blocks[i](fakes[i].h)
        if i == 0:
            cond = (recovered - batch.hidden[1]).square().mean()
        else:
            cond = F.cross_entropy(recovered, batch.y)
        ent = (z - fakes[i].z).square().mean()
        for name, value in (("adv", adv), ("cond", cond), ("ent", ent)):
            torch.testing.assert_close(terms[f"level{i}/loss_g_{name}"], value)
        torch.testing.assert_close(terms[f"level{i}/loss_g"], 0.5 * adv + 2.0 * cond + 7.0 * ent)


def test_mse_on_labels_compares_probabilities_with_the_one_hot_vector(
    make_stack, make_batch
) -> None:
    stack = make_stack(cond_loss="mse", active=[1])
    batch = make_batch(stack)
    fakes = step.generate(stack, batch, joint=False)
    terms = step.generator_losses(stack, stack.level_configs(), fakes)
    p = stack.encoder.blocks[1](fakes[1].h).softmax(1)
    expected = (p - torch.eye(10)[batch.y]).square().mean()
    torch.testing.assert_close(terms["level1/loss_g_cond"], expected)


def test_augmentation_moves_what_d_sees_and_not_what_e_sees(make_stack, make_batch) -> None:
    plain, moved = make_stack(active=[0]), make_stack(active=[0], augment_pixels=8)
    batch = make_batch(plain)
    seen: dict[str, Tensor] = {}
    moved.level(0).discriminator.register_forward_hook(lambda m, i, o: seen.update(d=i[0]))
    moved.encoder.blocks[0].register_forward_hook(lambda m, i, o: seen.update(e=i[0]))
    fakes = step.generate(moved, batch, joint=False)
    step.generator_losses(moved, moved.level_configs(), fakes)
    assert seen["e"] is fakes[0].h
    assert seen["d"].shape == fakes[0].h.shape and not torch.equal(seen["d"], fakes[0].h)
