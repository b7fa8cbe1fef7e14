"""Reading ahead: the next item is made in a thread while one is in use."""

from collections.abc import Iterator
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """`items`, the next of which is always being made in a thread.

    At most two are there at once: the one in use and the next. An error comes where its item would
    have come. Whoever stops early leaves at most one item that is made for nobody; the thread is a
    daemon, for which no process waits at its end.
    """
    coming = _Next(items)
    while (item := coming.result()) is not _END:
        coming = _Next(items)
        yield item


class _Next(Thread):
    """Makes the next one of `items`, or `_END`."""

    def __init__(self, items: Iterator[Any]) -> None:
        super().__init__(name="read-ahead", daemon=True)
        self._items = items
        self._item: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._item = next(self._items, _END)
        except BaseException as error:  # whoever waits for the item has to hear of it
            self._error = error

    def result(self) -> Any:
        """Waits for the item. Raises what making it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._item
