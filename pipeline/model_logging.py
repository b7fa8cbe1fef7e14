"""Logging a trained stack as an MLflow model: code and safetensors, no pickle."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_SERVING_CODE = Path(__file__).with_name("serving_model.py")
_REQUIRED = ("mlflow", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class LoggedStack:
    """A model that was logged.

    Attributes:
        model_id: MLflow's id of the logged model.
        uri: ``models:/<model_id>``, for ``mlflow models serve --model-uri`` with
            MLFLOW_TRACKING_URI set.
        version: version in the registry, None if it was not registered.
    """

    model_id: str
    uri: str
    version: str | None


def log_model(
    client: "MlflowClient",
    experiment_id: str,
    run_id: str,
    name: str,
    stack_path: Path,
    *,
    registered_name: str | None = None,
    alias: str | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> LoggedStack:
    """Logs the stack in ``stack_path`` as the model ``name`` of a run.

    The model is a pyfunc (:mod:`pipeline.serving_model`) with the safetensors as its artifact, a
    signature and pinned requirements; the package ``sgan`` travels with it.

    Args:
        client: client of the tracking server.
        experiment_id: the experiment of the run.
        run_id: the run the model comes from.
        name: the model's name in the experiment.
        stack_path: weights of a whole stack (safetensors).
        registered_name: if given, also a new version of this registered model.
        alias: alias to point at that version, e.g. ``challenger``.
        tags: tags of the model and of its version.
        step: images seen in training.

    Raises:
        UserError: ``stack_path`` does not exist, or an alias without ``registered_name``.
        MlflowException: the server refuses.
    """
    if not stack_path.is_file():
        raise UserError(f"{stack_path}: no stack to log as a model; run the stage `joint` first")
    if alias is not None and registered_name is None:
        raise UserError(f"alias {alias!r} points into a registered model: give registered_name")
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(
        experiment_id, name, source_run_id=run_id, tags=dict(tags or {}), model_type="generator"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="sgan-model-") as folder:
            _save(Path(folder) / "model", stack_path, run_id, model.model_id)
            client.log_model_artifacts(model.model_id, f"{folder}/model")
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    uri = f"models:/{model.model_id}"
    if registered_name is None:
        return LoggedStack(model.model_id, uri, None)
    number = _register(client, registered_name, model.model_id, run_id, tags)
    if alias is not None:
        client.set_registered_model_alias(registered_name, alias, number)
    return LoggedStack(model.model_id, uri, number)


def _save(folder: Path, stack_path: Path, run_id: str, model_id: str) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model

    import sgan

    assert sgan.__file__ is not None
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(_SERVING_CODE),
        code_paths=[str(Path(sgan.__file__).parent)],
        artifacts={"stack": str(stack_path)},
        signature=_signature(stack_path),
        pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIRED],
        mlflow_model=Model(run_id=run_id, model_uuid=model_id, model_id=model_id),
    )


def _signature(stack_path: Path) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    from sgan.weights import load_stack

    channels, height, width = load_stack(stack_path).config.image.shape
    columns: list[ColSpec | TensorSpec] = [
        ColSpec("long", "label"),
        ColSpec("long", "seed", required=False),
    ]
    images = TensorSpec(np.dtype("uint8"), (-1, height, width, channels))
    return ModelSignature(inputs=Schema(columns), outputs=Schema([images]))


def _release(package: str) -> str:
    """The installed version without the build's name (``+cpu``), which is not published."""
    return version(package).split("+")[0]


def _register(
    client: "MlflowClient",
    name: str,
    model_id: str,
    run_id: str,
    tags: Mapping[str, Any] | None,
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=dict(tags or {}), model_id=model_id
    )
    return str(created.version)
