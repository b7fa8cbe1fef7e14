import io

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.data import feature_writer, features, opening
from pipeline.errors import UserError


def test_round_trip_of_vectors_maps_and_labels(arrays, tmp_path):
    path = tmp_path / "deep" / "features.arrow"
    feature_writer.write(path, arrays, {"encoder": "abc"})
    for name, array in arrays.items():
        tensor = features.read(path, name)
        assert tensor.dtype == torch.from_numpy(array).dtype
        assert torch.equal(tensor, torch.from_numpy(array))
    assert features.columns(path) == {"h1": (70, 16), "h2": (70, 3, 4, 5), "y": (70,)}
    assert features.metadata(path) == {"encoder": "abc"}


def test_mapping_outlives_the_file(arrays, tmp_path):
    path = tmp_path / "f.arrow"
    feature_writer.write(path, arrays)
    tensor = features.read(path, "h1")
    feature_writer.write(path, {"h1": np.zeros((2, 2), np.float32)})
    path.unlink()
    assert torch.equal(tensor, torch.from_numpy(arrays["h1"]))


def test_read_errors(arrays, tmp_path):
    path = tmp_path / "f.arrow"
    with pytest.raises(UserError, match=r"f\.arrow does not exist\. Run `dvc repro features`"):
        features.read(path, "h1")
    feature_writer.write(path, arrays)
    with pytest.raises(UserError, match="no column 'h9'; it has h1, h2, y"):
        features.read(path, "h9")
    for size in (0, 100, path.stat().st_size // 2, path.stat().st_size - 4):
        path.write_bytes(path.read_bytes()[:size] if size else b"")
        with pytest.raises(UserError, match=r"f\.arrow: truncated or damaged features"):
            features.read(path, "h1")
        feature_writer.write(path, arrays)


def test_an_address_is_opened_by_its_scheme_and_a_buffer_is_used_where_it_is(
    arrays, tmp_path, monkeypatch
):
    path = tmp_path / "f.arrow"
    feature_writer.write(path, arrays)
    content = np.fromfile(path, np.uint8)
    monkeypatch.setattr(opening, "_openers", {})
    opening.register("object", lambda address: pa.BufferReader(pa.py_buffer(content)))
    opening.register("plain", lambda address: io.BytesIO(path.read_bytes()))
    for scheme in ("object", "plain"):
        tensor = features.read(f"{scheme}://digest/f.arrow", "h1")
        assert torch.equal(tensor, torch.from_numpy(arrays["h1"]))
    start = features.read("object://digest/f.arrow", "h1").data_ptr() - content.ctypes.data
    assert 0 < start < content.nbytes
