"""What travels to a part: its own inputs and no others, checked where they are made files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.cluster.supply import Supply
from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset
from pipeline.data.manifest import FILE
from pipeline.errors import UserError
from pipeline.params.settings import DataConfig
from pipeline.parts.part import Identity, Part, Placement
from pipeline.parts.supplying import at_hand, bundles, file_sha256, supplied
from pipeline.storage.store import Storage
from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig

LEVELS = (LevelConfig(), LevelConfig())
STACK = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), LEVELS)
NAMES = ("encoder", "features", "level0", "level1")


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    images, labels = np.zeros((20, 28, 28, 1), np.uint8), np.arange(20) % 10
    dataset = Dataset(images, labels, images[:10], labels[:10], tuple("0123456789"))
    settings = DataConfig("custom", "here", shard_images=10)
    shard_writer.write(dataset, tmp_path / "data", settings)
    for name in NAMES:
        (tmp_path / name).write_text(name)
    return {name: str(tmp_path / name) for name in ("data", *NAMES)}


def part(identity: Identity, inputs: dict[str, str]) -> Part:
    return Part(identity, Placement(inputs, "runs"))


def test_an_upper_level_gets_no_image(inputs: dict[str, str]) -> None:
    for level, shards in ((0, 2), (1, 0)):
        found = bundles(part(Identity.of_level(STACK, level, {}), inputs))
        assert list(found) == ["data", "encoder", "features"]
        assert found["data"].names[0] == FILE
        assert len(found["data"].names) == 1 + shards, "of the training split"


def test_each_part_gets_what_it_is_trained_from(inputs: dict[str, str]) -> None:
    digest = hashlib.sha256(b"encoder").hexdigest()
    encoder = bundles(part(Identity.of_encoder(STACK, {}), inputs))
    assert list(encoder) == ["data"]
    joint = bundles(part(Identity.of_joint(STACK, JointConfig(), {"encoder": digest}), inputs))
    assert list(joint) == ["data", "encoder", "features", "level0", "level1"]
    assert joint["encoder"].digest == digest
    scratch = bundles(part(Identity.of_joint(STACK, JointConfig(init="scratch"), {}), inputs))
    assert list(scratch) == ["data", "encoder", "features"]


def test_addresses_take_the_place_of_paths(inputs: dict[str, str], tmp_path: Path) -> None:
    supply = Supply(0, Storage(tmp_path / "runs"), lambda bundle: True)
    found = supplied(part(Identity.of_level(STACK, 1, {}), inputs), supply)
    own = ("data", "encoder", "features")
    assert found.placement.inputs == {name: inputs[name] for name in own}
    assert found.placement.objects == {}


def test_weights_become_files_that_have_their_digest(
    inputs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.data import opening

    monkeypatch.setattr(opening, "_openers", {})
    opening.register("s3", lambda address: (tmp_path / address.split("/")[-1]).open("rb"))
    digest = hashlib.sha256(b"encoder").hexdigest()
    away = {"data": "s3://b/d", "encoder": f"s3://b/{digest}/encoder"}
    mine = at_hand(part(Identity.of_encoder(STACK, {}), away), tmp_path / "copies")
    assert mine.placement.inputs["data"] == "s3://b/d"
    assert Path(mine.placement.inputs["encoder"]).read_text() == "encoder"
    away["encoder"] = f"s3://b/{digest}/level0"
    with pytest.raises(UserError, match="not the one in its address"):
        at_hand(part(Identity.of_encoder(STACK, {}), away), tmp_path / "copies")


def test_the_digest_of_a_file_and_of_none(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    assert file_sha256(tmp_path / "w") == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError, match=r"none does not exist; run `dvc repro`"):
        file_sha256(tmp_path / "none")
