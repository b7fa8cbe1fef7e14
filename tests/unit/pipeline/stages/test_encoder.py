"""The encoder stage, trained on few images: what it leaves, and that it does not train twice."""

import csv
import json
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.stages import encoder
from sgan.weights import load_encoder, read_card


def test_it_trains_once_and_then_finds_what_it_trained(project: Path, edit, runs, capsys) -> None:
    edit("encoder", total_images=600)
    edit("runtime", progress="none")
    encoder.main()
    metrics = json.loads((project / "metrics/encoder.json").read_text())
    assert metrics["images_seen"] == 600
    assert 0.1 <= metrics["test_accuracy"] <= 1
    (first,) = runs("encoder")
    assert first.info.status == "FINISHED"
    key = read_card(project / paths.ENCODER_WEIGHTS)["key"]
    assert first.data.tags["sgan.part_key"] == key
    assert first.data.metrics["encoder/test_accuracy"] == pytest.approx(
        metrics["test_accuracy"], abs=1e-5
    )
    rows = list(csv.DictReader((project / "plots/encoder.csv").open()))
    assert rows[-1]["images_seen"] == "600"

    weights = (project / paths.ENCODER_WEIGHTS).read_bytes()
    (project / paths.ENCODER_WEIGHTS).unlink()
    encoder.main()
    assert (project / paths.ENCODER_WEIGHTS).read_bytes() == weights
    assert runs("encoder")[-1].data.tags["sgan.reused"] == "true"
    assert "encoder: test accuracy" in capsys.readouterr().out
    assert not load_encoder(project / paths.ENCODER_WEIGHTS).training
