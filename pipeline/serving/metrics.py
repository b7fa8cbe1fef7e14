"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one server.

    Args:
        waiting: how many images wait now.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "sgan_requests", "Requests, by path and status.", ("path", "status"), registry=registry
        )
        self.seconds = Histogram(
            "sgan_request_seconds", "From a request's head to its answer's end.", ("path",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.batches = Histogram(
            "sgan_batch_images", "Images drawn together.", buckets=_SIZES, registry=registry
        )
        self.switches = Counter(
            "sgan_model_switches", "Other weights taken up while serving.", registry=registry
        )
        self.failures = Counter(
            "sgan_model_check_failures", "Looks for other weights that failed.", registry=registry
        )
        self._model = Gauge(
            "sgan_model", "1 for the weights that are served.", ("model", "version", "sha256"),
            registry=registry,
        )  # fmt: skip
        gauge = Gauge("sgan_images_waiting", "Asked for and not drawn yet.", registry=registry)
        gauge.set_function(waiting)

    def serves(self, model: str, version: str, sha256: str) -> None:
        """Say which weights are served from now on."""
        self._model.clear()
        self._model.labels(model, version, sha256[:12]).set(1)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
