"""The served stack: its classes and what is told of it."""

import hashlib

import pytest

from pipeline.serving.model import load
from pipeline.serving.sources import WeightsFile
from sgan.errors import WeightsError


def test_what_is_told(model, weights):
    told = model.facts()
    assert told["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert told["training_images"] == 0
    assert told["sample_options"] == f"--weights {weights}"


@pytest.mark.parametrize(
    ("given", "label"),
    [(3, 3), ("3", 3), ("09", 9), (10, None), (-1, None), ("-1", None), ("", None), ("x", None)],
)
def test_classes_by_number_or_name(model, given, label):
    assert model.label_of(given) == label


def test_a_name_comes_before_a_number(model):
    from dataclasses import replace

    named = replace(model, classes=("Cat", "0"))
    assert [named.label_of(given) for given in ("cat", "0", 0)] == [0, 1, 0]


def test_directions_are_found_once(model):
    assert model.directions() is model.directions()


def test_a_damaged_file(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing")
    source = WeightsFile(path)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load(source, source.version())
