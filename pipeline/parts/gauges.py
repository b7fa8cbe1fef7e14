"""What a part's worker tells Prometheus, through the node of Ray that it runs on.

Ray prefixes the names with `ray_` and adds the node; infra/monitoring has the dashboard.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

_logger = logging.getLogger(__name__)

NAMES = {
    "sgan_images_per_second": "Training images a second since the report before.",
    "sgan_images_seen": "Training images that the part has seen.",
    "sgan_images_total": "Training images that it has seen when it is done.",
    "sgan_values_not_finite": "Values of training that were no finite numbers, which ends it.",
}


class Gauges:
    """The numbers of the parts that a process trains. Made when first told something, in a process
    that is connected to Ray; where Ray does not take them, training goes on without."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._refused = False

    def tell(
        self, part: str, seen: int, total: int, metrics: Mapping[str, float], speed: float
    ) -> None:
        """Set them from a report; arguments as of `pipeline.parts.sink.MetricHub.report`."""
        bad = sum(not math.isfinite(value) for value in metrics.values())
        values = {
            "sgan_images_per_second": speed,
            "sgan_images_seen": seen,
            "sgan_images_total": total,
        }
        self._tell(part, values, bad)

    def not_finite(self, part: str) -> None:
        """Count the value at which a training of it ended: no report tells of that one."""
        self._tell(part, {}, 1)

    def _tell(self, part: str, values: Mapping[str, float], bad: int) -> None:
        if self._refused:
            return
        try:
            self._found = self._found or _made()
            for name, value in values.items():
                self._found[name].set(value, {"part": part})
            if bad:
                self._found["sgan_values_not_finite"].inc(bad, {"part": part})
        except Exception as error:
            self._refused = True
            _logger.warning("Prometheus is told nothing (%s: %s)", type(error).__name__, error)


def _made() -> dict[str, Any]:
    from ray.util.metrics import Counter, Gauge

    kinds = {name: Counter if name.endswith("_finite") else Gauge for name in NAMES}
    return {name: kinds[name](name, text, ("part",)) for name, text in NAMES.items()}
