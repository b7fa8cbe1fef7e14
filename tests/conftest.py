"""What every test shares: an environment that is not the person's own, and small data.

Tests may run in several worker processes (pytest-xdist, as `make test` does). What is dear to make
is made by the first worker that needs it and handed to all: the fixtures `once` and
`mlflow_database`.
"""

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Generator
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.memory import look_rarely
from tests.in_memory import InMemory

ROOT = Path(__file__).resolve().parents[1]

# A setting of the person's own must not reach a server, a bucket or a cluster of theirs.
FOREIGN_PREFIXES = ("AWS_", "DVC_", "MLFLOW_", "RAY_", "SGAN_")
FOREIGN = (
    "MASTER_ADDR",
    "MASTER_PORT",
    "PYTHONDONTWRITEBYTECODE",  # without bytecode files each child pays 15 s of imports, not 4
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
)

# glibc would give a net's large arrays back to the system after each step, and have every page of
# them cleared again for the next: a tenth of the CPU time of a training, a seventh of a scoring.
MEMORY_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
}

# Files of unit tests that take five seconds and more.
DEAR = ("test_evaluation", "test_s3_client")
DEAR += ("test_adversarial", "test_queued", "test_tracker", "test_trial")


IN_MEMORY = pytest.StashKey[InMemory]()


def pytest_configure(config: pytest.Config) -> None:
    """Isolates the environment before any test module imports torch, ray or mlflow."""
    if not hasattr(config, "workerinput"):
        config.stash[IN_MEMORY] = InMemory()
    for name in list(os.environ):
        if name in FOREIGN or (name.startswith(FOREIGN_PREFIXES) and name != "AWS_CA_BUNDLE"):
            del os.environ[name]
    look_rarely()
    os.environ.update(_engine_settings())
    os.environ.update(
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_worker_niceness="0",  # at Ray's 15 a training waits for all other tests' processes
        OMP_NUM_THREADS="1",
        OMP_WAIT_POLICY="PASSIVE",
        MKL_NUM_THREADS="1",
        **MEMORY_KEPT,
        MPLBACKEND="agg",
        DVC_NO_ANALYTICS="true",  # a process of its own after each command, and it phones home
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_DEFAULT_REGION="us-east-1",
        GIT_AUTHOR_NAME="test",
        GIT_AUTHOR_EMAIL="test@localhost",
        GIT_COMMITTER_NAME="test",
        GIT_COMMITTER_EMAIL="test@localhost",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="commit.gpgsign",
        GIT_CONFIG_VALUE_0="false",
    )
    config.pluginmanager.import_plugin("tests.digits")


@pytest.hookimpl(wrapper=True)  # behind xdist's own, which ends the workers
def pytest_sessionfinish(
    session: pytest.Session, exitstatus: int
) -> Generator[None, object, object]:
    """Deletes what tests wrote in memory, if none failed."""
    done = yield
    if IN_MEMORY in session.config.stash:
        session.config.stash[IN_MEMORY].end(keep=exitstatus != 0)
    return done


def _engine_settings() -> dict[str, str]:
    lines = (ROOT / "infra" / "engines.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.hookimpl(wrapper=True)  # before xdist's own, which reads the groups
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Keeps the tests of a file in one worker process, for the sake of its fixtures.

    Tests marked `alone` need nothing that another test of their file made; each goes to whichever
    worker is free. Whatever names a group of its own keeps it.
    """
    if hasattr(config, "workerinput"):
        for item in items:
            own_group = item.get_closest_marker("xdist_group") or item.get_closest_marker("alone")
            if not own_group:
                item.add_marker(pytest.mark.xdist_group(_group(item)))
        items.sort(key=_turn)
    done = yield
    grouped = [item for item in items if item.get_closest_marker("xdist_group")]
    if getattr(config.option, "loadgroup", False) and grouped and "@" not in grouped[0].nodeid:
        raise pytest.UsageError(
            "this pytest-xdist and this pytest do not group tests: `make setup`"
        )
    return done


def _group(item: pytest.Item) -> str:
    """Its file, or what is shared: a second cluster would only take the first one's cores, and what
    scores need (their libraries, figures of the real digits) is five seconds in each process."""
    shared = {"nodes_apart": "the nodes", "two_cpus": "one machine"}
    names = [name for name in shared if name in item.fixturenames]  # type: ignore[attr-defined]
    if names:
        return shared[names[0]]
    of_scores = item.path.parent.name == "scores"
    return "the scores" if of_scores else str(item.path.relative_to(ROOT))


def _turn(item: pytest.Item) -> int:
    """Long tests begin, so that no worker is left with one at the end; and while one worker makes
    the trained project the others have tests that do not wait for it."""
    needed = item.fixturenames  # type: ignore[attr-defined]
    if item.get_closest_marker("integration") is not None:
        if "trained" not in needed:
            return 1
        return 0 if item.path.stem == "test_pipeline" else 2
    return 4 if item.path.stem not in DEAR else 3


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)`: the folder that `make(folder)` filled, in whichever worker came first.

    The others wait for it. Nobody may change it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = shared / f"once-{name}", shared / f"once-{name}.made"
        with FileLock(f"{folder}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def mlflow_database(pytestconfig: pytest.Config) -> Path:
    """An sqlite file with MLflow's tables and no runs, to be copied.

    MLflow takes seconds to make one (some fifty migrations), so it is kept in pytest's cache for
    this version of MLflow.
    """
    folder = pytestconfig.cache.mkdir(f"mlflow-{version('mlflow')}")  # type: ignore[union-attr]
    database = folder / "mlflow.db"
    with FileLock(folder / "mlflow.lock"):
        if not database.exists():
            import mlflow

            unfinished = folder / f"{secrets.token_hex(8)}.db"
            mlflow.MlflowClient(f"sqlite:///{unfinished}").search_experiments()
            unfinished.rename(database)
    return database


@pytest.fixture(scope="session", autouse=True)
def _own_config_directories(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Gives DVC and matplotlib, which write below the home directory, one of the session."""
    home = tmp_path_factory.mktemp("config")
    os.environ.update(
        DVC_GLOBAL_CONFIG_DIR=str(home / "dvc-global"),
        DVC_SYSTEM_CONFIG_DIR=str(home / "dvc-system"),
        DVC_SITE_CACHE_DIR=str(home / "dvc-site"),
        MPLCONFIGDIR=str(home / "matplotlib"),
    )
    # First imported inside a test, DVC would log into that test's captured output for ever.
    import dvc


@pytest.fixture(scope="session")
def mnist_small() -> Path:
    """The directory of four gzipped IDX files: a small piece of the real MNIST."""
    return ROOT / "tests" / "data" / "mnist-small"


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
