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

# Where the images of data.source lie on this machine, if they lie elsewhere than there.
DATA_SOURCE_VARIABLE = "SGAN_DATA_SOURCE"

TRACKING_DB = Path("mlflow.db")
TRACKING_ARTIFACTS = Path("mlartifacts")


def project_root() -> Path:
    """The workspace root: `DVC_ROOT` (DVC sets it for its stages), else the working directory.

    Returns an absolute path; it is not required to exist.
    """
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def cache_dir() -> Path:
    """Folder of downloaded raw files: `SGAN_CACHE`, else `.cache/sgan` under the root."""
    chosen = os.environ.get("SGAN_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else project_root() / CACHE


def level_weights(level: int) -> Path:
    """Weights of level `level` (0 is the image): `artifacts/levels/level0.safetensors`."""
    return LEVELS / f"level{level}.safetensors"


def metrics_file(stage: str) -> Path:
    """Metrics of one stage, relative to the root: `metrics/encoder.json`."""
    return METRICS / f"{stage}.json"
