"""What settings are allowed, how the errors read, and the way to dicts and back."""

import dataclasses
import json

import pytest

from sgan.config import (
    ConfigError,
    EncoderConfig,
    ImageConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
    level_config_from_dict,
    stack_config_from_dict,
    to_dict,
)

MNIST = ImageConfig(1, 28, 28, 10)


def test_defaults_are_the_papers() -> None:
    level = LevelConfig()
    assert (level.lambda_adv, level.lambda_cond, level.lambda_ent) == (1.0, 1.0, 10.0)
    assert (level.lr_g, level.lr_d, level.beta1, level.beta2) == (1e-4, 1e-4, 0.5, 0.999)
    assert (level.batch_size, level.z_dim, level.g_steps) == (100, 50, ((0.0, 1),))
    assert level.total_images == 200 * 60_000
    assert (level.ema_half_life_images, level.spectral_norm, level.r1_gamma) == (0, False, 0.0)
    assert (level.d_init, level.z_gain) == ("normal", 1.0)
    assert EncoderConfig().num_levels == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"z_dim": 0}, "z_dim"),
        ({"batch_size": 1}, "batch_size"),
        ({"total_images": 0}, "total_images"),
        ({"lambda_ent": -1.0}, "lambda_ent"),
        ({"lambda_adv": float("nan")}, "lambda_adv"),
        ({"lambda_cond": float("inf")}, "lambda_cond"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"lr_g": 0.0}, "lr_g"),
        ({"lr_d": 2.0}, "lr_d"),
        ({"beta1": 1.0}, "beta1"),
        ({"seed": -1}, "seed"),
        ({"z_gain": 0.0}, "z_gain"),
        ({"augment_pixels": 17}, "augment_pixels"),
        ({"g_steps": ()}, "g_steps"),
        ({"g_steps": ((0.5, 1),)}, "g_steps"),
        ({"g_steps": ((0.3, 5), (0.5, 3), (0.0, 7))}, "g_steps"),
        ({"g_steps": ((0.5, 0), (0.0, 1))}, "g_steps"),
        ({"g_steps": ((0.5, 1), (0.0, 101))}, "g_steps"),
    ],
)
def test_a_level_that_cannot_be_is_refused_by_field(changes: dict, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LevelConfig(**changes)
    assert caught.value.field_name == field
    assert f"{field} = {changes[field]!r}: must be " in str(caught.value)


def test_the_error_says_which_range_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"lr_g = 2.0: must be > 0 and <= 1$"):
        LevelConfig(lr_g=2.0)
    with pytest.raises(ConfigError, match=r"z_dim = 0: must be >= 1$"):
        LevelConfig(z_dim=0)


@pytest.mark.parametrize(
    "edge", [{"dropout": 0.0}, {"lr_g": 1.0}, {"beta1": 0.0}, {"lambda_cond": 0.0}, {"z_dim": 1}]
)
def test_the_edges_of_the_ranges_are_inside(edge: dict) -> None:
    assert dataclasses.asdict(LevelConfig(**edge)).items() >= edge.items()


@pytest.mark.parametrize("cut", [("fc", "conv2"), ("fc", "fc"), ("conv3",), ("nothing",)])
def test_a_cut_is_a_subset_in_order(cut: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"cut = .*subset, in order, of"):
        EncoderConfig(architecture="mnist", cut=cut)


@pytest.mark.parametrize(
    ("architecture", "cut", "levels"),
    [
        ("mnist", (), 1),
        ("mnist", ("fc",), 2),
        ("mnist", ("conv2", "fc"), 3),
        ("mnist", ("conv1", "conv2", "fc"), 4),
        ("pyramid", ("conv1", "conv2", "conv3", "fc"), 5),
    ],
)
def test_a_cut_of_n_minus_one_points_gives_n_levels(architecture, cut, levels) -> None:
    assert EncoderConfig(architecture=architecture, cut=cut).num_levels == levels


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        ("mnist", (3, 28, 28)),
        ("mnist", (1, 32, 32)),
        ("cifar10", (1, 32, 32)),
        ("svhn", (3, 64, 64)),
    ],
)
def test_fixed_architectures_send_other_images_to_the_pyramid(architecture, shape) -> None:
    with pytest.raises(ConfigError, match=r"architecture = .*'pyramid' for images of shape"):
        StackConfig(ImageConfig(*shape, 10), EncoderConfig(architecture=architecture))


