"""E from files: trained on the shards' images, with their mean where it centres by that."""

from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.parts.part import Identity
from pipeline.parts.recipes import encoder
from sgan.training.batches import TensorBatches
from sgan.training.classifier import pretraining
from sgan.training.comm import Comm

CPU = torch.device("cpu")


@pytest.mark.parametrize("centre", ["none", "pixel_mean"])
def test_it_trains_as_the_method_does_on_the_same_tensors(
    centre, config, files, part, pixels, same
) -> None:
    config = replace(config, image=replace(config.image, centre=centre))
    mine = part(Identity.of_encoder(config, {}))
    from_files = encoder.task(mine, CPU, Comm())
    columns = encoder.columns(mine, from_files)
    assert columns == ({}, None)
    fed = encoder.batches(from_files, files["data"], *columns, device=CPU, resident_bytes=2**20)

    mean = (pixels.double().sum(0) / (255 * len(pixels))).float()
    by_hand = pretraining(config.image, config.encoder, mean)
    given = TensorBatches({0: pixels}, torch.arange(24) % 10, by_hand.to_h0, 6, by_hand.seed)
    assert by_hand.encoder.mean_image.any() == (centre == "pixel_mean")
    assert same(from_files.state_dict(), by_hand.state_dict())
    for step in (0, 1):
        assert same(from_files.step(step, fed(step)), by_hand.step(step, given(step)))
    assert same(from_files.state_dict(), by_hand.state_dict())


def test_data_that_is_not_prepared_says_what_makes_it(config, part, tmp_path) -> None:
    mine = part(Identity.of_encoder(config, {}), data=str(tmp_path))
    with pytest.raises(UserError, match=r"manifest\.parquet does not exist. Run `dvc repro prep"):
        encoder.task(mine, CPU, Comm())
