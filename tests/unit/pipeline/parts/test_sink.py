import copy
import logging
import threading
import time

import pytest

from pipeline.parts.curve import Curve
from pipeline.parts.sink import ActorSender, MetricHub, PartSink, Picture


class Recorder:
    """A sender that keeps what it is given."""

    def __init__(self):
        self.sent = []
        self.flushed = 0

    def __call__(self, *report):
        self.sent.append(report)

    def flush(self):
        self.flushed += 1


def test_nothing_is_sent_within_the_interval_and_the_mean_at_the_end():
    sender = Recorder()
    with PartSink("level0", 1000, sender, interval_s=60) as sink:
        sink.step(100, {"level0/loss_d": 1.0, "level0/loss_g_adv": 3.0})
        sink.step(200, {"level0/loss_d": 2.0})
        sink.step(300, {"level0/loss_d": 6.0, "level0/loss_g_adv": 5.0})
        assert sender.sent == []
    assert len(sender.sent) == 1
    part, seen, total, metrics, speed, curve = sender.sent[0]
    assert (part, seen, total, curve) == ("level0", 300, 1000, [])
    assert metrics == {"level0/loss_d": 3.0, "level0/loss_g_adv": 4.0}
    assert speed > 0
    assert sender.flushed == 1


def test_sends_once_per_interval_and_starts_each_mean_afresh(clock):
    """A step of 10 images every eighth of a second: from the first step on, four an interval."""
    sender = Recorder()
    sink = PartSink("level0", 10_000, sender, interval_s=0.5)
    for step in range(1, 12):
        sink.step(10 * step, {"m": float(step)})
        clock.now += 0.125
    assert [report[1] for report in sender.sent] == [50, 90]
    assert [report[3]["m"] for report in sender.sent] == [3.0, 7.5]  # of 1 to 5, of 6 to 9
    assert [report[4] for report in sender.sent] == [80.0, 80.0]


def test_speed_of_a_resumed_part_counts_only_what_is_done_here(clock):
    sender = Recorder()
    sink = PartSink("level0", 2_000_000, sender, images_seen=1_000_000, interval_s=0.1)
    clock.now += 1000  # from its construction to the first step: loading, compiling
    sink.step(1_000_100, {"m": 0.0})
    clock.now += 0.125
    sink.step(1_000_200, {"m": 0.0})
    assert sender.sent[0][4] == 800  # 100 images in an eighth of a second, not a million


def test_the_whole_curve_is_sent_whenever_a_point_is_new(clock):
    """So a report may be lost: the next one with a point has the points of the lost one too."""
    sender, curve = Recorder(), Curve(1000, points=10)
    sink = PartSink("level0", 1000, sender, rows=curve.rows, interval_s=0.1)
    for seen in range(50, 1001, 50):
        curve.add(seen, {"m": float(seen)})
        sink.step(seen, {"m": float(seen)})
        clock.now += 0.125
    sink.close()
    sent = [[row["images_seen"] for row in report[5]] for report in sender.sent]
    assert sent[-1] == list(range(100, 1001, 100))
    assert all(one == sent[-1][: len(one)] for one in sent)
    assert [] in sent[1:], "nothing where no point is new"


def test_a_resumed_part_offers_the_curve_of_its_checkpoint_at_once():
    sender = Recorder()
    PartSink("level0", 1000, sender, rows=[{"images_seen": 100, "m": 1.0}], images_seen=150).close()
    assert sender.sent == [("level0", 150, 1000, {}, 0.0, [{"images_seen": 100, "m": 1.0}])]


def test_close_without_a_step_sends_nothing():
    sender = Recorder()
    PartSink("level0", 10, sender, images_seen=5).close()
    assert sender.sent == []


def test_a_failing_sender_warns_once_and_does_not_stop_training(caplog):
    def broken(*report):
        raise ConnectionError("actor is gone")

    with caplog.at_level(logging.WARNING):
        with PartSink("level0", 100, broken, interval_s=0.0) as sink:
            for seen in (10, 20, 30):
                sink.step(seen, {"m": 1.0})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "level0" in caplog.text and "actor is gone" in caplog.text


