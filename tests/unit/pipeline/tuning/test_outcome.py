"""The best trial as a patch, as overrides of conf/, and written into params.yaml."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.params.compose import compose
from pipeline.params.loading import from_values, load
from pipeline.tuning.outcome import Tried, apply, line, overrides
from pipeline.tuning.space import Setting
from sgan.config import LevelConfig

ROOT = Path(__file__).resolve().parents[4]
CHANGES = {
    "lr_d": 1e-05,
    "lr_g": 0.000123,
    "z_dim": 16,
    "d_init": "normal",
    "g_steps": [[0.5, 1], [0.0, 3]],
}


def test_every_trial_has_a_fate_in_a_word(ended):
    assert [one.fate for one in ended.tried] == ["reused", "trained", "collapsed", "diverged"]
    stopped = replace(ended.tried[1], looks=ended.tried[1].looks[:1])
    assert stopped.fate == "stopped"
    assert Tried(9, Setting({}, LevelConfig()), "key", ()).fate == "not begun"


def test_the_patch_is_the_part_of_params_yaml_that_changes(ended):
    assert yaml.safe_load(ended.patch()) == {"levels": {"1": {"lr_g": 0.0004, "z_dim": 16}}}
    assert replace(ended, best=0).patch() == ""
    assert replace(ended, best=None).changes == {}


def test_all_of_it_is_plain_json(ended):
    told = json.loads(json.dumps(ended.as_dict(), allow_nan=False))
    assert told["best"] == 1 and told["changes"] == ended.changes
    assert [len(one["looks"]) for one in told["trials"]] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    "edits",
    [
        {},
        {"encoder": {"seed": 3}, "data": {"max_train": 500}},
        {"data": {"source": 's3://bückët/a "b" c=d', "classes": ["1", "null", "größe"]}},
    ],
)
def test_overrides_compose_what_was_tuned_hand_edits_included(edits):
    values = compose()
    for section, fields in edits.items():
        values[section] |= fields
    params = from_values(values)
    found = overrides(params, 1, CHANGES, ROOT / "conf")
    assert len(found) == len(CHANGES) + sum(len(fields) for fields in edits.values())
    told = line(found, 1, CHANGES)
    assert told.startswith("dvc exp run -S ")
    again = [word for word in shlex.split(told)[3:] if word != "-S"]
    made = from_values(compose(again))
    assert (made.data, made.encoder) == (params.data, params.encoder)
    assert made.levels[1] == replace(
        params.levels[1],
        lr_d=1e-5,
        lr_g=0.000123,
        z_dim=16,
        d_init="normal",
        g_steps=((0.5, 1), (0.0, 3)),
    )
    assert made.levels[0] == params.levels[0]


def test_where_settings_alone_do_not_make_them_the_line_has_the_changes_alone():
    three = from_values(compose(["stack=three_level"]))
    assert overrides(three, 2, {"lr_g": 0.001}, ROOT / "conf") == []
    told = line([], 2, {"lr_g": 0.001})
    assert told.splitlines()[0] == "dvc exp run … -S levels.2.lr_g=0.001"
    many = [f"levels.0.z_dim={number}" for number in range(16)]
    assert line(many, 2, {"lr_g": 0.001}) == told


def test_applying_changes_its_lines_of_params_yaml_and_no_other(tmp_path):
    path = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    path.write_text(path.read_text().replace("    z_dim: 100", "    z_dim: 100  # mine"))
    before = path.read_text().splitlines()
    apply(path, 1, CHANGES)
    after = path.read_text().splitlines()
    assert len(after) == len(before)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert sorted(changed) == [
        "    d_init: normal",
        "    g_steps: [[0.5, 1], [0.0, 3]]",
        "    lr_d: 1e-05",
        "    lr_g: 0.000123",
        "    z_dim: 16   # mine",
    ]
    assert load(path).levels[1].z_dim == 16 and load(path).levels[0].z_dim == 50


def test_changes_that_do_not_fit_leave_the_file_as_it_is(tmp_path):
    path = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"levels.1.lr_g = 7: must be > 0 and <= 1"):
        apply(path, 1, {"lr_g": 7})
    assert path.read_bytes() == before
