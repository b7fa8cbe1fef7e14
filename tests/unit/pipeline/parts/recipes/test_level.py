"""A level from files is the level that the method makes of the same tensors, bit for bit."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.data import feature_writer, features
from pipeline.errors import UserError
from pipeline.parts import pictures, worker
from pipeline.parts.part import Identity
from pipeline.parts.pictures import Pictures
from pipeline.parts.recipes import level
from pipeline.parts.worker import Diverged, train_part
from sgan.config import EncoderConfig, LevelConfig
from sgan.encoder import Encoder
from sgan.errors import WeightsError
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import independent
from sgan.training.batches import TensorBatches
from sgan.training.comm import Comm
from sgan.training.loop import TrainingStopped
from sgan.training.terms import NonFiniteLoss
from sgan.weights import load_encoder

CPU = torch.device("cpu")


@pytest.mark.parametrize(("index", "key"), [(0, "samples"), (1, "features")])
def test_a_worker_sends_pictures_and_trains_the_same_weights(
    index, key, config, part, tmp_path, monkeypatch
) -> None:
    digests, sent = [], []
    for drawn in (True, False):
        mine = part(Identity.of_level(config, index, {}))
        mine = mine.placed(storage=str(tmp_path / str(drawn)), device="cpu", threads=1)
        with monkeypatch.context() as patch:
            if not drawn:
                patch.setattr(Pictures, "due", lambda *_: False)
                patch.setattr(Pictures, "draw", lambda *_: b"")
            result = train_part(mine, lambda *report: sent.append(report))
        digests.append(result["weights_sha256"])
    shown = [(report[1], report[6].key) for report in sent if len(report) > 6 and report[6].png]
    assert shown == [(0, key), (6, key), (12, key)]
    assert digests[0] == digests[1]


def test_where_reports_are_rare_a_resume_drops_no_look_and_no_picture(
    config, part, tmp_path, monkeypatch
) -> None:
    """As on a GPU. A picture is due from 15 images on, a look from 14; the report is of 24."""

    class Looks(list):
        every = 14

        def __call__(self, images_seen: int, task: object) -> None:
            self.append(images_seen)

    monkeypatch.setattr(worker, "_steps_per_report", lambda device: 2)
    monkeypatch.setattr(pictures, "POINTS", 2)
    longer = replace(config, levels=(config.levels[0], replace(config.levels[1], total_images=30)))
    mine = part(Identity.of_level(longer, 1, {}))
    mine = mine.placed(storage=str(tmp_path), device="cpu", threads=1)
    sent, looks, stops = [], Looks(), iter((False, False))

    def send(*report: object) -> None:
        sent.append(report)

    with pytest.raises(TrainingStopped):  # with a checkpoint of 18 images
        train_part(mine, send, should_stop=lambda: next(stops, True), watch=looks)
    train_part(mine, send, watch=looks)
    assert looks == [24]
    assert [report[1] for report in sent if len(report) > 6] == [0, 24, 30]


def test_a_training_that_diverges_is_told_to_who_counts_those(
    config, part, tmp_path, monkeypatch
) -> None:
    class Sender(list):
        not_finite = list.append

        def __call__(self, *report: object) -> None:
            pass

    def step(*_: object) -> None:
        raise NonFiniteLoss("level1/loss_g", math.nan)

    monkeypatch.setattr(AdversarialTask, "step", step)
    mine = part(Identity.of_level(config, 1, {}))
    mine, sender = mine.placed(storage=str(tmp_path), device="cpu", threads=1), Sender()
    with pytest.raises(Diverged, match="level1/loss_g is nan"):
        train_part(mine, sender)
    assert sender == [mine.name]


@pytest.mark.parametrize("index", [0, 1])
def test_it_trains_as_the_method_does_on_the_same_tensors(
    index, config, files, part, pixels, same
) -> None:
    mine = part(Identity.of_level(config, index, {}))
    from_files = level.task(mine, CPU, Comm())
    columns = level.columns(mine, from_files)
    fed = level.batches(from_files, files["data"], *columns, device=CPU, resident_bytes=2**20)

    encoder = load_encoder(Path(files["encoder"]))
    by_hand = independent(config, index, encoder.state_dict())
    hidden = {0: pixels, 1: features.read(files["features"], "h1")}
    own = {i: hidden[i] for i in by_hand.hidden_needed}
    given = TensorBatches(own, torch.arange(24) % 10, by_hand.to_h0, 6, by_hand.seed)
    assert same(from_files.state_dict(), by_hand.state_dict())
    for step in (0, 1):
        assert same(from_files.step(step, fed(step)), by_hand.step(step, given(step)))
    assert same(from_files.state_dict(), by_hand.state_dict())


@pytest.mark.parametrize(("index", "needed"), [(0, (0, 1)), (1, (1,))])
def test_its_columns_are_those_that_the_task_needs(index, needed, config, files, part) -> None:
    mine = part(Identity.of_level(config, index, {}))
    built = level.task(mine, CPU, Comm())
    assert built.hidden_needed == needed
    upper, y = level.columns(mine, built)
    assert upper.keys() == {1}
    assert torch.equal(upper[1], features.read(files["features"], "h1"))
    assert torch.equal(y, torch.arange(24) % 10)


def test_a_level_of_three_takes_no_other_levels_columns(config, part, tmp_path) -> None:
    three = replace(config, encoder=EncoderConfig(cut=("conv2", "fc")), levels=(LevelConfig(),) * 3)
    encoder = Encoder(three.image, three.encoder).state_dict()
    arrays = {name: np.ones((24, 2), np.float32) for name in ("h1", "h2")}
    path = tmp_path / "features.arrow"
    feature_writer.write(path, {**arrays, "y": np.arange(24)})
    for index, needed in ((0, {1}), (1, {1, 2}), (2, {2})):
        mine = part(Identity.of_level(three, index, {}), features=str(path))
        assert level.columns(mine, independent(three, index, encoder))[0].keys() == needed


def test_files_that_are_missing_or_of_other_nets_are_told(config, part, tmp_path) -> None:
    mine = part(Identity.of_level(config, 0, {}), features=str(tmp_path / "none.arrow"))
    with pytest.raises(UserError, match=r"none\.arrow does not exist"):
        level.columns(mine, level.task(mine, CPU, Comm()))
    with pytest.raises(WeightsError, match="none: no such weights file"):
        level.task(part(mine.identity, encoder=str(tmp_path / "none")), CPU, Comm())
    deeper = replace(
        config, encoder=EncoderConfig(cut=("conv2", "fc")), levels=(LevelConfig(),) * 3
    )
    with pytest.raises(WeightsError, match="weights of the encoder do not fit"):
        level.task(part(Identity.of_level(deeper, 0, {})), CPU, Comm())
