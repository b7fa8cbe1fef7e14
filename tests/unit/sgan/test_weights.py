"""Weights files: what goes in comes out, and what does not fit is refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sgan import weights
from sgan.config import stack_config_from_dict
from sgan.stack import Stack
from sgan.weights import WeightsError


def equal_states(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_an_encoder_comes_back_frozen_with_its_mean_image(make_stack, tmp_path: Path) -> None:
    encoder = make_stack("cifar10").encoder
    encoder.mean_image.fill_(0.3)
    path = tmp_path / "deep" / "encoder.safetensors"
    weights.save_encoder(path, encoder, {"accuracy": 0.9})
    again = weights.load_encoder(path)
    assert equal_states(encoder, again)
    assert again.config == encoder.config and again.image == encoder.image
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    assert weights.read_card(path)["accuracy"] == 0.9


def test_a_stack_comes_back_whole_and_samples_alike(make_stack, tmp_path: Path) -> None:
    stack = make_stack("mnist", ("conv2", "fc"), spectral_norm=True)
    path = tmp_path / "stack.safetensors"
    weights.save_stack(path, stack, {})
    again = weights.load_stack(path)
    assert again.config == stack.config and not again.levels.training
    assert equal_states(stack, again)
    y = torch.arange(3)
    hidden = [
        s.eval().sample_hidden(y, generator=torch.Generator().manual_seed(0))
        for s in (stack, again)
    ]
    for mine, theirs in zip(*hidden, strict=True):
        assert torch.equal(mine, theirs)


def test_channels_last_weights_are_saved_in_their_own_order(make_stack, tmp_path: Path) -> None:
    stack = make_stack(active=[0])
    plain = {k: v.clone() for k, v in stack.state_dict().items()}
    weights.save_stack(tmp_path / "s", stack.to(memory_format=torch.channels_last), {})
    for name, value in load_file(tmp_path / "s").items():
        assert torch.equal(value, plain[name]), name


def test_levels_trained_apart_join_in_one_stack(make_stack, tmp_path: Path) -> None:
    joined = make_stack(seed=9)
    for i in (0, 1):
        part = make_stack(active=[i], seed=i)
        weights.save_levels(tmp_path / f"{i}", part, {"images": 60})
        weights.load_levels_into(joined, tmp_path / f"{i}")
        assert equal_states(part.level(i), joined.level(i))
    card = weights.read_card(tmp_path / "1", "levels")
    assert card["active"] == [1] and card["images"] == 60


def test_levels_of_other_shapes_are_refused(make_stack, tmp_path: Path) -> None:
    weights.save_levels(tmp_path / "w", make_stack(active=[1], z_dim=6), {})
    with pytest.raises(
        WeightsError, match=r"(?s)w: level 1 does not fit this stack: .*size mismatch"
    ):
        weights.load_levels_into(make_stack(), tmp_path / "w")


def test_levels_that_the_stack_lacks_are_refused(make_stack, tmp_path: Path) -> None:
    weights.save_levels(tmp_path / "w", make_stack(active=[1]), {})
    with pytest.raises(WeightsError, match="level 1 does not fit"):
        weights.load_levels_into(make_stack(active=[0]), tmp_path / "w")


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x08\0\0\0\0\0\0\0{}"])
def test_files_that_are_not_weights(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.safetensors: "):
        weights.load_encoder(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no such weights file; train first"):
        weights.load_stack(tmp_path / "none.safetensors")


def test_a_file_of_another_kind(make_stack, tmp_path: Path) -> None:
    weights.save_encoder(tmp_path / "e", make_stack().encoder, {})
    with pytest.raises(WeightsError, match="holds 'encoder' weights; 'stack' are needed here"):
        weights.load_stack(tmp_path / "e")


def test_a_truncated_file(make_stack, tmp_path: Path) -> None:
    path = tmp_path / "e"
    weights.save_encoder(path, make_stack().encoder, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        weights.load_encoder(path)


def test_a_failed_save_leaves_the_old_file_and_no_litter(make_stack, tmp_path: Path) -> None:
    path = tmp_path / "e"
    encoder = make_stack().encoder
    weights.save_encoder(path, encoder, {})
    old = path.read_bytes()
    with pytest.raises(TypeError):
        weights.save_encoder(path, encoder, {"not json": object()})
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["e"]


def test_the_card_rebuilds_a_partial_stacks_nets(make_stack, tmp_path: Path) -> None:
    part = make_stack("mnist", ("conv2", "fc"), active=[1])
    weights.save_levels(tmp_path / "w", part, {})
    card = weights.read_card(tmp_path / "w")
    rebuilt = Stack(stack_config_from_dict(card["config"]), card["active"])
    weights.load_levels_into(rebuilt, tmp_path / "w")
    assert equal_states(part.levels, rebuilt.levels)
