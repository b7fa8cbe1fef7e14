"""The section `tune`: which spaces there are, and the one line that each mistake gets."""

import pytest

from pipeline.errors import UserError
from pipeline.params.compose import compose
from pipeline.params.loading import from_values
from pipeline.params.tuning import (
    FIXED,
    KINDS,
    TuneConfig,
    default_space,
    kind_of,
    space_problems,
)
from sgan.config import ConfigError, EncoderConfig

THREE = EncoderConfig(cut=("conv2", "fc"))


def test_the_default_space_is_a_sound_one_for_every_kind_of_level():
    assert tuple(default_space()) == KINDS
    assert space_problems(TuneConfig(), 3) == []


def test_a_level_is_searched_by_its_number_or_else_by_its_kind():
    own = {"lr_g": {"uniform": [0.1, 0.2]}}
    config = TuneConfig(space={"image": {}, "1": own, "vector": {"z_dim": {"choice": [1, 2]}}})
    assert [kind_of(i, THREE) for i in range(3)] == ["image", "map", "vector"]
    assert config.space_of(0, THREE) == ("image", {})
    assert config.space_of(1, THREE) == ("1", own)
    assert config.space_of(2, THREE) == ("vector", {"z_dim": {"choice": [1, 2]}})


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"vektor": {}}, "tune.space.vektor: unknown key; did you mean 'vector'?"),
        ({"7": {}}, "tune.space.7: unknown key; allowed: image, map, vector, 0, 1, 2"),
        (
            {"vector": {"lr_x": {"choice": [1]}}},
            "tune.space.vector.lr_x: unknown key; did you mean 'lr_g'?",
        ),
        (
            {"0": {"lr_g": {"loguniform": [0, 0.1]}}},
            "tune.space.0.lr_g = {'loguniform': [0, 0.1]}: must be two numbers with 0 < low < high",
        ),
        (
            {"0": {"lr_g": {"uniform": [0.2, 0.1]}}},
            "tune.space.0.lr_g = {'uniform': [0.2, 0.1]}: must be two numbers with low < high",
        ),
        (
            {"0": {"lr_g": [1, 2]}},
            "tune.space.0.lr_g = [1, 2]: must be one of uniform: [low, high]",
        ),
        ({"0": {"lr_g": {"normal": [1, 2]}}}, "must be one of uniform: [low, high]"),
        (
            {"0": {"d_init": {"uniform": [1, 2]}}},
            "must be choice: [value, …], as d_init is no number",
        ),
        (
            {"0": {"d_init": {"choice": ["he", "her"]}}},
            "tune.space.0.d_init = 'her': must be 'normal' or 'he'",
        ),
        ({"0": {"lr_g": {"uniform": [0.1, 2.0]}}}, "tune.space.0.lr_g = 2.0: must be > 0 and <= 1"),
        *(
            ({"0": {name: {"choice": [1]}}}, f"tune.space.0.{name}: may not be searched: {why}")
            for name, why in FIXED.items()
        ),
    ],
)
def test_each_mistake_in_a_space_is_one_line(space, told):
    (line,) = space_problems(TuneConfig(space=space), 3)
    assert told in line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trials", 1),
        ("samples", 10),
        ("rungs", 0),
        ("rungs", 9),
        ("reduction", 1),
        ("seed", -1),
        ("measurements", 8),
        ("min_diversity", -0.1),
    ],
)
def test_a_number_out_of_its_range_is_refused(field, value):
    with pytest.raises(ConfigError) as caught:
        TuneConfig(**{field: value})
    assert caught.value.field_name == field


def test_params_yaml_tells_of_it_and_neither_tracks_nor_hashes_it():
    values = compose(["tune.trials=5"])
    params = from_values(values)
    assert params.tune == TuneConfig(trials=5)
    assert "tune" not in params.raw
    del values["tune"]
    assert from_values(values).tune == TuneConfig()
    values["tune"] = {"space": {"vector": {"lr": {"choice": [1]}}}, "trials": 8}
    with pytest.raises(UserError, match=r"params.yaml: tune.space.vector.lr: unknown key"):
        from_values(values)
    values["tune"] = {"space": 3}
    with pytest.raises(UserError, match=r"tune.space = 3: must be a mapping from names to mapp"):
        from_values(values)
