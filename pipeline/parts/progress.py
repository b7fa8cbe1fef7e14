"""Live progress of the parts in training: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# Not a terminal: one line per part when both have passed, so that a log stays short ...
_LINE_EVERY_S = 10.0
_LINE_EVERY_SHARE = 0.1
# ... but a long training does not look as if it hung.
_LONGEST_SILENCE_S = 300.0

# Share of the newest figure in the shown speed: steady to read, yet follows a change in seconds.
_NEWEST_SHARE = 0.3

_MOST_LOSSES = 4
_LOSSES = {
    "loss_d": "D",
    "loss_g_adv": "adv",
    "loss_g_cond": "cond",
    "loss_g_ent": "ent",
    "loss": "loss",
    "accuracy": "accuracy",
}


class PartProgress:
    """How far one part is, and how fast; arithmetic only, no output.

    The speed counts from the first update, so a resumed part's earlier images do not inflate it.

    Attributes:
        images_seen: images seen, resumed ones included; None until the first update.
        speed: smoothed images per second, 0.0 while unknown.
    """

    def __init__(self, total_images: int) -> None:
        self.total_images = total_images
        self.images_seen: int | None = None
        self.speed = 0.0
        self.losses = ""

    def update(
        self, part: str, images_seen: int, metrics: Mapping[str, float], speed: float
    ) -> None:
        """Takes the newest figures; `speed` 0.0 means unknown and leaves the shown one."""
        self.images_seen = images_seen
        if speed > 0:
            newest = _NEWEST_SHARE if self.speed else 1.0
            self.speed += newest * (speed - self.speed)
        if metrics:
            self.losses = loss_summary(part, metrics)

    @property
    def share(self) -> float:
        """Done so far, in [0, 1]."""
        return min(1.0, (self.images_seen or 0) / self.total_images) if self.total_images else 1.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the shown speed, None while that is unknown."""
        if not self.speed:
            return None
        return max(0, self.total_images - (self.images_seen or 0)) / self.speed


def console_for(setting: str) -> "Console":
    """Where progress goes: `auto` bars on a terminal and lines elsewhere, `plain` always lines,
    `none` nothing (params.yaml: runtime.progress)."""
    from rich.console import Console

    return Console(force_terminal=False if setting == "plain" else None, quiet=setting == "none")


