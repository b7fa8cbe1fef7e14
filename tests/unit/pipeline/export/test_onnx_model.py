"""What the ONNX file says of itself. That it draws: tests/integration/test_onnx.py."""

import json
from pathlib import Path

from pipeline.export.onnx_model import input_names, metadata
from sgan.weights import load_stack


def test_it_says_how_to_ask_it(weights: Path) -> None:
    stack = load_stack(weights)
    assert input_names(stack) == ["label", "z_1", "z_0"]
    found = metadata(stack, ("zero", "one"), "ab" * 32)
    assert {name: json.loads(value) for name, value in found.items()} == {
        "classes": ["zero", "one"],
        "z": {name: {"length": 4, "low": 0.0, "high": 1.0} for name in ("z_1", "z_0")},
        "image": {"channels": 1, "height": 28, "width": 28},
        "weights_sha256": "ab" * 32,
    }