@pytest.mark.parametrize("side", [24, 30, 132])
def test_the_pyramid_names_the_sides_it_takes(side: int) -> None:
    with pytest.raises(ConfigError, match="28 to 128 pixels a side, divisible by 4"):
        StackConfig(ImageConfig(3, side, side, 10), EncoderConfig(architecture="pyramid"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [((2, 28, 28, 10), "channels"), ((1, 28, 32, 10), "width"), ((1, 28, 28, 1), "num_classes")],
)
def test_images_that_cannot_be(arguments: tuple[int, ...], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ImageConfig(*arguments)
    assert caught.value.field_name == field


def test_the_number_of_levels_must_match_the_cut() -> None:
    with pytest.raises(ConfigError, match=r"levels = 1: must be 2 levels, for encoder.cut"):
        StackConfig(MNIST, EncoderConfig(), (LevelConfig(),))


def test_cross_entropy_is_for_the_top_level_only() -> None:
    cross = LevelConfig(cond_loss="cross_entropy")
    with pytest.raises(ConfigError, match=r"levels.0.cond_loss = 'cross_entropy'"):
        StackConfig(MNIST, EncoderConfig(), (cross, LevelConfig()))
    assert StackConfig(MNIST, EncoderConfig(), (LevelConfig(), cross)).levels[1] is cross
    assert StackConfig(MNIST, EncoderConfig(cut=()), (cross,)).levels[0] is cross


@pytest.mark.parametrize(
    "changes", [{"lower_weight": 1.5}, {"lr_g": 0.0}, {"dropout": 1.0}, {"batch_size": 1}]
)
def test_joint_settings_that_cannot_be(changes: dict) -> None:
    with pytest.raises(ConfigError) as caught:
        JointConfig(**changes)
    assert caught.value.field_name in changes


def test_workers_take_equal_shares_of_a_batch() -> None:
    assert LevelConfig(batch_size=6, workers=3).workers == 3
    assert EncoderConfig(batch_size=3, workers=3).workers == 3
    for cls, workers in ((LevelConfig, 6), (JointConfig, 4), (EncoderConfig, 5)):
        with pytest.raises(ConfigError, match=r"must be a divisor of batch_size \(6\)") as caught:
            cls(batch_size=6, workers=workers)
        assert caught.value.field_name == "workers"


def test_the_levels_workers_are_not_joints() -> None:
    level = LevelConfig(workers=4, batch_norm="synchronised")
    (alone,) = JointConfig().levels((level,))
    assert (alone.workers, alone.batch_norm) == (1, "per_rank")
    (two,) = JointConfig(workers=2, batch_norm="synchronised").levels((LevelConfig(),))
    assert (two.workers, two.batch_norm) == (2, "synchronised")


def test_joint_training_keeps_a_levels_own_settings_unless_it_names_them() -> None:
    level = LevelConfig(lr_g=3e-4, lr_d=2e-4, dropout=0.1, instance_noise=0.05, seed=5, z_dim=16)
    settings = JointConfig(
        lr_d=5e-5, dropout=0.3, total_images=7, batch_size=4, seed=9, lr_schedule="cosine"
    )
    _, joint = settings.levels((LevelConfig(), level))
    assert (joint.lr_g, joint.lr_d) == (3e-4, 5e-5)
    assert (joint.dropout, joint.instance_noise) == (0.3, 0.05)
    assert (joint.total_images, joint.batch_size, joint.seed) == (7, 4, 9)
    assert (joint.lr_schedule, joint.z_dim) == ("cosine", 16)


def test_what_one_joint_step_has_for_all_levels_is_joints_own_or_else_level_0s() -> None:
    lowest = LevelConfig(precision="bfloat16", g_steps=((0.5, 1), (0.0, 2)), reuse_fakes=True)
    above = LevelConfig(precision="float32", g_steps=((0.0, 3),), reuse_fakes=False)
    for level in JointConfig().levels((lowest, above)):
        assert (level.precision, level.g_steps, level.reuse_fakes) == (
            "bfloat16",
            ((0.5, 1), (0.0, 2)),
            True,
        )
    own = JointConfig(precision="auto", g_steps=((0.0, 5),), reuse_fakes=False)
    for level in own.levels((lowest, above)):
        assert (level.precision, level.g_steps, level.reuse_fakes) == ("auto", ((0.0, 5),), False)
    with pytest.raises(ConfigError, match=r"g_steps = .*must be pairs"):
        JointConfig(g_steps=((0.5, 1),))


def test_to_dict_is_json_and_comes_back_equal() -> None:
    levels = (
        LevelConfig(z_dim=16, g_steps=((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7))),
        LevelConfig(z_dim=50, dropout=0.3, q_output="linear"),
        LevelConfig(cond_loss="cross_entropy"),
    )
    encoder = EncoderConfig(architecture="cifar10", cut=("conv2", "fc"), horizontal_flip=True)
    config = StackConfig(ImageConfig(3, 32, 32, 10, "pixel_mean"), encoder, levels)
    plain = json.loads(json.dumps(to_dict(config)))
    assert plain["encoder"]["cut"] == ["conv2", "fc"]
    assert stack_config_from_dict(plain) == config
    assert level_config_from_dict(plain["levels"][0]) == levels[0]


def test_a_dict_that_cannot_be_is_refused_on_the_way_back() -> None:
    plain = to_dict(StackConfig(MNIST, EncoderConfig(), (LevelConfig(), LevelConfig())))
    plain["levels"][1]["dropout"] = 2.0
    with pytest.raises(ConfigError, match=r"dropout = 2.0"):
        stack_config_from_dict(plain)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LevelConfig().z_dim = 3  # type: ignore[misc]
