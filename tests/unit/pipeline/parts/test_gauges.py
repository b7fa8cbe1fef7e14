"""What Prometheus is told; that a node exports it is seen in tests/integration/test_compose.py."""

import logging
from typing import Any

import pytest

from pipeline.parts import gauges
from pipeline.parts.gauges import Gauges


class Kept:
    """Stands for a metric of Ray's, which needs a node: keeps what it is told."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.told[tags["part"]] = value

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.told[tags["part"]] = self.told.get(tags["part"], 0) + value


def test_a_report_becomes_numbers_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: Kept() for name in gauges.NAMES}
    monkeypatch.setattr(gauges, "_made", lambda: kept)
    told = Gauges()
    told.tell("level0", 100, 1000, {"loss_d": 1.0}, 350.0)
    told.tell("level1", 10, 20, {"loss_d": float("nan"), "loss_g": float("inf")}, 7.0)
    told.tell("level1", 20, 20, {"loss_d": float("nan")}, 8.0)
    assert {name: one.told for name, one in kept.items()} == {
        "sgan_images_per_second": {"level0": 350.0, "level1": 8.0},
        "sgan_images_seen": {"level0": 100, "level1": 20},
        "sgan_images_total": {"level0": 1000, "level1": 20},
        "sgan_values_not_finite": {"level1": 3},
    }


def test_a_training_that_ends_at_such_a_value_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its step raises, so no report comes of it."""
    kept = {name: Kept() for name in gauges.NAMES}
    monkeypatch.setattr(gauges, "_made", lambda: kept)
    told = Gauges()
    told.not_finite("level0")
    told.not_finite("level0")
    assert kept["sgan_values_not_finite"].told == {"level0": 2}
    assert not kept["sgan_images_seen"].told


def test_metrics_that_cannot_be_told_cost_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Any:
        raise RuntimeError("no node")

    monkeypatch.setattr(gauges, "_made", refuse)
    told = Gauges()
    with caplog.at_level(logging.WARNING):
        told.tell("level0", 1, 2, {}, 1.0)
        told.tell("level0", 2, 2, {}, 1.0)
    assert [record.message for record in caplog.records] == [
        "Prometheus is told nothing (RuntimeError: no node)"
    ]
