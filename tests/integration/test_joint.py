"""Joint training from nothing, as the authors' MNIST script also does (`joint.init: scratch`)."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.alone]


def apart(project, stack: Path) -> dict[str, float]:
    """Mean distance of each G_i's and D_i's weights in a stack from those of the level alone.

    In units of the weights' own deviation: two draws of one normal are 1.13 apart.
    """
    whole, found = load_file(stack), {}
    for level in (0, 1):
        alone = load_file(project.root / f"artifacts/levels/level{level}.safetensors")
        for net in ("generator", "discriminator"):
            weights = [
                ((whole[f"levels.{name}"] - value).abs().mean() / value.std()).item()
                for name, value in alone.items()
                if name.startswith(f"{level}.{net}") and value.dim() > 1
            ]
            assert len(weights) >= 3
            found[f"{net} {level}"] = sum(weights) / len(weights)
    return found


def test_from_scratch_is_not_from_the_levels(project):
    stack = project.root / "artifacts/joint/stack.safetensors"
    before = load_file(stack)
    assert max(apart(project, stack).values()) < 0.2  # 15 steps from the levels
    keys = project.keys("joint")

    # A seed of its own: with level 0's it would draw level 0's first weights again.
    project.edit(joint={"init": "scratch", "seed": 5})
    assert "joint: trained" in project.sgan("joint")
    after = apart(project, stack)
    assert min(after.values()) > 0.6, after
    assert len(project.keys("joint") - keys) == 1

    # It trains as joint training does: each level's losses are there, and E is as it was.
    metrics = json.loads((project.root / "metrics/joint.json").read_text())
    assert metrics["images_seen"] == 1500
    assert {"level0", "level1"} <= metrics.keys()
    encoders = [
        {name: value for name, value in tensors.items() if name.startswith("encoder.")}
        for tensors in (before, load_file(stack))
    ]
    assert encoders[0].keys() == encoders[1].keys() != set()
    assert all(encoders[0][name].equal(encoders[1][name]) for name in encoders[0])