class TrainingProgress:
    """Shows all parts at once; context manager.

    On a terminal every part has a bar, updated together; elsewhere (a file, CI) a part prints a
    line after 10 seconds and 10 % since its last, five minutes at the latest.
    """

    def __init__(self, parts: Mapping[str, int], console: "Console | None" = None) -> None:
        """
        Args:
            parts: name of each part and the images it will have seen when it is done.
            console: where to print; standard output by default.
        """
        from rich.console import Console

        self._console = console or Console()
        self._parts = {name: PartProgress(total) for name, total in parts.items()}
        self._ended: set[str] = set()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._lines: dict[str, tuple[float, float]] = {}
        if self._console.is_terminal:
            self._bars = _bars(self._console)
            for name, part in self._parts.items():
                self._tasks[name] = self._bars.add_task(
                    name, total=part.total_images, start=False, **_fields(part)
                )

    def add(self, part: str, total_images: int) -> None:
        """Shows one part more from now on; nothing changes for one that is shown."""
        if part in self._parts:
            return
        state = self._parts[part] = PartProgress(total_images)
        if self._bars is not None:
            self._tasks[part] = self._bars.add_task(part, total=total_images, **_fields(state))

    def __enter__(self) -> "TrainingProgress":
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(
        self,
        part: str,
        images_seen: int,
        metrics: Mapping[str, float] | None = None,
        images_per_second: float = 0.0,
    ) -> None:
        """Shows a part's newest figures.

        Args:
            part: one of the names given at the start; KeyError otherwise.
            images_seen: images seen by the part, resumed ones included.
            metrics: newest metrics, with keys as the trainer gives them (`level0/loss_d`).
            images_per_second: measured since the report before; 0.0 where unknown.
        """
        state = self._parts[part]
        state.update(part, images_seen, metrics or {}, images_per_second)
        if self._bars is not None:
            self._bars.update(self._tasks[part], completed=images_seen, **_fields(state))
        elif self._line_is_due(part, state):
            fields = _fields(state)
            words = [f"{part}: {fields['images']} images ({state.share:.0%})"]
            words += [text for key in ("losses", "speed") if (text := fields[key])]
            words += [f"{fields['left']} left"] if state.seconds_left is not None else []
            self.status(", ".join(words))

    def finish(self, part: str, text: str = "done") -> None:
        """Marks a part as ended, with a word on how, e.g. `done` or `failed`."""
        state = self._parts[part]
        if part in self._ended:
            return
        self._ended.add(part)
        if self._bars is None:
            loss = f", {state.losses}" if state.losses else ""
            self.status(f"{part}: {text}{loss}")
        else:
            fields = {**_fields(state), "left": text}
            self._bars.update(self._tasks[part], **fields)

    def reused(self, part: str) -> None:
        """Marks a part whose result came from storage."""
        self._parts[part].images_seen = self._parts[part].total_images
        if self._bars is not None:
            self._bars.update(self._tasks[part], completed=self._parts[part].total_images)
        self.finish(part, "reused")

    def status(self, message: str) -> None:
        """Prints a line, above the bars where there are any."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def _line_is_due(self, part: str, state: PartProgress) -> bool:
        now = time.monotonic()
        if part in self._lines:
            then, share = self._lines[part]
            waited_s, moved = now - then, state.share - share
            due = waited_s >= _LINE_EVERY_S and moved >= _LINE_EVERY_SHARE - 1e-9
            if not due and waited_s < _LONGEST_SILENCE_S:
                return False
        self._lines[part] = now, state.share
        return True


def human_count(number: float) -> str:
    """`number` in three digits: `950`, `12.3k`, `1.20M`."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            scaled = number / size
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{suffix}"
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def human_seconds(seconds: float) -> str:
    """`seconds` as `42s`, `3:05` (minutes) or `2:03:05` (hours)."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}" if minutes else f"{whole}s"


def loss_summary(part: str, metrics: Mapping[str, float]) -> str:
    """At most four of `metrics` on one line, the losses a person watches first.

    The part's own prefix goes (`level0/loss_d` of `level0` reads `D 1.38`), another one
    stays: in a joint training `level1/loss_d` reads `level1 D 1.38`.
    """
    found: list[tuple[int, str, str]] = []
    for key, value in metrics.items():
        prefix, _, name = key.rpartition("/")
        if name in _LOSSES:
            owner = "" if prefix in ("", part) else f"{prefix} "
            found.append((list(_LOSSES).index(name), prefix, f"{owner}{_LOSSES[name]} {value:.3g}"))
    return " ".join(text for _, _, text in sorted(found)[:_MOST_LOSSES])


def _fields(part: PartProgress) -> dict[str, Any]:
    if part.images_seen is None:
        return {"images": "waiting", "losses": "", "speed": "", "left": ""}
    left = part.seconds_left
    return {
        "images": f"{human_count(part.images_seen)}/{human_count(part.total_images)}",
        "losses": part.losses,
        "speed": f"{human_count(part.speed)} img/s" if part.speed else "",
        "left": human_seconds(left) if left is not None else "-:--",
    }


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    def text(field: str, **options: Any) -> TextColumn:
        column = Column(no_wrap=True, **options)
        return TextColumn(f"{{task.{field}}}", markup=False, table_column=column)

    return Progress(
        text("description"),
        BarColumn(bar_width=20),
        text("fields[images]", justify="right"),
        text("fields[losses]", overflow="ellipsis"),
        text("fields[speed]", justify="right"),
        text("fields[left]", justify="right"),
        console=console,
        refresh_per_second=4,
    )
