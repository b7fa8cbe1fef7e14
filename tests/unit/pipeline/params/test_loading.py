"""params.yaml: what is read, and the one line that each mistake gets."""

import copy
import json
import os
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.params.loading import SECTIONS, from_values, load
from pipeline.params.named_sets import NAMED
from pipeline.params.settings import DataConfig, EvaluateConfig, RuntimeConfig
from pipeline.tracking.lineage import params_digest
from sgan.config import (
    ARCHITECTURES,
    EncoderConfig,
    JointConfig,
    LevelConfig,
    StackConfig,
    alternatives,
)

ROOT = Path(__file__).resolve().parents[4]
LEVEL_KEYS = ", ".join(field.name for field in fields(LevelConfig))
ARCHITECTURE = alternatives(map(repr, ARCHITECTURES))


def taking(*shape: int) -> str:
    """The architectures that take images of a shape (C, H, W), in words."""
    return alternatives(
        repr(name) for name, one in ARCHITECTURES.items() if one.image_shape in (shape, None)
    )


G_STEPS = "pairs [threshold, steps] with falling thresholds down to 0 and 1 to 100 steps"
LEVELS = "a mapping from the levels' numbers ('0' is the image) to their settings"
UNFIT = "levels that do not fit the encoder, as encoder.cut ="
DIGITS = 64 * "0"

