"""Minutes are planned once; what lies there of other minutes is not gone on with."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import train_npz
from benchmarks.npz import planning
from benchmarks.npz.data import BadInput, Data


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Data]:
    monkeypatch.setattr(planning, "measured", lambda *_: {"level 0": {"ratio": 2.0}})
    command = ["set.npz", "--preset", "mnist", "--out", str(tmp_path), "--minutes", "2"]
    pixels, y = torch.zeros(6, 1, 28, 28, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64)
    data = Data(pixels, y, pixels[:2], y[:2], "digest")
    return train_npz.parse(command), SimpleNamespace(run=SimpleNamespace(out=tmp_path)), data


def test_what_is_left_beside_scoring_is_kept(asked: tuple[Any, Any, Data], tmp_path: Path) -> None:
    options, training, data = asked
    assert options.samples == 50_000
    began = time.monotonic() - 10
    kept = planning.planned(options, training, data, [], began)
    assert kept["seconds"] == pytest.approx(120 * 0.98 - 10, abs=1)
    assert kept["steps"] == {"level 0": {"ratio": 2.0}}
    again = planning.planned(options, training, data, [], began - 50)
    assert again == kept
    options.minutes = 3
    with pytest.raises(BadInput, match=r"plan.json is of 2 minutes: another --out, or --no-resume"):
        planning.planned(options, training, data, [], began)
    options.resume = False
    anew = planning.planned(options, training, data, [], began)
    assert anew["seconds"] == pytest.approx(kept["seconds"] + 60 * 0.98, abs=1)


class Slow:
    """A judge that takes a minute for what it is asked."""

    def outputs(self, images: Any) -> None:
        Slow.now += 60.0

    now = 0.0


def test_minutes_that_scoring_takes_alone(
    asked: tuple[Any, Any, Data], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, training, data = asked
    monkeypatch.setattr(planning.scores.time, "perf_counter", lambda: Slow.now)
    judges: Any = [Slow()]
    with pytest.raises(BadInput, match=r"^--minutes 2: measuring and scoring alone take \d+\.\d;"):
        planning.planned(options, training, data, judges, time.monotonic())
    assert not (tmp_path / "plan.json").exists()
