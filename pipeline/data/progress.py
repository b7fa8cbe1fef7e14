"""One line of progress for a download: a rich bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_SECONDS = 5.0


@contextmanager
def transfer(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a transfer of `total` bytes (None: unknown) on stderr.

    Yields a function to call with the number of bytes of each piece.
    """
    if not sys.stderr.isatty():
        with _plain(label, total) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.update(task, advance=count)


@contextmanager
def _plain(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    done = 0
    started = last = time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS:
            last = now
            share = f" of {total / 1e6:.1f} MB ({done / total:.0%})" if total else " MB"
            print(f"{label}: {done / 1e6:.1f}{share}", file=sys.stderr, flush=True)

    yield advance
    seconds = time.monotonic() - started
    print(f"{label}: {done / 1e6:.1f} MB in {seconds:.1f} s", file=sys.stderr, flush=True)
