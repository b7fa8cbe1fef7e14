"""Which net a file of the authors holds, and what comes of several of them."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from sgan import authors, lasagne, weights
from sgan.config import ConfigError, EncoderConfig, StackConfig
from sgan.lasagne import LasagneError, discriminator_slots, encoder_slots, generator_slots
from sgan.stack import Stack


def source(architecture: str) -> Stack:
    """A stack of the authors' shapes, whose batch-norm statistics are not those of a fresh one."""
    torch.manual_seed(5)
    encoder = EncoderConfig(architecture=architecture)  # type: ignore[arg-type]
    config = StackConfig(lasagne.IMAGES[architecture], encoder, authors._LEVELS[architecture])
    stack = Stack(config)
    for tensor in stack.levels.parameters():
        tensor.data.add_(torch.randn_like(tensor) * 0.01)
    for name, tensor in stack.levels.named_buffers():
        if tensor.is_floating_point() and not name.endswith("offset"):
            tensor.add_(torch.rand_like(tensor))
    return stack


def as_lasagne(slots: list[lasagne.Slot]) -> list[np.ndarray]:
    """Our tensors in Lasagne's layout: the inverse of each slot's conversion, found by applying
    it to the positions themselves."""
    arrays = []
    for slot in slots:
        places = np.arange(slot.target.numel()).reshape(slot.shape)
        array = np.empty(slot.target.numel(), np.float32)
        array[np.ascontiguousarray(slot.convert(places)).ravel()] = slot.target.numpy().ravel()
        arrays.append(array.reshape(slot.shape))
    return arrays


@pytest.fixture(scope="module", params=["mnist", "cifar10"])
def written(
    request, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Stack, dict[str, Path]]:
    """(architecture, the source, its files by what they hold)."""
    stack, folder = source(request.param), tmp_path_factory.mktemp(request.param)
    slots = {"E": encoder_slots(stack.encoder)}
    with torch.no_grad():
        for i in (0, 1):
            slots[f"G_{i}"] = generator_slots(stack.level(i))
            slots[f"D_{i}"] = discriminator_slots(stack.level(i), with_q=False)
            slots[f"D_{i} Q_{i}"] = discriminator_slots(stack.level(i), with_q=True)
        slots["G_1 G_0"] = slots["G_1"] + slots["G_0"]
        files = {}
        for name, part in slots.items():
            for slot in part:
                slot.target.requires_grad_(False)
            files[name] = folder / f"{name}.npz"
            np.savez(files[name], *as_lasagne(part))
    return request.param, stack.eval(), files


@pytest.fixture
def published(written) -> tuple[str, Stack, dict[str, Path]]:
    """The same, with a source of its own: a test may change it."""
    architecture, stack, files = written
    return architecture, copy.deepcopy(stack), files


def test_each_file_is_told_by_its_shapes(published, tmp_path: Path) -> None:
    architecture, _, files = published
    for name, path in files.items():
        written = authors.convert([path], tmp_path / "out.safetensors", architecture)
        assert written.held == tuple(name.split()), name
        assert written.kind == ("encoder" if name == "E" else "levels")


@pytest.mark.parametrize("generators", [["G_1 G_0"], ["G_0", "G_1"]])
def test_e_and_both_generators_are_a_stack_that_samples_alike(
    published, tmp_path: Path, generators: list[str]
) -> None:
    architecture, stack, files = published
    mean = np.full(stack.config.image.shape, 0.25, np.float32)
    stack.encoder.mean_image.copy_(torch.from_numpy(mean))
    stack.level(0).offset.copy_(stack.encoder.mean_image)
    out = tmp_path / "stack.safetensors"
    chosen = [files[name] for name in (*generators, "E", "D_1")]
    written = authors.convert(chosen, out, architecture, mean)
    assert written.kind == "stack" and set(written.fresh) == {"D_0", "Q_1", "Q_0"}
    again = weights.load_stack(out)
    y = torch.arange(6) % 10
    z = {i: torch.rand(6, stack.config.levels[i].z_dim) for i in (0, 1)}
    for ours, theirs in zip(again.sample_hidden(y, z), stack.sample_hidden(y, z), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    h1 = torch.rand(3, 256)
    for ours, theirs in zip(
        again.level(1).discriminator(h1)[:1], stack.level(1).discriminator(h1)[:1], strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_levels_without_e_load_into_a_stack(published, tmp_path: Path) -> None:
    architecture, stack, files = published
    out = tmp_path / "level0.safetensors"
    written = authors.convert([files["G_0"], files["D_0 Q_0"]], out, architecture)
    assert written.kind == "levels" and written.fresh == ()
    again = Stack(stack.config)
    weights.load_levels_into(again, out)
    for name, tensor in stack.level(0).state_dict().items():
        torch.testing.assert_close(again.level(0).state_dict()[name], tensor)
    assert weights.read_card(out, "levels")["files"] == ["G_0.npz", "D_0 Q_0.npz"]


def test_what_no_stack_can_be_made_of(published, tmp_path: Path) -> None:
    architecture, _, files = published
    out = tmp_path / "out.safetensors"
    with pytest.raises(LasagneError, match="hold E, G_0: a stack is E, G_1 and G_0"):
        authors.convert([files["E"], files["G_0"]], out, architecture)
    with pytest.raises(LasagneError, match=r"G_1\.npz: holds G_1, as .*G_1 G_0\.npz does"):
        authors.convert([files["G_1 G_0"], files["G_1"]], out, architecture)
    assert not out.exists()


def test_a_file_of_the_other_architecture_is_refused_by_its_nearest_net(
    published, tmp_path: Path
) -> None:
    architecture, _, files = published
    other = {"mnist": "cifar10", "cifar10": "mnist"}[architecture]
    for name in ("E", "G_0"):
        expected = "encoder" if name == "E" else name
        with pytest.raises(LasagneError, match=f"not the authors' {expected}: .* do not fit"):
            authors.convert([files[name]], tmp_path / "out.safetensors", other)


def test_only_what_the_authors_published(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'svhn': must be one of \['mnist', 'cifar10'\]"):
        authors.convert([tmp_path / "e.npz"], tmp_path / "o.safetensors", "svhn")
