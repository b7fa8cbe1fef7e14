"""How workers report: a sink beside the training loop, a hub beside the driver.

Two things travel. Progress is for people: means since the last report, at most every half second.
The part's curve is for MLflow: its points lie at fixed numbers of images and are kept in the
checkpoint, so they are the same ones however often training starts again. Whenever a point is new
the whole curve is sent, so that nothing depends on an earlier report having arrived. The hub keeps
what came in until the driver, the only process that talks to MLflow, drains it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.parts.gauges import Gauges

_logger = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, float]]
# (part, images_seen, total_images, metrics, images_per_second, curve), and perhaps a Picture.
Send = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """What a part makes at a report's number of images: the content of a PNG file, and its key."""

    key: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """Progress of one part at one moment.

    Attributes:
        part: name of the part, e.g. `level0`.
        images_seen: training images seen since the part's first step, resumed ones included.
        total_images: images the part will have seen when it is done.
        metrics: mean of each metric over the steps since the report before this one.
        images_per_second: speed over the same span, 0.0 where unknown.
        curve: every row of the part's curve so far (`pipeline.parts.curve.Curve.rows`) where one
            is new since the report before this one, else empty.
        timestamp_ms: wall clock at arrival, milliseconds since 1970.
        picture: of what the part makes, where one is due.
    """

    part: str
    images_seen: int
    total_images: int
    metrics: dict[str, float]
    images_per_second: float
    curve: Rows
    timestamp_ms: int
    picture: Picture | None = None


class MetricHub:
    """Collects the reports of all parts until the driver drains them.

    A plain class: use it as it is where a part runs in the driver's own process (threads may
    report while another drains), or as a Ray actor where parts run elsewhere.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Report] = []

    def report(
        self,
        part: str,
        images_seen: int,
        total_images: int,
        metrics: dict[str, float],
        images_per_second: float,
        curve: Rows = (),
        picture: Picture | None = None,
    ) -> None:
        """Takes one report; arguments as the fields of `Report`."""
        now_ms, speed = int(time.time() * 1000), images_per_second
        record = Report(part, images_seen, total_images, metrics, speed, curve, now_ms, picture)
        with self._lock:
            self._waiting.append(record)

    def drain(self) -> list[Report]:
        """The reports since the last drain, oldest first; each is handed out once."""
        with self._lock:
            drained, self._waiting = self._waiting, []
        return drained


class PartSink:
    """The training loop's end: averages metrics and sends them now and then.

    Context manager; leaving it sends what is left, after an exception too. A sender that fails
    costs a warning, never the training. Picklable while its `send` is (see
    `ActorSender`).
    """

    def __init__(
        self,
        part: str,
        total_images: int,
        send: Send,
        *,
        rows: Rows = (),
        images_seen: int = 0,
        interval_s: float = 0.5,
    ) -> None:
        """
        Args:
            part: name of the part.
            total_images: images the part will have seen when it is done.
            send: takes (part, images_seen, total_images, metrics, images_per_second, curve); for
                example `MetricHub().report` or `ActorSender(actor)`.
            rows: the part's curve, which grows while it trains.
            images_seen: images seen before this process took over (a resumed checkpoint), so that
                the speed counts only what is done here.
            interval_s: shortest time between two reports, in seconds.
        """
        self.part = part
        self.total_images = total_images
        self.images_seen = images_seen
        self._send_report = send
        self._rows = rows
        self._sent_rows = 0
        self._interval_s = interval_s
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._sent_images = images_seen
        self._sent_at: float | None = None
        self._warned = False

    def step(self, images_seen: int, metrics: Mapping[str, float]) -> None:
        """Records one training step, and reports if the interval has passed.

        Args:
            images_seen: images seen so far by the part, this step included.
            metrics: this step's values; a key may be missing from some steps, its mean is then
                over the steps that had it.
        """
        sums, counts = self._sums, self._counts
        for key, value in metrics.items():
            if key in sums:
                sums[key] += value
                counts[key] += 1
            else:
                sums[key] = value
                counts[key] = 1
        self.images_seen = images_seen
        if self._sent_at is None:  # the clock starts with the work, not with the construction
            self._sent_at = time.monotonic()
            self._sent_images = images_seen
        elif time.monotonic() - self._sent_at >= self._interval_s:
            self.send()

    def show(self, key: str, draw: Callable[[], bytes]) -> None:
        """Reports now, with the picture that `draw` makes (PNG); one that fails costs a warning."""
        self._guard(lambda: self.send(Picture(key, draw())))

    def send(self, picture: Picture | None = None) -> None:
        """Reports now what has gathered since the last report, if anything has."""
        now = time.monotonic()
        elapsed_s = now - self._sent_at if self._sent_at is not None else 0.0
        images = self.images_seen - self._sent_images
        curve = list(self._rows) if len(self._rows) > self._sent_rows else []
        if not self._sums and images == 0 and not curve and picture is None:
            return
        means = {key: total / self._counts[key] for key, total in self._sums.items()}
        speed = images / elapsed_s if elapsed_s > 0 else 0.0
        self._sums, self._counts = {}, {}
        self._sent_images = self.images_seen
        if self._sent_at is not None:  # before the first step the clock does not run
            self._sent_at = now
        rows, seen, total = len(self._rows), self.images_seen, self.total_images
        shown = () if picture is None else (picture,)
        if self._guard(self._send_report, self.part, seen, total, means, speed, curve, *shown):
            self._sent_rows = rows  # else the next report has these points too

    def not_finite(self) -> None:
        """Tells of a value at which training ends, where the sender counts those."""
        count = getattr(self._send_report, "not_finite", None)
        if count is not None:
            self._guard(count, self.part)

    def close(self) -> None:
        """Sends what is left and waits until it has arrived, where the sender can tell."""
        self.send()
        flush = getattr(self._send_report, "flush", None)
        if flush is not None:
            self._guard(flush)

    def __enter__(self) -> "PartSink":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _guard(self, call: Callable[..., Any], *arguments: Any) -> bool:
        """Calls; whether that went well. A failure to report is said once and does not end hours of
        training."""
        try:
            call(*arguments)
            return True
        except Exception as error:
            if not self._warned:
                _logger.warning(
                    "%s: progress reports do not arrive (%s: %s); training goes on without them",
                    self.part,
                    type(error).__name__,
                    error,
                )
            self._warned = True
            return False


class ActorSender:
    """Sends reports to a `MetricHub` that is a Ray actor, without waiting for it.

    Picklable, so it travels to a task together with the actor's handle. Calls from one process
    arrive in order, so waiting for the last one waits for all.
    """

    def __init__(self, actor: Any, *, flush_timeout_s: float = 30.0) -> None:
        self._actor = actor
        self._flush_timeout_s = flush_timeout_s
        self._last: Any = None
        self._gauges = Gauges()

    def __call__(
        self,
        part: str,
        images_seen: int,
        total_images: int,
        metrics: dict[str, float],
        images_per_second: float,
        curve: Rows = (),
        picture: Picture | None = None,
    ) -> None:
        self._last = self._actor.report.remote(
            part, images_seen, total_images, metrics, images_per_second, curve, picture
        )
        self._gauges.tell(part, images_seen, total_images, metrics, images_per_second)

    def not_finite(self, part: str) -> None:
        """Counts a training of the part that ended at a value that is no finite number."""
        self._gauges.not_finite(part)

    def flush(self) -> None:
        """Waits for the last report. Raises ray.exceptions.RayError if the actor is gone."""
        if self._last is None:
            return
        import ray

        last, self._last = self._last, None
        ray.get(last, timeout=self._flush_timeout_s)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None, "_gauges": Gauges()}
