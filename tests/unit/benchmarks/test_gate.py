"""What the gate's benchmark reads of the ablations' table."""

import json
from pathlib import Path

import pytest

from benchmarks import gate


def test_both_names_of_the_distance_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = [{"fid_judge_3k": 1.0}, {"fid": 1.0}, {"fid": 2.0}, {"fid": 2.0}, {"gan_test": 1.0}]
    rows = [{"setting": "ab"[n // 2 % 2], "metrics": one} for n, one in enumerate(metrics)]
    monkeypatch.setattr(gate, "TABLE", tmp_path / "table.json")
    gate.TABLE.write_text(json.dumps({"experiments": rows}))
    assert {setting: len(found) for setting, found in gate.logs().items()} == {"a": 2, "b": 2}
    gate.TABLE.write_text(json.dumps({"experiments": rows[:2]}))
    with pytest.raises(SystemExit, match="at least two seeds are needed"):
        gate.logs()