def test_points_of_a_report_that_failed_are_in_the_next_one():
    arrived = []

    def refuses_pictures(*report):
        if len(report) > 6:
            raise ValueError("too large")
        arrived.append(report)

    rows = [{"images_seen": 100, "m": 1.0}]
    with PartSink("level0", 100, refuses_pictures, rows=rows, interval_s=60) as sink:
        sink.step(100, {"m": 1.0})
        sink.show("samples", lambda: b"png")
    assert [report[5] for report in arrived] == [rows]


def test_leaving_by_an_exception_still_sends():
    sender = Recorder()
    with pytest.raises(RuntimeError), PartSink("joint", 100, sender) as sink:
        sink.step(10, {"m": 1.0})
        raise RuntimeError
    assert len(sender.sent) == 1


def test_a_step_costs_microseconds():
    sink = PartSink("level0", 10**9, Recorder(), interval_s=1e9)
    metrics = {f"level0/m{i}": float(i) for i in range(10)}
    steps = 20_000
    started = time.process_time()
    for seen in range(steps):
        sink.step(seen, metrics)
    assert (time.process_time() - started) / steps < 50e-6  # about 2e-6 measured


def test_hub_drains_each_report_once():
    hub = MetricHub()
    hub.report("level0", 100, 1000, {"a": 1.0}, 50.0)
    hub.report("level1", 200, 1000, {"b": 2.0}, 60.0)
    hub.report("level0", 300, 1000, {"a": 3.0}, 70.0)
    drained = hub.drain()
    assert [(r.part, r.images_seen) for r in drained] == [
        ("level0", 100),
        ("level1", 200),
        ("level0", 300),
    ]
    assert abs(drained[0].timestamp_ms - time.time() * 1000) < 60_000
    assert hub.drain() == []


def test_hub_loses_nothing_between_threads():
    hub, seen = MetricHub(), []
    stop = threading.Event()

    def drain():
        while not stop.is_set():
            seen.extend(hub.drain())

    def report(part):
        for step in range(2000):
            hub.report(part, step, 2000, {"m": 1.0}, 1.0)

    reader = threading.Thread(target=drain)
    writers = [threading.Thread(target=report, args=(f"level{i}",)) for i in range(3)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    seen.extend(hub.drain())
    assert len(seen) == 6000
    for i in range(3):
        steps = [r.images_seen for r in seen if r.part == f"level{i}"]
        assert steps == list(range(2000))


def test_sender_travels_without_its_pending_call():
    sender = ActorSender("handle", flush_timeout_s=5.0)
    sender._last = threading.Lock()  # like an object reference: of this process only
    travelled = copy.deepcopy(sender).__dict__
    assert travelled.pop("_gauges") is not sender._gauges
    assert travelled == {
        "_actor": "handle",
        "_flush_timeout_s": 5.0,
        "_last": None,
    }


def test_an_end_at_a_value_that_is_not_finite_is_told_to_who_counts_those(monkeypatch):
    counted = []
    sender = ActorSender("handle")
    monkeypatch.setattr(sender._gauges, "not_finite", counted.append)
    PartSink("level0", 1000, sender).not_finite()
    PartSink("level1", 1000, Recorder()).not_finite()
    assert counted == ["level0"]


def test_a_picture_goes_at_once_and_the_clock_waits_for_the_first_step(clock):
    sender = Recorder()
    sink = PartSink("level0", 1000, sender, interval_s=60)
    sink.show("samples", lambda: b"png 0")
    clock.now += 1000
    sink.step(100, {"m": 1.0})
    clock.now += 1
    sink.step(200, {"m": 3.0})
    sink.show("samples", lambda: b"png 200")
    first, second = sender.sent
    assert (first[1], first[6]) == (0, Picture("samples", b"png 0"))
    assert (second[1], second[3], second[4]) == (200, {"m": 2.0}, 100.0)
    assert second[6] == Picture("samples", b"png 200")


def test_a_picture_that_fails_costs_a_warning(caplog):
    def draw():
        raise MemoryError("no room")

    hub = MetricHub()
    with caplog.at_level(logging.WARNING), PartSink("level0", 1000, hub.report) as sink:
        sink.step(100, {"m": 1.0})
        sink.show("samples", draw)
    assert "training goes on without them" in caplog.text
    (report,) = hub.drain()
    assert (report.images_seen, report.picture) == (100, None)
