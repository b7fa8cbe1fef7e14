"""Joint training from files: what it starts from, and which files it opens."""

from pathlib import Path

import pytest
import torch

from pipeline.data import features
from pipeline.parts.part import Identity
from pipeline.parts.recipes import joint
from sgan.config import JointConfig
from sgan.errors import WeightsError
from sgan.training import assembly
from sgan.training.batches import TensorBatches
from sgan.training.comm import Comm
from sgan.weights import load_encoder, load_levels

CPU = torch.device("cpu")
SETTINGS = JointConfig(batch_size=6, total_images=12)
SCRATCH = JointConfig(batch_size=6, total_images=12, init="scratch")


@pytest.mark.parametrize("settings", [SETTINGS, SCRATCH], ids=["levels", "scratch"])
def test_it_trains_as_the_method_does_on_the_same_tensors(
    settings, config, files, part, pixels, same
) -> None:
    mine = part(Identity.of_joint(config, settings, {}))
    from_files = joint.task(mine, CPU, Comm())
    columns = joint.columns(mine, from_files)
    fed = joint.batches(from_files, files["data"], *columns, device=CPU, resident_bytes=2**20)

    encoder = load_encoder(Path(files["encoder"])).state_dict()
    levels = load_levels(Path(files["level0"])) | load_levels(Path(files["level1"]))
    by_hand = assembly.joint(config, settings, encoder, levels)
    hidden = {0: pixels, 1: features.read(files["features"], "h1")}
    given = TensorBatches(hidden, torch.arange(24) % 10, by_hand.to_h0, 6, by_hand.seed)
    assert same(from_files.state_dict(), by_hand.state_dict())
    for step in (0, 1):
        assert same(from_files.step(step, fed(step)), by_hand.step(step, given(step)))
    assert same(from_files.state_dict(), by_hand.state_dict())


def test_its_columns_are_those_that_the_task_needs(config, files, part) -> None:
    mine = part(Identity.of_joint(config, SETTINGS, {}))
    upper, y = joint.columns(mine, joint.task(mine, CPU, Comm()))
    assert upper.keys() == {1}
    assert torch.equal(upper[1], features.read(files["features"], "h1"))
    assert torch.equal(y, torch.arange(24) % 10)


def test_from_scratch_it_reads_no_level_and_else_it_needs_each(config, part, tmp_path) -> None:
    none = {f"level{i}": str(tmp_path / f"none{i}") for i in (0, 1)}
    joint.task(part(Identity.of_joint(config, SCRATCH, {}), **none), CPU, Comm())
    with pytest.raises(WeightsError, match="none1: no such weights file"):
        mine = part(Identity.of_joint(config, SETTINGS, {}), level1=none["level1"])
        joint.task(mine, CPU, Comm())
