"""How busy this machine is while a run is open, under MLflow's own names (`system/…`)."""

import threading
import time
from collections import deque
from typing import Any, NamedTuple

PREFIX = "system/"
EVERY_S = 10.0
_MOST = 10_000  # more than a day; then the oldest are given up


class Sample(NamedTuple):
    """A value of one moment; `step` is in seconds since the run began."""

    key: str
    value: float
    step: int
    timestamp_ms: int


class SystemMonitor:
    """Looks every ten seconds, until `stop`, at processor, memory, disk, network and, where MLflow
    can see one, GPU. A thread that sends nothing: whoever logs the run takes what has come.

    Args:
        began_ms: when the run began, milliseconds since 1970.
        every_s: seconds from one look to the next.
    """

    def __init__(self, began_ms: int, every_s: float = EVERY_S) -> None:
        self._began_ms, self._every_s = began_ms, every_s
        self._monitors = _monitors()  # here, where nothing else is being imported
        self._samples: deque[Sample] = deque(maxlen=_MOST)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="system-metrics", daemon=True)
        self._thread.start()

    def take(self) -> list[Sample]:
        """What has come since it was last asked."""
        found = []
        while self._samples:
            found.append(self._samples.popleft())
        return found

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _watch(self) -> None:
        for monitor in self._monitors:
            monitor.collect_metrics()  # of the processor the first says nothing yet
            monitor.clear_metrics()
        while not self._ended.wait(self._every_s):
            now_ms = int(time.time() * 1000)
            step = max(0, (now_ms - self._began_ms) // 1000)
            for monitor in self._monitors:
                monitor.collect_metrics()
                for key, value in monitor.aggregate_metrics().items():
                    self._samples.append(Sample(PREFIX + key, float(value), step, now_ms))
                monitor.clear_metrics()


def _monitors() -> list[Any]:
    """MLflow's own, of what this machine has."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

        found.append(GPUMonitor())
    except (ImportError, RuntimeError):  # no package for it, no driver, or no GPU
        pass
    return found
