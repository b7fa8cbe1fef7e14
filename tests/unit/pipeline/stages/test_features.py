"""The features stage: every column is what E says of the same row's image."""

import json
from pathlib import Path

import pytest
import torch

from pipeline import paths
from pipeline.data import features as columns
from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages
from pipeline.stages import features


def test_columns_are_what_the_encoder_says_in_the_images_order(
    project: Path, encoder, real: RealImages, runs
) -> None:
    features.main()
    h = columns.read(project / paths.FEATURES_FILE, "h1")
    y = columns.read(project / paths.FEATURES_FILE, "y")
    assert (h.shape, y.tolist()) == ((2000, 256), real.train_labels.tolist())
    rows = torch.arange(0, 2000, 97)  # of both of its batches
    pixels = torch.from_numpy(real.train_images[rows.numpy()]).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = encoder.encode(encoder.to_h0(pixels))[1]
    torch.testing.assert_close(h[rows], expected, rtol=1e-4, atol=1e-6)
    said = json.loads((project / "metrics/features.json").read_text())
    assert said["h1"]["mean"] == pytest.approx(h.mean().item(), abs=1e-5)
    assert said["h1"]["zero_share"] == pytest.approx((h == 0).float().mean().item(), abs=1e-5)
    (run,) = runs("features")
    assert run.data.metrics["features/h1_std"] == pytest.approx(h.std().item(), abs=1e-5)
    assert len(run.data.tags["sgan.encoder_digest"]) == 64


def test_without_an_encoder_its_run_has_failed(project: Path, runs) -> None:
    with pytest.raises(UserError, match=r"encoder\.safetensors"):
        features.main()
    (run,) = runs("features")
    assert run.info.status == "FAILED"
    assert not (project / paths.FEATURES_FILE).exists()
