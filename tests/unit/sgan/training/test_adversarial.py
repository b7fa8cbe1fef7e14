"""The GAN task: what a step changes, resuming bit for bit, failing before it steps, averages."""

import copy
import dataclasses
import io

import pytest
import torch
from torch import Tensor, nn

from sgan.training import step
from sgan.training.adversarial import AdversarialTask
from sgan.training.seeds import mix
from sgan.training.terms import NonFiniteLoss

CUTS = {1: (), 2: ("fc",), 3: ("conv2", "fc"), 4: ("conv1", "conv2", "fc")}


def snapshot(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def changed(net: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """Names of parameters that differ from the snapshot."""
    return {n for n, p in net.named_parameters() if not torch.equal(p, before[n])}


def assert_equal_states(first: object, second: object, path: str = "state") -> None:
    assert type(first) is type(second), path
    if isinstance(first, Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_equal_states(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_equal_states(a, b, f"{path}[{i}]")
    else:
        assert first == second, path


def count_steps(task: AdversarialTask) -> list[str]:
    """A list that grows by an optimizer's name whenever it steps."""
    order: list[str] = []
    for name, optimizer in task.optimizers.items():
        optimizer.register_step_post_hook(lambda *a, name=name: order.append(name))
    return order


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("joint", [False, True], ids=["independent", "joint"])
def test_one_step_changes_every_g_and_d_and_nothing_of_e(levels, joint, make_task) -> None:
    task, batches = make_task("mnist", CUTS[levels], joint=joint, lower_weight=0.01)
    stack = task.stack
    assert stack.num_levels == levels
    encoder, nets = snapshot(stack.encoder), snapshot(stack.levels)
    terms = task.step(0, batches(0))
    assert_equal_states(snapshot(stack.encoder), encoder)
    assert changed(stack.levels, nets) == {n for n, _ in stack.levels.named_parameters()}
    names = ("loss_d", "loss_d_adv", "loss_q", "loss_g", "loss_g_adv", "loss_g_cond", "loss_g_ent")
    assert terms.keys() == {f"level{i}/{n}" for i in range(levels) for n in names}
    assert all(v.dim() == 0 and torch.isfinite(v) and not v.requires_grad for v in terms.values())


@pytest.mark.parametrize("joint", [False, True], ids=["independent", "joint"])
def test_d_steps_first_then_g_and_each_moves_only_itself(joint: bool, make_task) -> None:
    task, batches = make_task("mnist", CUTS[3], joint=joint, lower_weight=0.01)
    levels = [task.stack.level(i) for i in range(3)]
    last = [(snapshot(level.generator), snapshot(level.discriminator)) for level in levels]
    moved: list[tuple[str, set[str]]] = []

    def look(name: str) -> None:
        now: set[str] = set()
        for i, level in enumerate(levels):
            for role, net, before in zip(
                "gd", (level.generator, level.discriminator), last[i], strict=True
            ):
                if changed(net, before):
                    now.add(f"level{i}/{role}")
            last[i] = (snapshot(level.generator), snapshot(level.discriminator))
        moved.append((name, now))

    for name, optimizer in task.optimizers.items():
        optimizer.register_step_post_hook(lambda *a, name=name: look(name))
    task.step(0, batches(0))
    names = [f"level{i}/{role}" for role in "dg" for i in range(3)]
    assert moved == [(name, {name}) for name in names]


def test_a_level_alone_needs_only_its_own_features_and_its_condition(make_task) -> None:
    cut = CUTS[4]
    for active, needed in (([0], (0, 1)), ([1], (1, 2)), ([2], (2, 3)), ([3], (3,))):
        task, batches = make_task("mnist", cut, active=active)
        assert task.hidden_needed == needed
        assert set(batches.columns) == set(needed)
        task.step(0, batches(0))
    joint, _ = make_task("mnist", cut, joint=True)
    assert joint.hidden_needed == (0, 1, 2, 3)


def test_training_a_level_alone_equals_training_it_beside_others(make_task) -> None:
    """Independent levels do not touch each other: level 1's losses on the same noise agree."""
    alone, batches = make_task(active=[1], seed=1)
    both, both_batches = make_task(seed=1)
    both.stack.level(1).load_state_dict(alone.stack.level(1).state_dict())
    torch.manual_seed(0)
    batch = batches(0)
    fake = step.generate(alone.stack, batch, joint=False)
    both_fakes = step.generate(both.stack, both_batches(0), joint=False)
    both_fakes[1] = fake[1]
    first = step.generator_losses(alone.stack, alone.settings, fake)
    second = step.generator_losses(both.stack, both.settings, both_fakes)
    for key, value in first.items():
        assert torch.equal(second[key], value)


AUTHORS_STEPS = ((0.69, 1), (0.6, 2), (0.0, 3))
TASKS = {
    "level 0 alone, averaged": {"active": [0], "ema_half_life_images": 30, "width": 0.5},
    "level 1 alone, adaptive": {"active": [1], "g_steps": AUTHORS_STEPS, "lr_d": 3e-3},
    "two levels jointly": {
        "joint": True,
        "lower_weight": 0.01,
        "ema_half_life_images": 30,
        "width": 0.5,
    },
    "three levels jointly, adaptive": {
        "cut": CUTS[3],
        "joint": True,
        "lower_weight": 0.01,
        "g_steps": AUTHORS_STEPS,
        "lr_d": 3e-3,
        "ema_half_life_images": 30,
    },
    "cifar10 level 1, all the trimmings": {
        "architecture": "cifar10",
        "active": [1],
        "d_objective": "class_logits",
        "instance_noise": 0.2,
        "dropout": 0.3,
        "spectral_norm": True,
        "r1_gamma": 0.1,
        "reuse_fakes": True,
        "lr_schedule": "cosine",
    },
}


@pytest.mark.parametrize("name", TASKS)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(name: str, make_task) -> None:
    whole, batches = make_task(**TASKS[name])
    losses = [whole.step(i, batches(i)) for i in range(6)]

    first, batches = make_task(**TASKS[name])
    for i in range(3):
        first.step(i, batches(i))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)

    resumed, batches = make_task(**TASKS[name], seed=99)  # other weights, to be overwritten
    torch.rand(17)  # whatever the interruption drew
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for i in range(3, 6):
        assert_equal_states(resumed.step(i, batches(i)), losses[i])
    assert_equal_states(resumed.state_dict(), whole.state_dict())


def test_losses_differ_between_steps_and_seeds(make_task) -> None:
    """Or the test above would compare constants."""
    task, batches = make_task(active=[1])
    values = [task.step(0, batches(0))["level1/loss_g"].item()]
    values.append(task.step(1, batches(0))["level1/loss_g"].item())
    other, batches = make_task(active=[1], seed=1)
    values.append(other.step(0, batches(0))["level1/loss_g"].item())
    assert len(set(values)) == 3


@pytest.mark.parametrize(
    ("pairs", "steps"), [(((0.0, 1),), 1), (((0.6, 2), (0.0, 5)), 2), (((9.0, 2), (0.0, 4)), 4)]
)
def test_as_many_g_steps_as_ds_loss_asks_for(pairs, steps, make_task) -> None:
    """An untrained D's halved loss is log 2 = 0.69."""
    task, batches = make_task(g_steps=pairs)
    order = count_steps(task)
    terms = task.step(0, batches(0))
    assert terms["level0/loss_d_adv"].item() == pytest.approx(0.693, abs=0.01)
    assert order == ["level0/d", "level1/d"] + ["level0/g", "level1/g"] * steps


@pytest.mark.parametrize(("halve", "loss"), [(True, 0.693), (False, 1.386)])
def test_thresholds_are_of_the_mean_of_ds_two_terms(halve, loss, make_task) -> None:
    """The authors' thresholds mean the same D, whether its loss is halved as theirs is or not."""
    task, batches = make_task(active=[1], g_steps=((1.0, 1), (0.6, 2), (0.0, 3)), halve_d=halve)
    order = count_steps(task)
    terms = task.step(0, batches(0))
    assert terms["level1/loss_d_adv"].item() == pytest.approx(loss, abs=0.02)
    assert order == ["level1/d"] + ["level1/g"] * 2


def test_the_lowest_active_level_steers(make_task) -> None:
    """In joint training D_0's loss sets the G steps of every level (authors' CIFAR-10 code)."""
    task, batches = make_task(joint=True, g_steps=((0.6, 1), (0.0, 3)))
    with torch.no_grad():  # a confident, wrong D_1: its loss is far above any threshold
        task.stack.level(1).discriminator.adversarial.bias.fill_(20.0)
        task.stack.level(0).discriminator.adversarial.bias.fill_(0.0)
    order = count_steps(task)
    terms = task.step(0, batches(0))
    assert terms["level1/loss_d_adv"] > 5 > 0.75 > terms["level0/loss_d_adv"]
    assert order.count("level0/g") == order.count("level1/g") == 1
    task.g_steps = ((1.0, 1), (0.0, 3))
    task.step(1, batches(1))
    assert order.count("level0/g") == order.count("level1/g") == 4


@pytest.mark.parametrize(("reuse", "generations"), [(True, 3), (False, 4)])
def test_the_first_g_step_draws_new_noise_unless_told_to_reuse(
    reuse, generations, make_task
) -> None:
    task, batches = make_task(active=[1], g_steps=((0.0, 3),), reuse_fakes=reuse)
    calls: list[Tensor] = []
    task.stack.level(1).generator.register_forward_hook(lambda m, i, o: calls.append(i[1]))
    task.step(0, batches(0))
    assert len(calls) == generations
    assert len({tuple(z.flatten().tolist()) for z in calls}) == generations


def test_g_follows_the_gradient_on_ds_own_fakes_when_it_reuses_them(make_task) -> None:
    """G's first Adam step moves each weight by lr against its gradient's sign: checked by hand."""
    task, batches = make_task(active=[1], reuse_fakes=True, lr_g=1e-3)
    before = copy.deepcopy(task.stack)
    task.step(0, batches(0))

    torch.manual_seed(mix(task.seed, 0, 0))
    fakes = step.generate(before, batches(0), joint=False)
    before.level(1).discriminator = task.stack.level(1).discriminator  # D had stepped already
    step.generator_losses(before, task.settings, fakes)["level1/loss_g"].backward()
    old, new = before.level(1).generator, task.stack.level(1).generator
    for p, q in zip(old.parameters(), new.parameters(), strict=True):
        clear = p.grad.abs() > 1e-5
        assert clear.any()
        moved = (q - p).detach()[clear]
        torch.testing.assert_close(moved, -1e-3 * p.grad.sign()[clear], rtol=2e-3, atol=1e-6)


def test_learning_rates_follow_the_schedule_of_images_seen(make_task) -> None:
    task, batches = make_task(active=[1], lr_schedule="linear", lr_g=1e-3, lr_d=4e-4)
    assert task.total_images == 60 and task.batch_size == 6
    for index, factor in ((0, 1.0), (5, 0.5), (9, 0.1)):
        task.step(index, batches(index))
        for role, lr in (("g", 1e-3), ("d", 4e-4)):
            (group,) = task.optimizers[f"level1/{role}"].param_groups
            assert group["lr"] == pytest.approx(lr * factor)
            assert group["betas"] == (0.5, 0.999)


def test_a_non_finite_d_loss_stops_before_anything_is_stepped(make_task) -> None:
    task, batches = make_task(joint=True, lower_weight=0.01)
    order, before = count_steps(task), snapshot(task.stack.levels)
    batch = batches(0)
    batch.hidden[1][0, 0] = float("nan")
    with pytest.raises(NonFiniteLoss, match="level1/loss_d_adv is nan"):
        task.step(0, batch)
    assert order == []
    assert changed(task.stack.levels, before) == set()


def test_a_non_finite_g_loss_stops_before_g_is_stepped(make_task) -> None:
    task, batches = make_task(active=[0])
    batch = batches(0)
    task.settings[0] = dataclasses.replace(task.settings[0], lambda_cond=1e38)
    batch.hidden[1] *= 1e10
    order, before = count_steps(task), snapshot(task.stack.level(0).generator)
    with pytest.raises(NonFiniteLoss, match="level0/loss_g is inf"):
        task.step(0, batch)
    assert order == ["level0/d"]
    assert changed(task.stack.level(0).generator, before) == set()
    assert all(p.requires_grad for p in task.stack.level(0).discriminator.parameters())


def norms(net: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def test_finishing_puts_the_averages_in_place(make_task) -> None:
    task, batches = make_task(active=[1], ema_half_life_images=20, lr_g=1e-2)
    for i in range(4):
        task.step(i, batches(i))
    averages = {k: v.clone() for k, v in task.averages["1"].weights.items()}
    g = task.stack.level(1).generator
    assert changed(g, averages) == averages.keys()
    task.finish(batches)
    assert changed(g, averages) == set()


@pytest.mark.parametrize(("total_images", "taken"), [(60, 10), (6000, 100)])
def test_finishing_recomputes_batch_norm_for_the_averaged_weights(
    make_task, total_images: int, taken: int
) -> None:
    """The first norm's input is a linear map of [y, z]: its moments are known without G."""
    task, batches = make_task(
        active=[1], ema_half_life_images=20, lr_g=1e-2, total_images=total_images
    )
    for i in range(4):
        task.step(i, batches(i))
    g = task.stack.level(1).generator
    stale = norms(g)[0].running_mean.clone()
    inputs: list[Tensor] = []
    g.body[0].register_forward_hook(lambda m, i, o: inputs.append(o.detach()))
    task.finish(batches)
    assert len(inputs) == taken
    mean = torch.stack([x.mean(0) for x in inputs]).mean(0)
    variance = torch.stack([x.var(0) for x in inputs]).mean(0)
    torch.testing.assert_close(norms(g)[0].running_mean, mean)
    torch.testing.assert_close(norms(g)[0].running_var, variance)
    assert not torch.allclose(stale, mean, rtol=0.05)
    assert {m.momentum for m in norms(g)} == {0.1}


def test_finishing_without_averages_changes_nothing(make_task) -> None:
    task, batches = make_task(active=[1])
    task.step(0, batches(0))
    before = snapshot(task.stack.levels)
    task.finish(batches)
    assert_equal_states(snapshot(task.stack.levels), before)


def test_finishing_takes_the_encoders_share_out_of_batch_norm(make_task) -> None:
    """Without averages too: what G_0 is given then is ĥ_1 alone."""
    task, batches = make_task(joint=True)
    task.encoder_share = 0.5
    task.step(0, batches(0))
    before = snapshot(task.stack.levels)
    given: list[Tensor] = []
    made: list[Tensor] = []
    g_1, g_0 = (task.stack.level(i).generator for i in (1, 0))
    g_1.register_forward_hook(lambda m, i, o: made.append(o))
    g_0.register_forward_hook(lambda m, i, o: given.append(i[0]))
    task.finish(batches)
    assert len(given) == len(made) == 10
    assert all(torch.equal(h, cond) for h, cond in zip(made, given, strict=True))
    assert {int(m.num_batches_tracked) for g in (g_1, g_0) for m in norms(g)} == {10}
    assert changed(task.stack.levels, before) == set()


def test_finishing_is_reproducible(make_task) -> None:
    states = []
    for _ in range(2):
        task, batches = make_task(joint=True, ema_half_life_images=20)
        task.step(0, batches(0))
        torch.rand(len(states) + 1)
        task.finish(batches)
        states.append(snapshot(task.stack.levels))
    assert_equal_states(*states)


def test_bfloat16_trains_and_keeps_float32_weights(make_task) -> None:
    task, batches = make_task(joint=True, lower_weight=0.01, precision="bfloat16")
    before = snapshot(task.stack.levels)
    terms = task.step(0, batches(0))
    assert all(v.dtype == torch.float32 for v in terms.values())
    assert {p.dtype for p in task.stack.levels.parameters()} == {torch.float32}
    still = before.keys() - changed(task.stack.levels, before)
    # in bfloat16 an untrained D's real and fake halves may cancel to nothing in this one bias
    parameters = {n for n, _ in task.stack.levels.named_parameters()}
    assert still & parameters <= {f"{i}.discriminator.adversarial.bias" for i in (0, 1)}
    assert terms["level0/loss_d_adv"].item() == pytest.approx(0.693, abs=0.02)
