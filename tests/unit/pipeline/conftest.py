"""The real MNIST subset: as arrays with a judge trained on it once, and as a prepared project."""

import functools
import gzip
import http.server
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.params.compose import compose
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge, kept_judge
from pipeline.scores.similarity import CONVOLUTIONS, Lpips
from pipeline.stages import prepare
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack

ROOT = Path(__file__).resolve().parents[3]

CLASSES = tuple("0123456789")


@pytest.fixture(scope="session")
def real(mnist_small: Path) -> RealImages:
    """2,000 training and 500 test images of the real MNIST, equally many of each digit."""

    def read(name: str, offset: int) -> np.ndarray:
        content = gzip.decompress((mnist_small / f"{name}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=offset)

    def images(split: str) -> np.ndarray:
        return read(f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)

    def labels(split: str) -> np.ndarray:
        return read(f"{split}-labels-idx1-ubyte", 8).astype(np.int64)

    return RealImages(
        images("train"), labels("train"), images("t10k"), labels("t10k"), CLASSES, "mnist-small"
    )


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-level stack for 28x28x1 with random weights: sampling works, digits it has none."""
    torch.manual_seed(3)
    level = LevelConfig(z_dim=4, batch_size=10, total_images=10, width=0.25)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (level, level))
    stack = Stack(config).eval()
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp("weights") / "stack.safetensors"
    save_stack(path, stack, {})
    return path


@pytest.fixture(scope="session")
def judge(real: RealImages, once: Callable[[str, Callable[[Path], None]], Path]) -> Judge:
    """A judge with about 96.5 % test accuracy."""

    def get(folder: Path) -> Judge:
        return kept_judge(real, FeatureCache(folder), epochs=2)

    def make(folder: Path) -> None:
        get(folder)

    return get(once("judge", make))


@pytest.fixture(scope="session")
def lpips() -> Lpips:
    """A random trunk, and the published heads as torchmetrics ships them."""
    import torchmetrics.functional.image.lpips as library

    heads = torch.load(
        Path(library.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu"
    )
    torch.manual_seed(0)
    state = {}
    for index, (inputs, outputs, kernel, stride, padding) in enumerate(CONVOLUTIONS):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        state[f"trunk.{index}.weight"] = convolution.weight.detach()
        state[f"trunk.{index}.bias"] = convolution.bias.detach()
        state[f"heads.{index}"] = heads[f"lin{index}.model.1.weight"].reshape(-1)
    return Lpips(state)


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