# (path of the field, the bad value, the line after "params.yaml: ")
UNKNOWN = [
    (
        "encodr",
        {},
        "encodr: unknown key; did you mean 'encoder'? allowed: data, encoder, levels, joint, "
        "evaluate, promote, tune, runtime",
    ),
    (
        "data.nme",
        "mnist",
        "data.nme: unknown key; did you mean 'name'? allowed: name, source, format, splits, "
        "classes, names_encoding, image_size, on_bad_image, test_fraction, sha256, shard_images, "
        "block_images, max_train, max_test, centre",
    ),
    (
        "encoder.widht",
        32,
        "encoder.widht: unknown key; did you mean 'width'? allowed: architecture, cut, width, "
        "total_images, batch_size, learning_rate, weight_decay, horizontal_flip, shift_pixels, "
        "precision, seed, workers, batch_norm",
    ),
    (
        "levels.0.zdim",
        50,
        f"levels.0.zdim: unknown key; did you mean 'z_dim'? allowed: {LEVEL_KEYS}",
    ),
    ("levels.1.qqq", 1, f"levels.1.qqq: unknown key; allowed: {LEVEL_KEYS}"),
    ("levels.top", {}, "levels.top: unknown key; allowed: the levels' numbers, 0, 1, …"),
    ("levels.01", {}, "levels.01: unknown key; allowed: the levels' numbers, 0, 1, …"),
    (
        "joint.enable",
        True,
        "joint.enable: unknown key; did you mean 'enabled'? allowed: enabled, init, total_images, "
        "batch_size, lower_weight, encoder_share, lr_g, lr_d, lr_schedule, dropout, "
        "instance_noise, hidden_noise, precision, g_steps, reuse_fakes, seed, workers, batch_norm",
    ),
    (
        "evaluate.num_sample",
        500,
        "evaluate.num_sample: unknown key; did you mean 'num_samples'? allowed: num_samples, "
        "seeds, study_seeds, batch_norm, judge, judge_epochs, judge_seed, neighbours, "
        "memory_images, cas, cas_epochs, lpips, inception, inception_images, inception_weights, "
        "grid_columns, log_model",
    ),
    (
        "runtime.devices",
        "cpu",
        "runtime.devices: unknown key; did you mean 'device'? allowed: storage, device, "
        "threads, cpus_per_worker, gpus_per_worker, object_limit, wait_seconds, "
        "checkpoint_seconds, progress",
    ),
    (
        "runtime.workers_per_level",
        2,
        "runtime.workers_per_level: no such setting any more; it is now levels.N.workers, "
        "joint.workers and encoder.workers, as the number of workers is part of the recipe",
    ),
]
WRONG_TYPE = [
    ("encoder", 3, "encoder = 3: must be a mapping of settings"),
    ("joint", None, "joint = null: must be a mapping of settings"),
    ("levels", [{}], f"levels = [{{}}]: must be {LEVELS}"),
    ("levels", None, f"levels = null: must be {LEVELS}"),
    ("levels.0", None, "levels.0 = null: must be a mapping of settings"),
    ("levels.1.lr_g", "0.001", "levels.1.lr_g = '0.001': must be a number"),
    ("levels.1.lr_g", True, "levels.1.lr_g = true: must be a number"),
    ("levels.0.batch_size", 100.0, "levels.0.batch_size = 100.0: must be an integer"),
    ("levels.0.batch_size", True, "levels.0.batch_size = true: must be an integer"),
    ("levels.0.z_dim", None, "levels.0.z_dim = null: must be an integer"),
    ("levels.0.halve_d", 1, "levels.0.halve_d = 1: must be true or false"),
    ("joint.enabled", "true", "joint.enabled = 'true': must be true or false"),
    ("joint.lr_d", [], "joint.lr_d = []: must be a number or null"),
    ("encoder.cut", "fc", "encoder.cut = 'fc': must be a list of names"),
    ("encoder.cut", [1], "encoder.cut = [1]: must be a list of names"),
    ("levels.0.g_steps", 3, "levels.0.g_steps = 3: must be a list of [number, integer] pairs"),
    (
        "levels.0.g_steps",
        [[0]],
        "levels.0.g_steps = [[0]]: must be a list of [number, integer] pairs",
    ),
    (
        "levels.0.g_steps",
        [[0, "1"]],
        "levels.0.g_steps = [[0, '1']]: must be a list of [number, integer] pairs",
    ),
    ("evaluate.seeds", 1, "evaluate.seeds = 1: must be a list of integers"),
    (
        "evaluate.inception_weights",
        3,
        "evaluate.inception_weights = 3: must be text or null; in quotes where it reads as "
        "something else: inception_weights: '…', -S '…=\"…\"'",
    ),
]
NOT_A_CHOICE = [
    (
        "data.name",
        "cifar",
        f"data.name = 'cifar': must be {alternatives(map(repr, (*NAMED, 'custom')))}",
    ),
    (
        "encoder.architecture",
        "minst",
        f"encoder.architecture = 'minst': must be {ARCHITECTURE}",
    ),
    (
        "levels.1.cond_loss",
        "crossentropy",
        "levels.1.cond_loss = 'crossentropy': must be 'auto', 'mse' or 'cross_entropy'",
    ),
    ("joint.init", "random", "joint.init = 'random': must be 'levels' or 'scratch'"),
    (
        "runtime.device",
        "gpu",
        "runtime.device = 'gpu': must be 'auto', 'cpu', 'cuda', 'xpu' or 'mps'",
    ),
]
IMPOSSIBLE = [
    ("levels.1.lr_g", -1, "levels.1.lr_g = -1: must be > 0 and <= 1"),
    ("levels.1.lr_g", float("nan"), "levels.1.lr_g = nan: must be a finite number"),
    ("levels.0.lambda_ent", float("inf"), "levels.0.lambda_ent = inf: must be a finite number"),
    ("levels.0.lambda_ent", -10.0, "levels.0.lambda_ent = -10.0: must be >= 0"),
    ("levels.0.batch_size", 0, "levels.0.batch_size = 0: must be >= 2"),
    ("levels.1.z_dim", 0, "levels.1.z_dim = 0: must be >= 1"),
    ("levels.0.dropout", 1.0, "levels.0.dropout = 1.0: must be >= 0 and < 1"),
    ("levels.0.beta2", 1, "levels.0.beta2 = 1: must be >= 0 and < 1"),
    ("levels.0.g_steps", [], f"levels.0.g_steps = []: must be {G_STEPS}"),
    ("levels.0.g_steps", [[0.5, 3]], f"levels.0.g_steps = [[0.5, 3]]: must be {G_STEPS}"),
    ("levels.0.g_steps", [[0, 0]], f"levels.0.g_steps = [[0, 0]]: must be {G_STEPS}"),
    (
        "levels.0.g_steps",
        [[0.3, 1], [0.5, 2], [0, 3]],
        f"levels.0.g_steps = [[0.3, 1], [0.5, 2], [0, 3]]: must be {G_STEPS}",
    ),
    (
        "levels.0.g_steps",
        [[float("nan"), 1]],
        "levels.0.g_steps = [[nan, 1]]: must be a list of [number, integer] pairs, all finite",
    ),
    ("encoder.total_images", 0, "encoder.total_images = 0: must be >= 1"),
    ("encoder.learning_rate", 2, "encoder.learning_rate = 2: must be > 0 and <= 1"),
    (
        "encoder.cut",
        ["fc", "conv2"],
        "encoder.cut = ['fc', 'conv2']: must be a subset, in order, of ['conv1', 'conv2', 'fc']",
    ),
    ("joint.encoder_share", -0.1, "joint.encoder_share = -0.1: must be >= 0 and <= 1"),
    ("joint.lower_weight", 1.5, "joint.lower_weight = 1.5: must be >= 0 and <= 1"),
    ("joint.lr_g", 0, "joint.lr_g = 0: must be > 0 and <= 1"),
    ("joint.g_steps", [], f"joint.g_steps = []: must be {G_STEPS}"),
    ("joint.g_steps", [[0.5, 1]], f"joint.g_steps = [[0.5, 1]]: must be {G_STEPS}"),
    (
        "joint.g_steps",
        [1, 2],
        "joint.g_steps = [1, 2]: must be a list of [number, integer] pairs or null",
    ),
    (
        "joint.precision",
        "float16",
        "joint.precision = 'float16': must be 'auto', 'float32', 'bfloat16' or null",
    ),
    ("joint.reuse_fakes", 1, "joint.reuse_fakes = 1: must be true or false or null"),
    ("data.max_train", 0, "data.max_train = 0: must be >= 1"),
    ("data.test_fraction", 1.0, "data.test_fraction = 1.0: must be > 0 and < 1"),
    (
        "data.sha256",
        {"train": DIGITS},
        f"data.sha256 = {{'train': '{DIGITS}'}}: must be digests of train_images, train_labels, "
        "test_images, test_labels only",
    ),
    (
        "data.sha256",
        {"train_images": "00"},
        "data.sha256.train_images = '00': must be 64 hexadecimal digits",
    ),
    (
        "evaluate.seeds",
        [1, 1],
        "evaluate.seeds = [1, 1]: must be one or more distinct integers from 0 to 2147483647",
    ),
    ("evaluate.num_samples", 10, "evaluate.num_samples = 10: must be >= 100"),
    ("evaluate.judge_epochs", 0, "evaluate.judge_epochs = 0: must be > 0"),
    ("evaluate.judge_seed", -1, "evaluate.judge_seed = -1: must be >= 0 and <= 2147483647"),
    ("runtime.gpus_per_worker", -0.5, "runtime.gpus_per_worker = -0.5: must be >= 0"),
    ("runtime.checkpoint_seconds", 0, "runtime.checkpoint_seconds = 0: must be > 0"),
    ("encoder.workers", 0, "encoder.workers = 0: must be >= 1"),
    (
        "levels.0.workers",
        3,
        "levels.0.workers = 3: must be a divisor of batch_size (32) that leaves each worker 2 or "
        "more of its images",
    ),
]
CONTRADICTIONS = [
    (
        "encoder.cut",
        ["conv2", "fc"],
        f"levels = 0, 1: must be 0, 1, 2: {UNFIT} ['conv2', 'fc'] makes 3",
    ),
    ("encoder.cut", [], f"levels = 0, 1: must be 0: {UNFIT} [] makes 1"),
    ("levels.2", {}, f"levels = 0, 1, 2: must be 0, 1: {UNFIT} ['fc'] makes 2"),
    ("levels", {}, f"levels = none: must be 0, 1: {UNFIT} ['fc'] makes 2"),
    (
        "levels.0.cond_loss",
        "cross_entropy",
        "levels.0.cond_loss = 'cross_entropy': must be 'auto' or 'mse' below the top level, whose "
        "condition is features",
    ),
    (
        "encoder.architecture",
        "cifar10",
        f"encoder.architecture = 'cifar10': must be {taking(1, 28, 28)} for data.name = 'mnist', "
        "whose images are 1x28x28",
    ),
    (
        "data.name",
        "svhn",
        f"encoder.architecture = 'mnist': must be {taking(3, 32, 32)} for data.name = "
        "'svhn', whose images are 3x32x32",
    ),
    (
        "data",
        {"name": "custom", "source": "/images", "image_size": 64},
        "data.image_size = 64: must be 28 for encoder.architecture = 'mnist'",
    ),
    (
        "data.name",
        "custom",
        "data.source = null: must be a path or address of the images, as data.name is 'custom'",
    ),
    (
        "data.image_size",
        32,
        "data.image_size = 32: must be null: only custom sets are resized, and data.name is "
        "'mnist'",
    ),
    ("data.max_train", 110, "encoder.batch_size = 128: must be <= data.max_train (110)"),
    (
        "evaluate.judge",
        "resnet56",
        "evaluate.judge = 'resnet56': must be 'cnn' for data.name = 'mnist': the published judges "
        "read CIFAR-10",
    ),
    (
        "evaluate.neighbours",
        10000,
        "evaluate.neighbours = 10000: must be below evaluate.num_samples (10000)",
    ),
]
BAD = UNKNOWN + WRONG_TYPE + NOT_A_CHOICE + IMPOSSIBLE + CONTRADICTIONS


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `values` with the field at a dotted path set."""
    values = copy.deepcopy(values)
    *above, last = path.split(".")
    inner = values
    for key in above:
        inner = inner[key]
    inner[last] = value
    return values


def write(folder: Path, content: Any) -> Path:
    path = folder / "params.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(("path", "value", "expected"), BAD)
def test_a_mistake_is_one_line_with_path_value_and_what_is_allowed(
    committed: dict[str, Any], tmp_path: Path, path: str, value: Any, expected: str
) -> None:
    write(tmp_path, changed(committed, path, value))
    with pytest.raises(UserError) as caught:
        load(root=tmp_path)
    assert str(caught.value) == f"params.yaml: {expected}"
    assert os.listdir(tmp_path) == ["params.yaml"]


@pytest.mark.parametrize("name", SECTIONS[:5])
def test_a_missing_section_is_named(committed: dict[str, Any], name: str) -> None:
    values = {key: section for key, section in committed.items() if key != name}
    with pytest.raises(UserError) as caught:
        from_values(values)
    expected = f"{name}: section missing; needed: data, encoder, levels, joint, evaluate"
    assert str(caught.value) == f"params.yaml: {expected}"


def test_every_mistake_is_listed_one_line_each(committed: dict[str, Any]) -> None:
    values = changed(committed, "levels.1.lr_g", -1)
    values = changed(values, "levels.0.batch_size", "many")
    values = changed(values, "levels.0.seed", None)
    values = changed(values, "joint.init", "random")
    values = changed(values, "evaluate.num_samples", 1)
    with pytest.raises(UserError) as caught:
        from_values(values)
    assert str(caught.value).splitlines() == [
        "params.yaml: levels.0.batch_size = 'many': must be an integer",
        "params.yaml: levels.0.seed = null: must be an integer",
        "params.yaml: levels.1.lr_g = -1: must be > 0 and <= 1",
        "params.yaml: joint.init = 'random': must be 'levels' or 'scratch'",
        "params.yaml: evaluate.num_samples = 1: must be >= 100",
    ]


def test_batches_larger_than_the_shortened_set_are_listed_part_by_part(
    committed: dict[str, Any],
) -> None:
    with pytest.raises(UserError) as caught:
        from_values(changed(committed, "data.max_train", 20))
    fields = [line.split(" = ")[0] for line in str(caught.value).splitlines()]
    parts = ("encoder", "levels.0", "levels.1", "joint")
    assert fields == [f"params.yaml: {part}.batch_size" for part in parts]


def test_a_value_with_line_breaks_and_a_long_one_stay_on_one_short_line(
    committed: dict[str, Any],
) -> None:
    for value in ("a\nb", "x" * 1000, [1] * 1000, {"a": {"b": None}}):
        with pytest.raises(UserError) as caught:
            from_values(changed(committed, "joint.init", value))
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 150
        assert message.endswith("must be 'levels' or 'scratch'")


def test_what_is_read_are_the_method_s_own_settings(tmp_path: Path) -> None:
    text = """
    data: {name: mnist, max_train: 2_000}
    encoder: {cut: [conv2, fc], learning_rate: 1e-3, weight_decay: 0}
    levels:
      2: {lr_g: 1}
      '0': {g_steps: [[0.5, 3], [0, 1]], seed: 7}
      1: {}
    joint: {dropout: null, lr_g: 2E-4, g_steps: [[0.5, 3], [0, 1]], reuse_fakes: false}
    evaluate: {seeds: [1, 2]}
    """
    params = load(write(tmp_path, text), tmp_path)
    assert params.data == DataConfig(max_train=2000)
    assert params.encoder == EncoderConfig(
        cut=("conv2", "fc"), learning_rate=0.001, weight_decay=0.0
    )
    assert list(params.levels) == [0, 1, 2]
    assert params.levels == {
        0: LevelConfig(g_steps=((0.5, 3), (0.0, 1)), seed=7),
        1: LevelConfig(),
        2: LevelConfig(lr_g=1.0),
    }
    assert type(params.levels[0]) is LevelConfig
    assert params.joint == JointConfig(lr_g=0.0002, g_steps=((0.5, 3), (0.0, 1)), reuse_fakes=False)
    assert params.evaluate == EvaluateConfig(seeds=(1, 2))
    assert params.runtime == RuntimeConfig()


def test_raw_is_plain_complete_and_the_same_however_it_was_written(
    committed: dict[str, Any],
) -> None:
    first = from_values(committed)
    assert json.loads(json.dumps(first.raw)) == first.raw
    assert list(first.raw["levels"]) == ["0", "1"]
    again = copy.deepcopy(committed)
    again["levels"] = {key: again["levels"][key] for key in ("1", "0")}
    again["levels"]["0"]["lambda_adv"] = 1  # an integer for 1.0
    del again["runtime"], again["joint"]["init"]  # at their defaults
    assert from_values(again).raw["levels"] == first.raw["levels"]
    assert params_digest(from_values(again).raw) == params_digest(first.raw)
    elsewhere = from_values(changed(committed, "runtime.device", "cpu"))
    assert params_digest(elsewhere.raw) == params_digest(first.raw)


def test_params_travel_to_workers(committed: dict[str, Any]) -> None:
    params = from_values(committed)
    assert pickle.loads(pickle.dumps(params)) == params


def test_images_found_by_prepare_make_the_stack_s_config(committed: dict[str, Any]) -> None:
    custom = {"name": "custom", "source": "/images", "centre": "pixel_mean"}
    values = changed(changed(committed, "data", custom), "encoder.architecture", "pyramid")
    params = from_values(values)
    image = params.image_config((3, 64, 64), 7)
    assert (image.shape, image.num_classes, image.centre) == ((3, 64, 64), 7, "pixel_mean")
    stack = params.stack_config(image)
    assert stack == StackConfig(image, params.encoder, (params.levels[0], params.levels[1]))
    for shape in ((3, 30, 30), (3, 64, 32), (4, 32, 32)):
        with pytest.raises(UserError, match=r"^params\.yaml: encoder\.architecture = 'pyramid' c"):
            params.image_config(shape, 7)


def test_images_found_by_prepare_that_do_not_fit_are_one_line(committed: dict[str, Any]) -> None:
    params = from_values(changed(committed, "data", {"name": "custom", "source": "/images"}))
    with pytest.raises(UserError) as caught:
        params.image_config((3, 32, 32), 10)
    message = str(caught.value)
    assert message.startswith(
        "params.yaml: encoder.architecture = 'mnist' cannot take the images of data.name = 'custom'"
    )
    assert "(3, 32, 32)" in message and "\n" not in message


def test_reading_parameters_loads_nothing_heavy() -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.params.loading import load; "
        f"load(root=Path({str(ROOT)!r})); print(*sorted(m.split('.')[0] for m in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "pydantic" in loaded
    assert loaded & {"torch", "ray", "mlflow", "dvc", "boto3", "hydra", "numpy", "pyarrow"} == set()


@pytest.mark.parametrize(
    ("joint", "images"),
    [
        ({"enabled": True, "init": "levels"}, 100 + 30),
        ({"enabled": False, "init": "levels"}, 100),
        ({"enabled": True, "init": "scratch"}, 30),
        ({"enabled": False, "init": "scratch"}, 100),
    ],
)
def test_images_that_g0_has_seen(
    committed: dict[str, Any], joint: dict[str, Any], images: int
) -> None:
    values = copy.deepcopy(committed)
    values["levels"]["0"]["total_images"] = 100
    values["joint"] |= {"total_images": 30, **joint}
    assert from_values(values).images_of_g0 == images
