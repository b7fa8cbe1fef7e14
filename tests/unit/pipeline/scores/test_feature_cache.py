"""What is kept: found again, computed anew when damaged or when its code is another."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.scores import feature_cache
from pipeline.scores.feature_cache import FeatureCache, StoredCache, code_of
from pipeline.storage.store import Storage

MODULE = "pipeline.scores.ndb"


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    kept = FeatureCache(tmp_path)
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "of no dimension": np.array(7, np.int64)}
    made = kept(MODULE, "x", lambda: arrays)
    found = kept(MODULE, "x", dict)  # nothing is computed
    for name, array in arrays.items():
        for one in (made, found):
            np.testing.assert_array_equal(one[name], array)
            assert (one[name].dtype, one[name].shape) == (array.dtype, array.shape)


@pytest.mark.parametrize("damage", ["cut", "a bit", "nonsense"])
def test_a_damaged_file_is_computed_anew(damage: str, tmp_path: Path) -> None:
    kept = FeatureCache(tmp_path)
    kept(MODULE, "x", lambda: {"a": np.arange(100)})
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x40
    path.write_bytes({"cut": content[:-9], "a bit": content, "nonsense": b"no"}[damage])
    calls: list[int] = []
    again = kept(MODULE, "x", lambda: calls.append(1) or {"a": np.arange(100)})
    assert calls == [1] and again["a"].tolist() == list(range(100))
    assert kept(MODULE, "x", dict)["a"].tolist() == list(range(100))


def test_another_name_or_another_code_is_another_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = FeatureCache(tmp_path)
    kept(MODULE, "x", lambda: {"a": np.array([1])})
    assert kept(MODULE, "y", lambda: {"a": np.array([2])})["a"] == [2]
    assert kept("pipeline.scores.judge", "x", lambda: {"a": np.array([3])})["a"] == [3]
    monkeypatch.setattr(feature_cache, "code_of", lambda module: "edited")
    assert kept(MODULE, "x", lambda: {"a": np.array([4])})["a"] == [4]
    assert len(list(tmp_path.iterdir())) == 4


def test_the_code_is_a_digest_that_differs_by_module() -> None:
    one, other = code_of(MODULE), code_of("pipeline.scores.judge")
    assert len(one) == 64 and one != other and code_of(MODULE) == one
    assert code_of(f"{MODULE} pipeline.scores.judge") not in (one, other)
    assert code_of(f"{MODULE} ") == one


def test_the_same_in_a_storage_that_is_elsewhere(tmp_path: Path) -> None:
    kept = StoredCache(Storage(tmp_path), "judge")
    kept(MODULE, "x", lambda: {"a": np.arange(100)})
    assert kept(MODULE, "x", dict)["a"].tolist() == list(range(100))
    (path,) = (tmp_path / "judge").iterdir()
    path.write_bytes(b"no")
    assert kept(MODULE, "x", lambda: {"a": np.array([4])})["a"] == [4]
    assert FeatureCache(tmp_path / "judge")(MODULE, "x", dict)["a"] == [4], "under the same name"
