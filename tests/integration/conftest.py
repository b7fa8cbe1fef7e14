"""Real projects to run `dvc repro` in, and small real inputs to train parts on.

A project is a copy of this checkout's code, with what is not committed yet, in a git repository of
its own. One is trained once per session, whatever the number of worker processes; each reads a copy
of its own, and tests that change anything take another.
"""

import json
import shutil
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster import connection
from tests.cluster_rig import Cluster, cluster, why_not
from tests.project import Project, wait_until

ROOT = Path(__file__).resolve().parents[2]
TRAINED_S = 900  # the first test of a session to ask for the trained project pays for it
ONE_THREAD = [f"runtime.threads.{kind}=1" for kind in ("encoder", "joint", "judge")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each test that may have to train the trained project the time for it."""
    for item in items:
        own = item.get_closest_marker("timeout")
        if "trained" in item.fixturenames and (own is None or own.args[0] < TRAINED_S):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.timeout(TRAINED_S), append=False)


class _Standing:
    """Clusters that stand from the first test that asks for one until the next test does not.

    Each takes ten seconds of a core to start, and three idle nodes a tenth of a core.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Any, ExitStack]] = {}

    def get(self, name: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
        if name not in self._held:
            stack = ExitStack()
            self._held[name] = stack.enter_context(make()), stack
        return self._held[name][0]

    def end(self, but: Iterable[str] = ()) -> None:
        """Ends those that are not among `but`."""
        for name in [name for name in self._held if name not in but]:
            self._held.pop(name)[1].close()


@pytest.fixture(scope="session")
def _standing() -> Iterator[_Standing]:
    standing = _Standing()
    yield standing
    standing.end()


@pytest.fixture
def nodes_apart(_standing: _Standing) -> Cluster:
    """Three Ray nodes of a core each, of which the two that are not the tests' share no files with
    them. Tests that use it run in one process, one after the other, and may not kill its nodes."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return _standing.get("nodes_apart", lambda: cluster(nodes=3, cpus=1))


@pytest.fixture
def two_cpus(_standing: _Standing) -> None:
    """This process is connected to a local Ray that hands out two CPUs. Tests that use it run in
    one process, one after the other, and leave both CPUs free."""
    _standing.get("two_cpus", lambda: connection.connected(cpus=2))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Function, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Ends a cluster with the last of the tests in a row that use it."""
    standing = item.funcargs.get("_standing")
    done = yield
    if standing is not None:
        standing.end(but=getattr(nextitem, "fixturenames", ()))
    return done


@pytest.fixture(scope="session")
def stages_from() -> Callable[[str], list[str]]:
    """`stages_from("levels")`: that stage and every later one, in their order."""
    from pipeline.stages import ORDER

    return lambda first: list(ORDER[ORDER.index(first) :])


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """`until(condition, seconds, what)`: wait for a condition, or fail."""
    return wait_until


def _train(database: Path, folder: Path) -> None:
    """One `dvc repro` from nothing, on the small set and the smoke budget, composed and committed.
    MLflow has its tables (`database`) and no runs.

    Leaves the project in `folder`/sgan and, beside it, the stages that ran.
    """
    project = Project.create(folder / "sgan")
    # One thread each: two that share a core with another test process wait for each other.
    project.sgan("compose", "data=mnist_small", "budget=smoke", *ONE_THREAD)
    shutil.copy(database, project.root / "mlflow.db")
    project.commit("small data, small budget")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)  # of a cluster that another fixture holds
        ran = project.repro()
    (folder / "ran.json").write_text(json.dumps(ran))


@pytest.fixture(scope="session")
def trained(
    once: Callable[..., Path], mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The session's trained project. Commands may run in it, but none that changes it."""
    folder = once("trained", partial(_train, mlflow_database))
    project = Project(folder / "sgan").copy(tmp_path_factory.mktemp("trained") / "sgan")
    project.ran = json.loads((folder / "ran.json").read_text())
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the trained project that a test may change; what it started is ended with it."""
    copy = trained.copy(tmp_path / "sgan")
    yield copy
    for process in copy.processes():
        process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of real shards, of an encoder that has not been trained, and of its features."""
    import torch

    from pipeline.data import feature_writer, shard_writer, shards, sources
    from pipeline.params.settings import DataConfig
    from sgan.config import EncoderConfig, ImageConfig
    from sgan.encoder import Encoder
    from sgan.weights import save_encoder

    folder = tmp_path_factory.mktemp("material")
    settings = DataConfig("custom", str(ROOT / "tests/data/mnist-small"), shard_images=300)
    dataset, provenance = sources.load(settings)
    shard_writer.write(dataset, folder / "data", settings, provenance)
    torch.manual_seed(0)
    encoder = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",))).freeze()
    save_encoder(folder / "encoder.safetensors", encoder, {})
    images, labels = shards.read_split(folder / "data", "train")
    with torch.no_grad():
        hidden = encoder.encode(encoder.to_h0(torch.from_numpy(images).permute(0, 3, 1, 2)))
    columns = {"h1": hidden[1].numpy(), "y": labels}
    feature_writer.write(folder / "features.arrow", columns)
    return {
        "data": str(folder / "data"),
        "encoder": str(folder / "encoder.safetensors"),
        "features": str(folder / "features.arrow"),
    }


@pytest.fixture
def make_part(material: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """`make_part(level, total_images, storage=None, workers=1, batch_norm="per_rank", width=1.0,
    **fields)`: a level on the material; `fields` are its placement's."""
    from pipeline.parts.part import Identity, Part, Placement
    from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig

    def make(
        level: int,
        total_images: int,
        storage: Path | None = None,
        workers: int = 1,
        batch_norm: Any = "per_rank",
        width: float = 1.0,
        **fields: Any,
    ) -> Part:
        config = LevelConfig(
            z_dim=8,
            batch_size=50,
            total_images=total_images,
            lr_g=5e-4,
            workers=workers,
            batch_norm=batch_norm,
            width=width,
        )
        stack = StackConfig(
            ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (config, config)
        )
        where = {"inputs": material, "storage": str(storage or tmp_path / "runs")}
        placed = {"device": "cpu", "checkpoint_seconds": 0.2, **where, **fields}
        placement = Placement(**placed)
        return Part(Identity.of_level(stack, level, {"data": "small"}), placement)

    return make
