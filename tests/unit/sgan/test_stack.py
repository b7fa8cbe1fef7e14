"""Sampling from the top down, fixed noise, reconstructions, partial stacks."""

import pytest
import torch

from sgan.stack import Stack

Y = torch.tensor([0, 1, 2, 3])


def contrasted(stack: Stack) -> Stack:
    """In eval mode, G_0's last layer so strong that images differ by far more than a grey step."""
    with torch.no_grad():
        stack.level(0).generator.body[-2].weight.mul_(2000)
    return stack.eval()


def test_samples_have_the_shapes_of_every_h(make_stack) -> None:
    stack = make_stack("mnist", ("conv2", "fc")).eval()
    hidden = stack.sample_hidden(Y)
    assert [tuple(h.shape) for h in hidden] == [
        (4, 1, 28, 28),
        (4, 32, 4, 4),
        (4, 256),
        (4,),
    ]
    assert hidden[-1] is Y
    assert not any(h.requires_grad for h in hidden)


def test_each_h_is_generated_from_the_one_above(make_stack) -> None:
    stack = make_stack("mnist", ("conv2", "fc")).eval()
    z = {i: stack.level(i).draw_z(4) for i in range(3)}
    hidden = stack.sample_hidden(Y, z)
    with torch.no_grad():
        for i in range(3):
            assert torch.equal(hidden[i], stack.level(i).generate(hidden[i + 1], z[i]))


def test_a_generator_fixes_the_samples(make_stack) -> None:
    stack = contrasted(make_stack())
    first, again, other = (
        stack.sample_uint8(Y, generator=torch.Generator().manual_seed(s)) for s in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert (first.int() - other.int()).abs().max() > 20
    assert first.shape == other.shape == (4, 28, 28, 1) and first.dtype == torch.uint8


def test_sampling_does_not_touch_the_global_generator_when_it_has_its_own(make_stack) -> None:
    stack = make_stack().eval()
    before = torch.random.get_rng_state()
    stack.sample_uint8(Y, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_fixed_noise_holds_its_level_and_frees_the_others(make_stack) -> None:
    stack = make_stack().eval()
    z1 = stack.level(1).draw_z(4)
    first, second = stack.sample_hidden(Y, {1: z1}), stack.sample_hidden(Y, {1: z1})
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], second[0])


def test_all_noise_fixed_leaves_nothing_to_chance(make_stack) -> None:
    stack = contrasted(make_stack())
    z = {i: stack.level(i).draw_z(4) for i in (0, 1)}
    assert torch.equal(stack.sample_uint8(Y, z), stack.sample_uint8(Y, z))


def test_batches_of_fixed_noise_are_cut_with_their_labels(make_stack) -> None:
    """500 at a time or 3 at a time: the same images in eval mode."""
    stack = contrasted(make_stack())
    y = torch.arange(7)
    z = {i: stack.level(i).draw_z(7) for i in (0, 1)}
    whole = stack.sample_uint8(y, z)
    parts = stack.sample_uint8(y, z, batch_size=3)
    assert whole.shape == (7, 28, 28, 1)
    assert (whole.int() - parts.int()).abs().max() <= 1 < (whole[0] - whole[3]).int().abs().max()
    assert torch.equal(
        whole, stack.encoder.to_pixels(stack.sample_hidden(y, z)[0]).permute(0, 2, 3, 1)
    )


def test_noise_is_uniform_on_the_unit_interval(make_stack) -> None:
    torch.manual_seed(0)
    z = make_stack().level(0).draw_z(4000)
    assert z.shape == (4000, 5)
    assert z.min() >= 0 and z.max() < 1
    assert z.mean().item() == pytest.approx(0.5, abs=0.01)
    assert z.var().item() == pytest.approx(1 / 12, abs=0.002)


def test_decode_starts_from_a_given_h(make_stack, make_batch) -> None:
    stack = make_stack("mnist", ("conv2", "fc")).eval()
    batch = make_batch(stack, 4)
    z = {i: stack.level(i).draw_z(4) for i in (0, 1)}
    from_2 = stack.decode(batch.hidden[2], 2, z)
    with torch.no_grad():
        h1 = stack.level(1).generate(batch.hidden[2], z[1])
        assert torch.equal(from_2, stack.level(0).generate(h1, z[0]))
        assert torch.equal(stack.decode(h1, 1, z), from_2)


def test_decode_draws_the_noise_it_is_not_given(make_stack, make_batch) -> None:
    stack = make_stack().eval()
    h1 = make_batch(stack, 4).hidden[1]
    drawn = [stack.decode(h1, 1, None, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_partial_stack_holds_its_levels_only(make_config) -> None:
    config = make_config("mnist", ("conv2", "fc"))
    stack = Stack(config, [1])
    assert stack.active == (1,) and stack.num_levels == 3
    assert set(stack.level_configs()) == {1}
    assert stack.level(1).index == 1 and not stack.level(1).is_top
    with pytest.raises(KeyError):
        stack.level(0)


def test_a_partial_stacks_state_fits_the_whole_one(make_stack) -> None:
    whole = make_stack(seed=1)
    part = make_stack(active=[1], seed=2)
    whole.levels.load_state_dict(part.levels.state_dict(), strict=False)
    for name, value in part.level(1).state_dict().items():
        assert torch.equal(whole.level(1).state_dict()[name], value)


def test_train_never_reaches_the_encoder(make_stack) -> None:
    stack = make_stack("pyramid")
    stack.train()
    assert stack.levels.training and not stack.encoder.training
    assert not any(m.training for m in stack.encoder.modules())
    stack.eval()
    assert not stack.levels.training
    assert not any(p.requires_grad for p in stack.encoder.parameters())


def test_set_encoder_hands_level_0_the_mean_image(make_stack) -> None:
    source = make_stack("cifar10").encoder
    source.mean_image.fill_(0.4)
    stack = make_stack("cifar10", seed=3)
    assert stack.set_encoder(source.state_dict()) is stack
    assert torch.equal(stack.level(0).offset, torch.full((3, 32, 32), 0.4))
    for mine, theirs in zip(stack.encoder.parameters(), source.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert not any(p.requires_grad for p in stack.encoder.parameters())
    above = make_stack("cifar10", active=[1]).set_encoder(source.state_dict())
    assert above.level(1).offset.item() == 0.0


def test_centred_samples_come_back_as_pixels(make_stack) -> None:
    """With a mean image, ĥ_0 = sigmoid - mean; pixels are 255 times the sigmoid again."""
    stack = make_stack("cifar10")
    state = stack.encoder.state_dict()
    state["mean_image"] = torch.full((3, 32, 32), 0.6)
    stack.set_encoder(state).eval()
    z = {i: stack.level(i).draw_z(4) for i in (0, 1)}
    h0 = stack.sample_hidden(Y, z)[0]
    assert h0.min() < 0
    expected = ((h0 + 0.6) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(stack.sample_uint8(Y, z), expected)
