"""conf/: what `dvc exp run -S …` makes of params.yaml."""

import configparser
import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.params.compose import compose
from pipeline.params.loading import Params, from_values, load
from pipeline.params.named_sets import NAMED
from pipeline.params.settings import DataConfig, EvaluateConfig, PromoteConfig, RuntimeConfig
from pipeline.params.tuning import TuneConfig
from sgan.config import ARCHITECTURES, EncoderConfig, JointConfig, LevelConfig, to_dict

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
NETS = {
    "mnist": "mnist",
    "fashion_mnist": "mnist",
    "mnist_small": "mnist",
    "cifar10": "cifar10",
    "svhn": "svhn",
    "custom": "pyramid",
}
STACKS = {
    "one_level": (),
    "two_level": ("fc",),
    "three_level": ("conv2", "fc"),
    "four_level": ("conv1", "conv2", "fc"),
}
BUDGETS = ("smoke", "ablation", "cpu", "paper")
RECIPES = ("paper", "authors", "fast", "modern")
ADAPTIVE = ((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7))


@cache
def composed(*overrides: str) -> Params:
    """The checked parameters that the groups make."""
    return from_values(compose(overrides, conf=CONF))


def options(group: str) -> set[str]:
    """The choices of a group of conf/."""
    return {path.stem for path in (CONF / group).glob("*.yaml")}


def test_levels_of_one_kind_stay_apart() -> None:
    """Levels 1 and 2 of four are copies of one mapping in conf/."""
    before = composed("stack=four_level")
    after = composed("stack=four_level", "levels.1.lr_g=3e-4", "levels.2.g_steps=[[0.0,2]]")
    assert after.levels == before.levels | {
        1: dataclasses.replace(before.levels[1], lr_g=3e-4),
        2: dataclasses.replace(before.levels[2], g_steps=((0.0, 2),)),
    }


def test_the_kinds_of_levels_are_not_left_in_the_parameters() -> None:
    with pytest.raises(UserError, match=r"there is no setting 'levels\.vector\.lr_g'"):
        compose(["levels.vector.lr_g=1e-4"], conf=CONF)
    assert composed("runtime.device=cpu").runtime == RuntimeConfig(device="cpu")


def pairwise() -> Iterator[tuple[str, str, str]]:
    """Data x stack in full, budgets in turn: every pair of choices of two groups is there. What a
    file of conf/ says depends on one choice besides its own (the set, at budget=paper)."""
    for i, data in enumerate(NETS):
        for j, stack in enumerate(STACKS):
            yield data, stack, BUDGETS[(i + j) % len(BUDGETS)]


def test_the_groups_hold_the_choices_that_are_tested() -> None:
    assert options("data") == set(NETS)
    assert options("stack") == set(STACKS)
    assert options("budget") == set(BUDGETS)
    assert options("recipe") == set(RECIPES)
    assert set(NETS.values()) <= options("nets")
    found = set(pairwise())
    for pair in ((0, 1), (0, 2), (1, 2)):
        sizes = [len({choice[index] for choice in found}) for index in pair]
        assert len({tuple(choice[i] for i in pair) for choice in found}) == sizes[0] * sizes[1]


@pytest.mark.parametrize("nets", sorted(options("nets")))
def test_every_choice_of_nets_is_an_architecture_and_fits_a_published_set(nets: str) -> None:
    written = yaml.safe_load((CONF / "nets" / f"{nets}.yaml").read_text())
    architecture = written["encoder"]["architecture"]
    shape = ARCHITECTURES[architecture].image_shape
    data = next(name for name in NAMED if shape in (None, DataConfig(name).shape))
    assert composed(f"data={data}", f"nets={nets}").encoder.architecture == architecture


def test_params_yaml_is_the_default_composition() -> None:
    written = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert written == compose(conf=CONF), (
        "params.yaml is not what conf/ makes: `python -m pipeline compose` writes it anew"
    )


def test_dvc_composes_the_same(tmp_path: Path) -> None:
    from dvc.utils.hydra import compose_and_dump

    overrides = ["data=cifar10", "budget=smoke", "stack=three_level", "levels.2.lr_g=2e-4"]
    by_dvc = tmp_path / "params.yaml"
    compose_and_dump(by_dvc, str(CONF), None, "config", str(tmp_path), overrides)
    assert load(by_dvc) == dataclasses.replace(composed(*overrides), shown=str(by_dvc))
    assert yaml.safe_load(by_dvc.read_text()) == compose(overrides, conf=CONF)


