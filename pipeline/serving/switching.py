"""Looking for other weights, and taking them up; requests under way keep the model they have."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from pipeline.errors import UserError, weights_told
from pipeline.serving.model import ServedModel, load
from pipeline.serving.sources import Source

_logger = logging.getLogger(__name__)


class Switch:
    """The model that is served now.

    Args:
        source: of the weights.
        switched: told after other weights were taken up.
        failed: told after each look that failed.

    Raises:
        UserError: the source has no stack.

    Attributes:
        model: replaced as a whole; take it once a request.
    """

    def __init__(
        self,
        source: Source,
        switched: Callable[[ServedModel], None] = lambda _: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self.switched, self.failed = source, switched, failed
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = ""
        with weights_told():
            self.model = load(source, source.version())

    def look(self) -> bool:
        """Take up what the source has now; True where that is something else. A failure changes
        nothing, is logged once until a look succeeds, and is tried again at the next look: a store
        may be away."""
        try:
            with weights_told():
                version = self._source.version()
                if version == self.model.version:
                    self._told = ""
                    return False
                model = load(self._source, version)
        except UserError as error:
            if str(error) != self._told:
                _logger.warning("goes on with version %s: %s", self.model.version, error)
            self._told = str(error)
            self.failed()
            return False
        before, self.model, self._told = self.model.version, model, ""
        _logger.warning("switched from version %s to %s", before, version)
        self.switched(model)
        return True

    def watch(self, seconds: float) -> None:
        """Look every so many seconds, on a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._keep_looking, args=(seconds,), daemon=True)
        self._thread.start()

    def _keep_looking(self, seconds: float) -> None:
        while not self._ending.wait(seconds):
            try:
                self.look()
            except Exception:  # the server outlives whatever a look meets
                _logger.exception("goes on with version %s", self.model.version)
                self.failed()

    def close(self) -> None:
        """Look no more."""
        self._ending.set()
