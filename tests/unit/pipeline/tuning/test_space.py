"""Which settings a search tries."""

import math
from dataclasses import replace

import pytest

from pipeline.errors import UserError
from pipeline.tuning.space import drawn
from sgan.config import LevelConfig

START = LevelConfig()
SPACE = {
    "lr_g": {"loguniform": [1e-4, 1e-2]},
    "instance_noise": {"uniform": [0.0, 0.5]},
    "z_dim": {"uniform": [1, 3]},
    "g_steps": {"choice": [[[0.0, 1]], [[0.5, 1], [0.0, 3]]]},
}


def test_the_present_settings_come_first_and_draws_lie_in_the_space():
    found = drawn(SPACE, START, 60, seed=1)
    assert found[0].config == START and found[0].changes == {}
    configs = [one.config for one in found[1:]]
    assert all(1e-4 <= c.lr_g <= 1e-2 and 0 <= c.instance_noise <= 0.5 for c in configs)
    assert {c.z_dim for c in configs} == {1, 2, 3}
    assert {c.g_steps for c in configs} == {((0.0, 1),), ((0.5, 1), (0.0, 3))}
    assert all(c.lr_g == float(f"{c.lr_g:.3g}") for c in configs)
    below = sum(math.log10(c.lr_g) < -3 for c in configs)
    assert 15 < below < 45  # half of a logarithmic range, not a tenth


def test_a_setting_s_changes_are_what_it_changes():
    for one in drawn(SPACE, START, 10, seed=2)[1:]:
        changes = dict(one.changes)
        if "g_steps" in changes:
            changes["g_steps"] = tuple(map(tuple, changes["g_steps"]))
        assert replace(START, **changes) == one.config


def test_a_longer_search_begins_as_a_shorter_one_and_another_seed_draws_others():
    short, long = drawn(SPACE, START, 5, seed=1), drawn(SPACE, START, 9, seed=1)
    assert long[:5] == short
    assert drawn(SPACE, START, 5, seed=2)[1:] != short[1:]


def test_no_two_are_alike_and_a_small_space_ends():
    found = drawn({"z_dim": {"choice": [50, 8]}}, START, 10, seed=1)
    assert [one.config.z_dim for one in found] == [50, 8]


def test_a_draw_that_a_level_cannot_have_is_told():
    with pytest.raises(UserError, match=r"tune.space.dropout = 1.\d+: must be >= 0 and < 1"):
        drawn({"dropout": {"uniform": [1.5, 1.9]}}, START, 3, seed=1)


def test_a_draw_is_rounded_no_further_than_to_the_edge_of_its_range():
    found = drawn({"beta2": {"uniform": [0.99, 0.9999]}}, START, 12, seed=1)[1:]
    values = {str(one.config.beta2) for one in found}
    assert {"0.991", "0.998", "0.9996"} <= values and "1.0" not in values
    (_, only) = drawn({"dropout": {"uniform": [0.12345, 0.12345]}}, START, 2, seed=1)
    assert only.config.dropout == 0.12345