def test_dvc_is_told_to_compose() -> None:
    settings = configparser.ConfigParser()
    settings.read_string((ROOT / ".dvc" / "config").read_text().replace("    ", ""))
    assert settings.getboolean("hydra", "enabled")


def test_dvc_exp_run_takes_groups_and_settings(tmp_path: Path) -> None:
    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    shutil.copytree(CONF, tmp_path / "conf")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    stage = {"cmd": "grep lr_g params.yaml > out.txt", "params": ["levels"], "outs": ["out.txt"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"show": stage}}))
    (tmp_path / ".dvc").mkdir()  # as `dvc init` and git left it in this repository
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, tmp_path / ".dvc")
    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "start")
    run(*dvc, "exp", "run", "-q", "-S", "data=cifar10", "-S", "budget=paper", "-S", "joint.seed=7")
    params = load(root=tmp_path)
    assert params == composed("data=cifar10", "budget=paper", "joint.seed=7")
    assert (params.data.name, params.joint.seed) == ("cifar10", 7)
    assert (tmp_path / "out.txt").read_text().count("lr_g: 0.0001") == 3


@pytest.mark.parametrize(("data", "stack", "budget"), list(pairwise()))
def test_every_choice_of_data_stack_and_budget_is_valid(data: str, stack: str, budget: str) -> None:
    source = ["data.source=/images"] if data == "custom" else []
    params = composed(f"data={data}", f"stack={stack}", f"budget={budget}", *source)
    assert params.encoder.architecture == NETS[data]
    assert params.encoder.cut == STACKS[stack]
    assert list(params.levels) == list(range(len(STACKS[stack]) + 1))
    assert params.data.name == ("custom" if data == "mnist_small" else data)
    trained = [level.total_images for level in params.levels.values()]
    if budget == "paper":
        epochs_200 = {"cifar10": 10_000_000, "svhn": 14_651_400}.get(data, 12_000_000)
        assert trained == [epochs_200] * len(trained)
        assert params.joint.total_images == epochs_200
    else:
        assert params.encoder.total_images <= 240_000
        assert max(trained) <= {"smoke": 50_000, "ablation": 300_000, "cpu": 1_000_000}[budget]
    assert (params.data.max_train == 2000) == (budget == "smoke")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_every_recipe_treats_all_levels_alike(data: str, recipe: str) -> None:
    params = composed(f"data={data}", f"recipe={recipe}", "stack=three_level")
    levels = list(params.levels.values())
    ours = recipe in ("fast", "modern")
    alike = ["halve_d", "g_objective", "reuse_fakes", "q_output", "d_init", "d_norm"]
    alike += [] if data == "cifar10" and ours else ["d_objective"]  # there a vector's is binary
    for name in alike:
        assert len({getattr(level, name) for level in levels}) == 1, name
    assert levels[0].reuse_fakes == ours
    assert levels[0].d_init == ("he" if ours else "normal")
    assert (levels[0].lr_schedule, params.joint.lr_schedule) == (
        ("linear", "linear") if ours else ("constant", "constant")
    )
    assert (levels[0].precision, params.encoder.precision) == (
        ("auto", "auto") if ours else ("float32", "float32")
    )
    assert levels[0].halve_d == (recipe != "paper")
    saturating = data == "cifar10" and recipe == "authors"
    assert levels[0].g_objective == ("saturating" if saturating else "non_saturating")
    averaged = [level.ema_half_life_images for level in levels]
    assert averaged == {"fast": [3000] * 3, "modern": [5000, 3000, 3000]}.get(recipe, [0] * 3)


def test_the_paper_s_budget_brings_its_recipe_unless_another_is_named() -> None:
    paper = composed("budget=paper")
    assert paper.levels[1] == LevelConfig(halve_d=False)
    assert paper.levels[0] == LevelConfig(halve_d=False)
    assert composed("budget=paper", "recipe=fast").levels[0].reuse_fakes


