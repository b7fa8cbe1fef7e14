"""The key of a trained part: what changes it, what must not, and who else has to know the code."""

import copy
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import sgan
from pipeline.parts.part import TRAINING_CODE, Part, code_version
from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig, to_dict

ROOT = Path(__file__).resolve().parents[4]
SGAN = Path(sgan.__file__).parent
STACK = to_dict(
    StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (LevelConfig(), LevelConfig()))
)


def part(level: int = 0, **changes: Any) -> Part:
    """A level of the stack, with fields of one's own."""
    fields: dict[str, Any] = {
        "name": f"level{level}",
        "kind": "level",
        "level": level,
        "stack": STACK,
        "settings": STACK["levels"][level],
        "inputs": {"data": "d", "encoder": "e"},
        "paths": {"data": "/data"},
        "storage": ".runs",
    }
    return Part(**(fields | changes))


def joint(**changes: Any) -> Part:
    """Joint training of the stack."""
    return replace(
        part(**changes),
        name="joint",
        kind="joint",
        level=None,
        settings=to_dict(JointConfig()),
    )


def edited(stack: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    """A copy of the configuration with one setting changed."""
    changed = copy.deepcopy(stack)
    inner: Any = changed
    for name in path[:-1]:
        inner = inner[name]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    "changes",
    [
        {"paths": {"data": "/elsewhere"}},
        {"storage": "s3://bucket/runs"},
        {"cpus": 7.0, "gpus": 0.5, "workers": 2},
        {"device": "cuda", "checkpoint_seconds": 1.0, "resident_bytes": 0},
    ],
)
def test_where_and_on_how_much_it_runs_is_not_in_the_key(changes):
    assert part(**changes).key == part().key


def test_another_levels_settings_are_not_in_a_levels_key():
    other = edited(STACK, "levels", 1, "lambda_ent", value=5.0)
    assert part(0, stack=other).key == part(0).key
    assert joint(stack=other).key != joint().key


def test_how_the_encoder_was_trained_is_in_no_levels_key_but_its_nets_are():
    trained_longer = edited(STACK, "encoder", "total_images", value=1)
    assert part(stack=trained_longer).key == part().key
    wider = edited(STACK, "encoder", "width", value=64)
    assert part(stack=wider).key != part().key


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": edited(STACK, "levels", 0, "lr_g", value=0.5)["levels"][0]},
        {"settings": edited(STACK, "levels", 0, "seed", value=2)["levels"][0]},
        {"settings": edited(STACK, "levels", 0, "total_images", value=5)["levels"][0]},
        {"inputs": {"data": "d", "encoder": "other"}},
        {"inputs": {"data": "other", "encoder": "e"}},
        {"stack": edited(STACK, "image", "height", value=32)},
        {"level": 1},
    ],
)
def test_what_decides_the_result_is_in_the_key(changes):
    assert part(**changes).key != part().key


def test_the_order_of_settings_does_not_count():
    turned = dict(reversed(list(STACK["levels"][0].items())))
    assert part(settings=turned).key == part().key


def test_a_key_is_short_and_part_of_the_folder():
    one = part()
    assert len(one.key) == 20
    assert set(one.key) <= set("0123456789abcdef")
    assert one.folder == f"level0/{one.key}"
    assert one.total_images == STACK["levels"][0]["total_images"]


def test_a_part_travels_and_keeps_its_key():
    one = part()
    assert pickle.loads(pickle.dumps(one)) == one
    assert replace(one, cpus=3.0).key == one.key


def test_the_code_of_each_kind_is_there():
    for kind, files in TRAINING_CODE.items():
        assert [name for name in files if not (SGAN / name).is_file()] == [], kind
        assert len(code_version(kind)) == 64
    assert len({code_version("encoder"), code_version("level")}) == 2


def version_after(folder: Path, name: str, old: str, new: str) -> tuple[str, str]:
    """`code_version("level")` of a copy of sgan, before and after an edit of one of its files."""
    shutil.copytree(SGAN, folder / "sgan", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "pipeline", folder / "pipeline")
    program = "from pipeline.parts.part import code_version; print(code_version('level'))"

    def version() -> str:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    before = version()
    path = folder / "sgan" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return before, version()


def test_wording_of_the_code_is_not_in_the_key(tmp_path):
    before, after = version_after(tmp_path, "losses.py", '"""', '"""Said in other words.\n\n')
    assert after == before


def test_code_that_trains_is_in_the_key(tmp_path):
    before, after = version_after(tmp_path, "losses.py", "\ndef ", "\nONE_MORE = 1\n\n\ndef ")
    assert after != before


@pytest.mark.parametrize(
    ("stage", "kind"), [("encoder", "encoder"), ("levels", "level"), ("joint", "joint")]
)
def test_dvc_looks_at_all_code_that_a_key_covers(stage, kind):
    """Otherwise an edit changes the key and DVC still says that everything is up to date."""
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    watched = [ROOT / name for name in deps]
    assert [
        path for path in watched if not str(path).count("artifacts") and not path.exists()
    ] == []
    missing = [
        name
        for name in TRAINING_CODE[kind]
        if not any((SGAN / name).is_relative_to(path) for path in watched)
    ]
    assert missing == []
