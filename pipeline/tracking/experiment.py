"""Opening the MLflow experiment, or creating it when nobody else just did."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.errors import UserError
from pipeline.tracking import relocation
from pipeline.tracking.asking import Asker
from pipeline.tracking.uri import is_server, sqlite_file

if TYPE_CHECKING:
    from mlflow.entities import Experiment

_logger = logging.getLogger(__name__)


def experiment_name() -> str:
    """`MLFLOW_EXPERIMENT_NAME`, else sgan."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME", "sgan")


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
        folder, own = (
            Path(url2pathname(kept.path)),
            Path(url2pathname(urlsplit(location or "").path)),
        )
        database = sqlite_file(asker.uri)
        if database and relocation.came_from(database, folder, own):
            _adopt(database, folder, own)
            return asker.ask(lambda: client.get_experiment(found.experiment_id))
        if not folder.exists() and folder != own:
            raise UserError(
                f"the MLflow experiment {name!r} at {asker.shown_uri} keeps its files in "
                f"{folder}, which does not exist: was the project moved? Move it back, link "
                "the folder, or set the old database aside."
            )
    return found


def _adopt(database: Path, kept: Path, own: Path) -> None:
    left = relocation.adopt(database, kept, own)
    more = f"; {left} entries whose files did not come along are read there" if left else ""
    _logger.warning(
        "This project was copied or moved with its %s: MLflow's files are in %s from now on, and "
        "no more in %s%s",
        database.name,
        own,
        kept,
        more,
    )


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
