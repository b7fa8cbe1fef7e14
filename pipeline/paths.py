"""Where things lie in a workspace. Every constant is relative to `project_root`."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")

DATA = Path("artifacts/data")
ENCODER = Path("artifacts/encoder")
ENCODER_WEIGHTS = ENCODER / "encoder.safetensors"
FEATURES = Path("artifacts/features")
FEATURES_FILE = FEATURES / "features.arrow"
LEVELS = Path("artifacts/levels")
JOINT = Path("artifacts/joint")
STACK_WEIGHTS = JOINT / "stack.safetensors"
EVALUATE = Path("artifacts/evaluate")
REPORT = Path("artifacts/report")
TUNE = Path("artifacts/tune")
REPORT_PAGE = REPORT / "report.html"

METRICS = Path("metrics")
PLOTS = Path("plots")

STORAGE = Path(".runs")
CACHE = Path(".cache/sgan")

# Where checkpoints and finished parts go, unless params.yaml says it.
STORAGE_VARIABLE = "SGAN_STORAGE"
# Where the images of data.source lie on this machine, if they lie elsewhere than there.
DATA_SOURCE_VARIABLE = "SGAN_DATA_SOURCE"

TRACKING_DB = Path("mlflow.db")
TRACKING_ARTIFACTS = Path("mlartifacts")
UNSENT = STORAGE / "mlflow"  # what an MLflow that was away has not got yet


def project_root() -> Path:
    """The workspace root: `DVC_ROOT` (DVC sets it for its stages), else the working directory.

    Returns an absolute path; it is not required to exist.
    """
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def owning_project(root: Path) -> Path:
    """`root`, or the project a temporary DVC workspace below `.dvc/tmp/exps` belongs to.

    `dvc exp run --queue` and `--temp` run in such a workspace and delete it afterwards: what
    is to outlive the run has to lie outside.
    """
    parts = root.parts
    for index in range(len(parts) - 3):
        if parts[index : index + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:index])
    return root


def in_project(path: str | Path, root: Path | None = None) -> Path:
    """Where a path of the settings or the environment lies: relative means relative to the project
    that owns the workspace `root` (default: `project_root`); `~` is the home directory.

    Returns an absolute path; it is not required to exist.
    """
    return (owning_project(root or project_root()) / expanded(path)).resolve()


def expanded(path: str | Path) -> Path:
    """`~` as the home directory; as it stands where this account has none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def found_in_project(path: str | Path) -> Path:
    """As `in_project`, for what is read: a temporary workspace's own file, which git put there,
    goes before that of its project."""
    own = (project_root() / expanded(path)).resolve()
    return own if own.exists() else in_project(path)


def cache_dir() -> Path:
    """Folder of downloaded raw files: `SGAN_CACHE`, else `.cache/sgan` of the project."""
    return in_project(os.environ.get("SGAN_CACHE") or CACHE)


def level_weights(level: int) -> Path:
    """Weights of level `level` (0 is the image): `artifacts/levels/level0.safetensors`."""
    return LEVELS / f"level{level}.safetensors"


def metrics_file(stage: str) -> Path:
    """Metrics of one stage, relative to the root: `metrics/encoder.json`."""
    return METRICS / f"{stage}.json"
