"""Logging a trained stack as an MLflow model: code and safetensors, no pickle."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.tracking.uri import URI_VARIABLE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import Model, ModelSignature

_SERVING_CODE = Path(__file__).with_name("serving_model.py")
_REQUIRED = ("mlflow", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class LoggedStack:
    """A model that was logged.

    Attributes:
        model_id: MLflow's id of the logged model.
        uri: `models:/<model_id>`, for `mlflow models serve --model-uri` with
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
    """Logs the stack in `stack_path` as the model `name` of a run.

    The model is a pyfunc (`pipeline.tracking.serving_model`) with the safetensors as its
    artifact, a signature and pinned requirements; the package `sgan` travels with it.

    Args:
        client: client of the tracking server.
        experiment_id: the experiment of the run.
        run_id: the run the model comes from.
        name: the model's name in the experiment.
        stack_path: weights of a whole stack (safetensors).
        registered_name: if given, also a new version of this registered model.
        alias: alias to point at that version, e.g. `challenger`.
        tags: tags of the model and of its version.
        step: images seen in training.

    Raises:
        WeightsError: `stack_path` holds no stack.
        UserError: an alias without `registered_name`.
        MlflowException: the server refuses.
    """
    if alias is not None and registered_name is None:
        raise UserError(f"alias {alias!r} points into a registered model: give registered_name")
    signature = _signature(stack_path)
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    model = client.create_logged_model(
        experiment_id, name, source_run_id=run_id, tags=dict(tags or {}), model_type="generator"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="sgan-model-") as folder:
            about = Model(run_id=run_id, model_uuid=model.model_id, model_id=model.model_id)
            _save(Path(folder) / "model", stack_path, signature, about)
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


def _save(folder: Path, stack_path: Path, signature: "ModelSignature", about: "Model") -> None:
    import mlflow.pyfunc
    import pandas

    import sgan

    assert sgan.__file__ is not None
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(_SERVING_CODE),
        code_paths=[str(Path(sgan.__file__).parent)],
        artifacts={"stack": str(stack_path)},
        signature=signature,
        input_example=pandas.DataFrame({"label": [0, 1], "seed": [1, 2]}),
        pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIRED],
        mlflow_model=about,
    )


def _signature(stack_path: Path) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    from pipeline.tracking.serving_model import MAX_ROWS
    from sgan.weights import read_card

    image = read_card(stack_path, "stack")["config"]["image"]
    columns: list[ColSpec | TensorSpec] = [
        # Of type `long` they would be cast before the model sees them: 3.5 and true to 3 and 1.
        ColSpec(AnyType(), "label"),
        ColSpec(AnyType(), "seed", required=False),
    ]
    images = TensorSpec(np.dtype("uint8"), (-1, image["height"], image["width"], image["channels"]))
    params = ParamSchema([ParamSpec("max_rows", "long", MAX_ROWS)])
    return ModelSignature(inputs=Schema(columns), outputs=Schema([images]), params=params)


def _release(package: str) -> str:
    """The installed version without the build's name (`+cpu`), which is not published."""
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
    # Of a database (not of a server) MLflow looks the model up at the process's own address.
    with _address_of_process(client.tracking_uri):
        created = client.create_model_version(
            name, f"models:/{model_id}", run_id, tags=dict(tags or {}), model_id=model_id
        )
    return str(created.version)


@contextmanager
def _address_of_process(uri: str) -> Iterator[None]:
    before = os.environ.get(URI_VARIABLE)
    os.environ[URI_VARIABLE] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ[URI_VARIABLE]
        else:
            os.environ[URI_VARIABLE] = before
