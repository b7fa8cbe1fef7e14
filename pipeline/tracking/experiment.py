"""Opening the MLflow experiment, or creating it when nobody else just did."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.errors import UserError
from pipeline.tracking.asking import Asker
from pipeline.tracking.uri import is_server

if TYPE_CHECKING:
    from mlflow.entities import Experiment


def open_experiment(asker: Asker, name: str, location: str | None) -> "Experiment":
    """The experiment `name`, created with its files at `location` if need be.

    Raises:
        UserError: it was deleted, or the folder of its files is gone.
    """
    client = asker.client
    found = asker.ask(lambda: client.get_experiment_by_name(name))
    if found is None:
        return _create(asker, name, location)
    if found.lifecycle_stage != "active":
        raise UserError(
            f"the MLflow experiment {name!r} at {asker.shown_uri} was deleted. Bring it back "
            f"with `mlflow experiments restore -x {found.experiment_id}` or take another name."
        )
    kept = urlsplit(found.artifact_location)
    if not is_server(asker.uri) and kept.scheme == "file":
        folder = Path(url2pathname(kept.path))
        if not folder.exists() and folder != Path(url2pathname(urlsplit(location or "").path)):
            raise UserError(
                f"the MLflow experiment {name!r} at {asker.shown_uri} keeps its files in "
                f"{folder}, which does not exist: was the project moved? Move it back, link "
                "the folder, or set the old database aside."
            )
    return found


def _create(asker: Asker, name: str, location: str | None) -> "Experiment":
    """Two clones may both find a fresh server without it: the second takes the first one's."""
    from mlflow.exceptions import MlflowException

    client = asker.client
    if location is not None:
        Path(url2pathname(urlsplit(location).path)).mkdir(parents=True, exist_ok=True)
    try:
        created = asker.ask(lambda: client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        there = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or there is None:
            raise
        return there
    return asker.ask(lambda: client.get_experiment(created))