def test_cifar10_has_the_authors_settings() -> None:
    params = composed("data=cifar10", "budget=paper", "recipe=authors")
    shared = {
        "d_objective": "class_logits",
        "g_objective": "saturating",
        "q_output": "linear",
        "g_steps": ADAPTIVE,
        "total_images": 10_000_000,
        "adam_eps": 1e-4,
    }
    assert params.levels[0] == LevelConfig(z_dim=16, instance_noise=0.05, dropout=0.1, **shared)
    assert params.levels[1] == LevelConfig(z_dim=50, instance_noise=0.2, **shared)
    assert (params.joint.lower_weight, params.joint.dropout) == (0.01, 0.3)
    assert params.joint.hidden_noise == 0.2
    assert params.encoder.horizontal_flip
    assert params.data.centre == "pixel_mean"
    assert params.image_config((3, 32, 32), 10).centre == "pixel_mean"


def test_svhn_is_as_cifar10_but_not_flipped() -> None:
    svhn, cifar10 = composed("data=svhn"), composed("data=cifar10")
    assert svhn.levels == cifar10.levels
    assert svhn.joint == cifar10.joint
    assert svhn.encoder == dataclasses.replace(
        cifar10.encoder, architecture="svhn", horizontal_flip=False
    )


# (stack, joint, with L_cond, with L_ent)
ABLATIONS = {
    "full": ("two_level", True, True, True),
    "three_level": ("three_level", True, True, True),
    "no_joint": ("two_level", False, True, True),
    "no_entropy": ("two_level", True, True, False),
    "no_conditional": ("two_level", True, False, True),
    "neither": ("two_level", True, False, False),
    "dcgan_adv": ("one_level", False, False, False),
    "dcgan_adv_cond": ("one_level", False, True, False),
    "dcgan_adv_ent": ("one_level", False, False, True),
    "dcgan_adv_cond_ent": ("one_level", False, True, True),
}


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_switches_off_what_it_says_at_every_level(data: str, name: str) -> None:
    stack, joint, with_cond, with_ent = ABLATIONS[name]
    params = composed(f"data={data}", f"ablation={name}")
    full = composed(f"data={data}", f"stack={stack}")
    assert params.joint.enabled == joint
    assert params.encoder == full.encoder
    kept = {"lambda_cond": with_cond, "lambda_ent": with_ent}
    changed = {key: 0.0 for key, on in kept.items() if not on}
    for i, whole in full.levels.items():
        assert whole.lambda_cond > 0 and whole.lambda_ent > 0
        assert params.levels[i] == dataclasses.replace(whole, **changed)
    assert params.levels.keys() == full.levels.keys()


def test_all_ablations_are_tested_and_reach_deeper_stacks() -> None:
    assert options("ablation") == set(ABLATIONS)
    deep = composed("ablation=neither", "stack=four_level")
    assert [(c.lambda_cond, c.lambda_ent) for c in deep.levels.values()] == [(0.0, 0.0)] * 4


def test_a_setting_of_one_level_changes_no_other() -> None:
    for budget in BUDGETS:
        before = composed(f"budget={budget}")
        after = composed(
            f"budget={budget}", "levels.0.total_images=500", "levels.0.lambda_ent=5", "joint.seed=2"
        )
        assert after.levels[0] == dataclasses.replace(
            before.levels[0], total_images=500, lambda_ent=5.0
        )
        assert after.levels[1] == before.levels[1]
        assert after.joint == dataclasses.replace(before.joint, seed=2)


def test_conf_names_every_setting_with_the_default_of_the_code() -> None:
    base = yaml.safe_load((CONF / "base.yaml").read_text())
    sections: dict[str, Any] = {
        "data": DataConfig(),
        "encoder": EncoderConfig(),
        "joint": JointConfig(),
        "evaluate": EvaluateConfig(),
        "promote": PromoteConfig(),
        "tune": TuneConfig(),
    }
    assert base == {name: to_dict(config) for name, config in sections.items()} | {"levels": {}}
    runtime = yaml.safe_load((CONF / "runtime.yaml").read_text())
    assert runtime == {"runtime": to_dict(RuntimeConfig())}
    assert yaml.safe_load((CONF / "level.yaml").read_text()) == to_dict(LevelConfig())
