"""The key of a trained part: what changes it, and what must not."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from pipeline.parts.part import Identity, Part, Placement, code_version
from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig, to_dict

STACK = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (LevelConfig(), LevelConfig()))
INPUTS = {"data": "d", "encoder": "e", "features": "f"}


def with_level(index: int, **changes: Any) -> StackConfig:
    """The stack with one level's settings changed."""
    levels = list(STACK.levels)
    levels[index] = replace(levels[index], **changes)
    return replace(STACK, levels=tuple(levels))


def level(index: int = 0, config: StackConfig = STACK, inputs: dict[str, str] = INPUTS) -> Identity:
    return Identity.of_level(config, index, inputs)


def joint(config: StackConfig = STACK, **changes: Any) -> Identity:
    return Identity.of_joint(config, JointConfig(**changes), {**INPUTS, "level0": "0"})


def test_where_and_on_how_much_it_runs_is_not_in_the_key() -> None:
    part = Part(level(), Placement({"data": "/data"}, ".runs"))
    moved = part.placed(
        inputs={"data": "/elsewhere"},
        storage="s3://bucket/runs",
        cpus=7.0,
        gpus=0.5,
        device="cuda",
        checkpoint_seconds=1.0,
        resident_bytes=0,
    )
    assert moved.placement.cpus == 7.0
    assert moved.key == part.key == level().key


def test_another_levels_settings_are_not_in_a_levels_key() -> None:
    other = with_level(1, lambda_ent=5.0)
    assert level(0, other).key == level(0).key
    assert level(0, other) == level(0)  # nor anywhere in what a worker is handed
    assert level(1, other).key != level(1).key
    assert joint(other).key != joint().key


def test_how_the_encoder_was_trained_is_in_no_levels_key_but_its_nets_are() -> None:
    longer = replace(STACK, encoder=replace(STACK.encoder, total_images=1))
    assert level(config=longer).key == level().key
    assert joint(longer).key == joint().key
    assert Identity.of_encoder(longer, INPUTS).key != Identity.of_encoder(STACK, INPUTS).key
    pyramid = replace(STACK, encoder=EncoderConfig("pyramid"))
    wider = replace(STACK, encoder=EncoderConfig("pyramid", width=64))
    assert len({level(config=one).key for one in (STACK, pyramid, wider)}) == 3


def test_a_width_that_shapes_no_net_is_in_no_key() -> None:
    wider = replace(STACK, encoder=replace(STACK.encoder, width=64))
    assert level(config=wider).key == level().key
    assert Identity.of_encoder(wider, INPUTS).key == Identity.of_encoder(STACK, INPUTS).key


@pytest.mark.parametrize(
    "changed",
    [
        level(config=with_level(0, lr_g=0.5)),
        level(config=with_level(0, seed=2)),
        level(config=with_level(0, total_images=5)),
        level(inputs={**INPUTS, "encoder": "other"}),
        level(inputs={**INPUTS, "data": "other"}),
        level(inputs={**INPUTS, "features": "other"}),
        level(config=replace(STACK, image=replace(STACK.image, num_classes=11))),
        level(1),
    ],
)
def test_what_decides_the_result_is_in_the_key(changed: Identity) -> None:
    assert changed.key != level().key


@pytest.mark.parametrize(
    "changes", [{"precision": "bfloat16"}, {"g_steps": ((0.0, 2),)}, {"reuse_fakes": True}]
)
def test_joints_own_steps_are_in_its_key(changes: dict[str, Any]) -> None:
    assert joint(**changes).key != joint().key


def of_workers(kind: str, **changes: Any) -> Identity:
    """A part of a kind whose own settings are changed."""
    if kind == "encoder":
        changed = replace(STACK, encoder=replace(STACK.encoder, **changes))
        return Identity.of_encoder(changed, INPUTS)
    return joint(**changes) if kind == "joint" else level(config=with_level(0, **changes))


@pytest.mark.parametrize("kind", ["encoder", "level", "joint"])
def test_workers_are_in_the_key_and_what_batch_norm_does_across_several(kind: str) -> None:
    alone = of_workers(kind, batch_norm="synchronised")
    two = of_workers(kind, workers=2)
    assert alone == of_workers(kind, batch_norm="per_rank")
    assert (alone.workers, two.workers) == (1, 2)
    synchronised = of_workers(kind, workers=2, batch_norm="synchronised")
    assert len({alone.key, two.key, synchronised.key}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": 2},
        {"total_images": 5},
        {"batch_size": 50},
        {"lr_schedule": "linear"},
        {"seed": 2},
        {"d_init": "he"},
    ],
)
def test_how_a_level_was_trained_alone_is_not_in_joints_key(changes: dict[str, Any]) -> None:
    for index in (0, 1):
        assert joint(with_level(index, **changes)) == joint()
        assert joint(with_level(index, lambda_ent=5.0)).key != joint().key
    assert joint(with_level(0, lr_g=0.5), lr_g=0.1).key == joint(lr_g=0.1).key
    assert joint(with_level(1, precision="bfloat16")).key == joint().key  # level 0's counts


def test_joint_training_from_scratch_is_not_keyed_by_the_levels_weights() -> None:
    settings = JointConfig(init="scratch")
    first, other = (
        Identity.of_joint(STACK, settings, {**INPUTS, "level0": sha}) for sha in ("0", "1")
    )
    assert first == other
    stacked = JointConfig(init="scratch", enabled=False)  # trains nothing: the levels as they are
    first, other = (
        Identity.of_joint(STACK, stacked, {**INPUTS, "level0": sha}) for sha in ("0", "1")
    )
    assert first.key != other.key
    he = joint(with_level(0, d_init="he"), init="scratch")
    assert he.key != joint(init="scratch").key


def test_a_key_is_of_the_settings_that_the_training_uses() -> None:
    """They were two copies once, of which one was hashed and the other trained."""
    changed = with_level(0, lr_g=0.5)
    assert level(config=changed).settings == level(config=changed).config.levels[0]
    assert level(config=changed).settings == changed.levels[0]
    assert joint(precision="float32").settings.precision == "float32"
    assert Identity.of_encoder(STACK, INPUTS).settings == STACK.encoder


def test_names_follow_from_what_a_part_is() -> None:
    encoder = Identity.of_encoder(STACK, INPUTS)
    assert [one.name for one in (encoder, level(1), joint())] == ["encoder", "level1", "joint"]
    assert [one.section for one in (encoder, level(1), joint())] == ["encoder", "levels.1", "joint"]
    part = Part(level(), Placement({}, ".runs"))
    assert len(part.key) == 20
    assert set(part.key) <= set("0123456789abcdef")
    assert part.folder == f"level0/{part.key}"
    assert level().total_images == STACK.levels[0].total_images


def test_a_part_travels_and_keeps_its_key() -> None:
    part = Part(level(), Placement({"data": "/data"}, ".runs"))
    again = pickle.loads(pickle.dumps(part))
    assert again == part
    assert again.key == part.key
    assert to_dict(again.identity.config) == to_dict(part.identity.config)


def test_each_kind_has_its_own_code_version_and_each_family_of_nets() -> None:
    versions = {
        code_version(kind, architecture)
        for kind in ("encoder", "level", "joint")
        for architecture in ("mnist", "cifar10", "pyramid")
    }
    assert len(versions) == 9
    assert code_version("level", "svhn") == code_version("level", "cifar10")  # one module
