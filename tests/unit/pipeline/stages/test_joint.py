"""The joint stage where it is switched off: the levels on top of each other, as they are.

Joint training itself, from the levels and from scratch: tests/integration/test_joint.py.
"""

import json
from pathlib import Path

import pytest
import torch

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import opened
from pipeline.stages import joint
from sgan.weights import load_stack


def test_switched_off_it_stacks_the_levels(project: Path, edit, levels, encoder, capsys) -> None:
    edit("joint", enabled=False)
    joint.main()
    stack = load_stack(project / paths.STACK_WEIGHTS)
    for i, alone in enumerate(levels):
        own = alone.level(i).state_dict()
        found = stack.level(i).state_dict()
        assert own.keys() == found.keys()
        assert all(torch.equal(own[name], found[name]) for name in own)
    for name, value in encoder.state_dict().items():
        assert torch.equal(stack.encoder.state_dict()[name], value)
    metrics = json.loads((project / "metrics/joint.json").read_text())
    assert metrics.keys() == {"images_seen", "seconds"} and metrics["images_seen"] == 0
    assert (project / "plots/joint.csv").read_text().split() == ["images_seen", "0"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("joint: off")


def test_without_the_levels_it_says_so(project: Path, edit, encoder) -> None:
    edit("joint", enabled=False)
    with pytest.raises(UserError, match=r"level0\.safetensors does not exist; run `dvc repro`"):
        joint.main()
    assert not (project / paths.STACK_WEIGHTS).exists()


def test_only_what_is_trained_needs_the_features(project: Path, edit, levels) -> None:
    with pytest.raises(UserError, match=r"features\.arrow does not exist; run `dvc repro`"):
        joint.main()
    with opened("joint") as stage:
        without = stage.encoder_inputs()
        edit("joint", enabled=False)
    with opened("joint") as stage:
        inputs = joint.joint_part(stage).identity.inputs
    assert inputs.keys() == {*without, "level0", "level1"}
