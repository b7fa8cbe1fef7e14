"""Projects whose data, the real MNIST subset, is prepared; servers; a disk that runs full."""

import functools
import http.server
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.params.compose import compose
from pipeline.stages import prepare

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def make_project(mnist_small: Path, mlflow_database: Path) -> Callable[[Path], None]:
    """`make_project(folder)`: a project there whose data is prepared, by the real stage."""

    def make(root: Path) -> None:
        compose(["data=mnist_small", f"data.source={mnist_small}"], root / "params.yaml")
        shutil.copy(ROOT / "dvc.yaml", root)
        shutil.copy(mlflow_database, root / "mlflow.db")
        with pytest.MonkeyPatch.context() as patch:
            _enter(root, patch)
            prepare.main()

    return make


@pytest.fixture
def project(
    make_project: Callable[[Path], None],
    once: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A project whose data is prepared, 2,500 real digits; a copy of the session's."""
    shutil.copytree(once("prepared", make_project), tmp_path, dirs_exist_ok=True)
    _enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def project_here(
    make_project: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The same, prepared where it lies: what runs there next belongs to the same execution."""
    make_project(tmp_path)
    _enter(tmp_path, monkeypatch)
    return tmp_path


def _enter(root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("DVC_ROOT", str(root))
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """From `small_files(n)` on no file of this process may grow beyond n bytes: a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start a real HTTP server on 127.0.0.1: `serve(folder)` or `serve(handler=...)`."""
    running = []

    def start(folder: Path | None = None, handler: type | None = None) -> str:
        chosen = handler or functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), chosen)  # type: ignore[arg-type]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to set some in."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)
    return monkeypatch
