"""A stack of random weights, served by the real server on a thread."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from pipeline.serving.app import application
from pipeline.serving.model import ServedModel, load
from pipeline.serving.server import _listening
from pipeline.serving.sources import WeightsFile
from pipeline.serving.switching import Switch
from tests.stacks import write_stack


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stack(tmp_path_factory.mktemp("weights") / "stack.safetensors")


@pytest.fixture(scope="session")
def model(weights: Path) -> ServedModel:
    source = WeightsFile(weights)
    return load(source, source.version())


class Running:
    """A server that answers.

    Attributes:
        url: its address.
        switch: its model.
    """

    def __init__(self, switch: Switch, poll_s: float = 0.0) -> None:
        self.switch = switch
        listener = _listening("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        hosts = ("127.0.0.1", "localhost")
        config = uvicorn.Config(application(switch, hosts, poll_s), log_level="error")
        self._server = uvicorn.Server(config)
        run = {"sockets": [listener]}
        self._thread = threading.Thread(target=self._server.run, kwargs=run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer what is under way, and end."""
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session")
def running(weights: Path) -> Iterator[Running]:
    """A server of `weights` for tests that only ask."""
    server = Running(Switch(WeightsFile(weights)))
    yield server
    server.stop()


@pytest.fixture
def start() -> Iterator[Callable[[Switch, float], Running]]:
    """`start(switch, poll_s)`: a server of the test's own."""
    started: list[Running] = []

    def run(switch: Switch, poll_s: float = 0.0) -> Running:
        started.append(Running(switch, poll_s))
        return started[-1]

    yield run
    for server in started:
        server.stop()
