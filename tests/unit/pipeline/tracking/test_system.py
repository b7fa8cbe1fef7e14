"""The machine's load: looked at while a run is open, and not taken for what the run measured."""

import time

import pytest

from pipeline.tracking import run as tracking_run
from pipeline.tracking.lineage import Lineage
from pipeline.tracking.system import PREFIX, SystemMonitor
from pipeline.tracking.tracker import Tracker


def waited_for(monitor: SystemMonitor, count: int) -> list:
    found: list = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.02)
        found += monitor.take()
    return found


def test_it_looks_again_and_again_until_it_is_stopped() -> None:
    monitor = SystemMonitor(int(time.time() * 1000) - 5000, every_s=0.05)
    found = waited_for(monitor, 30)
    monitor.stop()
    keys = {sample.key for sample in found}
    assert keys >= {
        f"{PREFIX}{name}"
        for name in (
            "cpu_utilization_percentage",
            "system_memory_usage_percentage",
            "disk_usage_percentage",
            "network_receive_megabytes",
        )
    }
    memory = [s.value for s in found if s.key == f"{PREFIX}system_memory_usage_percentage"]
    assert len(memory) > 1
    assert all(0 < value <= 100 for value in memory)
    assert all(5 <= sample.step < 60 for sample in found)
    monitor._thread.join(5)
    assert not monitor._thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs look every twentieth of a second."""
    monkeypatch.setattr(
        tracking_run, "SystemMonitor", lambda began_ms: SystemMonitor(began_ms, every_s=0.05)
    )


def test_a_stage_s_run_has_it_and_goes_on_for_all_that(
    quick: None, tracker: Tracker, line: Lineage
) -> None:
    """A stage that trains nothing begins anew once it has measured something; this is not that."""
    with pytest.raises(KeyboardInterrupt):
        with tracker.stage(line, "evaluate") as run:
            time.sleep(0.6)
            raise KeyboardInterrupt
    stopped = tracker.client.get_run(run.run_id)
    assert stopped.data.metrics[f"{PREFIX}system_memory_usage_percentage"] > 0
    with tracker.stage(line, "evaluate") as again:
        again.log_metrics([("fid", 1.0, 1)])
    assert again.run_id == run.run_id
    with tracker.stage(line, "evaluate") as third:
        pass
    assert third.run_id != run.run_id
