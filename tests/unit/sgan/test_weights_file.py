"""A weights file: tensors and card come back, and another file is refused by name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sgan.config import EncoderConfig, ImageConfig, StackConfig, to_dict
from sgan.errors import WeightsError
from sgan.weights_file import fill, read_card, read_config, read_tensors, write


def test_tensors_and_card_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "transposed": whole.T,
        "trained": whole.clone().requires_grad_(),
        "half": torch.tensor([1.5, -0.25], dtype=torch.bfloat16),
        "count": torch.tensor(3),
    }
    write(path, "levels", tensors, {"width": 8}, {"images": 60, "name": "Ä"})
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    card = {"kind": "levels", "config": {"width": 8}, "images": 60, "name": "Ä", "format": 1}
    assert read_card(path) == read_card(path, "levels") == card


def test_what_is_said_about_it_cannot_change_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "w", "stack", {}, {"a": 1}, {"kind": "levels", "format": 7, "config": {}})
    assert read_card(tmp_path / "w", "stack")["config"] == {"a": 1}


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    """Digests of weights are in the keys of what is trained from them."""
    tensors = {"b": torch.ones(2), "a": torch.zeros(3)}
    write(tmp_path / "one", "stack", tensors, {"x": 1, "y": 2}, {"n": 1, "m": 2})
    again = dict(reversed(tensors.items()))
    write(tmp_path / "two", "stack", again, {"y": 2, "x": 1}, {"m": 2, "n": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_others_may_read_it(tmp_path: Path) -> None:
    write(tmp_path / "w", "stack", {}, {}, {})
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o644


def test_a_card_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write(tmp_path / "w", "stack", {}, {}, {"old": True})
    with pytest.raises(TypeError):
        write(tmp_path / "w", "stack", {}, {}, {"not json": object()})
    assert read_card(tmp_path / "w")["old"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_another_kind_a_folder_and_nothing(tmp_path: Path) -> None:
    write(tmp_path / "w", "encoder", {}, {}, {})
    with pytest.raises(WeightsError, match="w: holds 'encoder' weights; 'stack' are needed here"):
        read_card(tmp_path / "w", "stack")
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        read_card(tmp_path)
    with pytest.raises(WeightsError, match=r"none: no such weights file; train first"):
        read_card(tmp_path / "none")


def test_other_peoples_safetensors_and_other_formats(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(WeightsError, match="without an sgan model card"):
        read_card(tmp_path / "other")
    save_file({"a": torch.zeros(2)}, tmp_path / "new", {"sgan": json.dumps({"format": 99})})
    with pytest.raises(WeightsError, match="card format 99; this version reads 1"):
        read_card(tmp_path / "new")


def test_a_card_of_another_version_is_told(tmp_path: Path) -> None:
    config = to_dict(StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig()))
    write(tmp_path / "w", "encoder", {}, config, {})
    assert read_config(tmp_path / "w", "encoder").encoder == EncoderConfig()
    for changed in (
        {**config, "encoder": {**config["encoder"], "lambda_new": 1.0}},
        {**config, "encoder": {**config["encoder"], "architecture": "tiny"}},
        {name: value for name, value in config.items() if name != "image"},
    ):
        write(tmp_path / "w", "encoder", {}, changed, {})
        with pytest.raises(WeightsError, match=r"w: its model card is of another version of sgan"):
            read_config(tmp_path / "w", "encoder")


def test_tensors_that_are_not_a_modules_are_told() -> None:
    module = torch.nn.Linear(2, 3)
    fill(module, {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "misfit")
    assert torch.equal(module.weight, torch.ones(3, 2))
    with pytest.raises(WeightsError, match=r"(?s)^x\.safetensors: no fit: .*size mismatch"):
        fill(module, {"weight": torch.ones(2, 2), "bias": torch.zeros(3)}, "x.safetensors: no fit")
