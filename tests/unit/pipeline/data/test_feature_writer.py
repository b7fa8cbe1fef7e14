"""Features written whole or in batches are the same file, and an unfinished one is never seen."""

import numpy as np
import pytest
import torch

from pipeline.data import feature_writer, features


def test_batches_give_the_same_bytes_as_whole_arrays(arrays, tmp_path):
    feature_writer.write(tmp_path / "whole.arrow", arrays, {"k": "v"})
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    with feature_writer.Writer(
        tmp_path / "b.arrow", 70, shapes, {"k": "v"}, {"y": "int64"}
    ) as writer:
        for start in range(0, 70, 32):
            writer.append({name: array[start : start + 32] for name, array in arrays.items()})
    assert (tmp_path / "b.arrow").read_bytes() == (tmp_path / "whole.arrow").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.arrow", "whole.arrow"]


def test_failure_in_the_middle_leaves_the_old_file(arrays, tmp_path):
    path = tmp_path / "f.arrow"
    feature_writer.write(path, {"h": arrays["h1"]})
    with pytest.raises(RuntimeError), feature_writer.Writer(path, 70, {"h": (16,)}) as writer:
        writer.append({"h": arrays["h1"][:10]})
        raise RuntimeError("killed")
    with (
        pytest.raises(ValueError, match="10 rows written of 70"),
        feature_writer.Writer(path, 70, {"h": (16,)}) as writer,
    ):
        writer.append({"h": arrays["h1"][:10]})
    assert torch.equal(features.read(path, "h"), torch.from_numpy(arrays["h1"]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.arrow"]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"h": np.zeros((1, 2))}, "float64"),
        ({"h": np.zeros((1, 3), np.float32)}, r"\[3\], announced as float32 \[2\]"),
        ({"h": np.zeros((9, 2), np.float32)}, "9 rows, but the file was announced with 4"),
        ({"g": np.zeros((1, 2), np.float32)}, r"needs \['h'\]"),
    ],
)
def test_batches_that_do_not_fit(tmp_path, batch, message):
    with (
        pytest.raises(ValueError, match=message),
        feature_writer.Writer(tmp_path / "f", 4, {"h": (2,)}) as w,
    ):
        w.append(batch)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": np.zeros((2, 2), np.float32), "b": np.zeros((3, 2), np.float32)}, "one length"),
        ({"a": np.zeros((2, 2))}, "column 'a' is float64; allowed: float32, int64"),
        ({}, "one length"),
        ({"a": np.zeros((0, 2), np.float32)}, "at least 1"),
    ],
)
def test_columns_that_cannot_be_written(tmp_path, columns, message):
    with pytest.raises(ValueError, match=message):
        feature_writer.write(tmp_path / "f", columns)
