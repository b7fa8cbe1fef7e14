"""The registered versions of a stack, and which of them is in use: aliases, one change at a time.

Aliases: `challenger` is the newest that was evaluated, `champion` the one in use, `previous` the
champion before it.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.tracking.tracker import Tracker

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
WEIGHTS_TAG = "sgan.weights_sha256"
_TURN_TAG = "sgan.promoting"
# Two that ask for the turn at one moment both write; after this long both read who was last.
_SETTLE_S = 1.0
_DEAD_S = 600.0


class Busy(UserError):
    """Another promotion of the same model is under way, or has just been made."""


class Registry:
    """The versions of one registered model.

    Args:
        tracker: of the project.
        name: the registered model, `sgan-mnist`.
    """

    def __init__(self, tracker: Tracker, name: str) -> None:
        self.tracker, self.name = tracker, name

    def version(self, which: str) -> ModelVersion | None:
        """A version by alias or number; None where there is none. Raises UserError."""
        from mlflow.exceptions import MlflowException

        with self.tracker.answering():
            try:
                if which.isdecimal():
                    return self.tracker.client.get_model_version(self.name, which)
                return self.tracker.client.get_model_version_by_alias(self.name, which)
            except MlflowException as error:
                # MLflow 3 calls a missing alias an invalid parameter.
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def of_weights(self, sha256: str) -> ModelVersion | None:
        """The newest version with these weights, None without one. Raises UserError."""
        with self.tracker.answering():
            found = self.tracker.client.search_model_versions(
                f"name = '{self.name}' and tags.`{WEIGHTS_TAG}` = '{sha256}'",
                order_by=["version_number DESC"],
                max_results=1,
            )
        return found[0] if found else None

    def challenge(self, version: str) -> None:
        """Point `challenger` at a version. Raises UserError."""
        with self.tracker.answering():
            self.tracker.client.set_registered_model_alias(self.name, CHALLENGER, version)

    def describe(self, version: str, text: str) -> None:
        """Write a version's description, Markdown. Raises UserError."""
        with self.tracker.answering():
            self.tracker.client.update_model_version(self.name, version, text)

    def stack_file(self, version: ModelVersion, folder: Path) -> Path:
        """The version's weights, fetched into `folder`. Raises UserError."""
        with self.tracker.answering():
            from mlflow.artifacts import download_artifacts

            uri = self.tracker.client.tracking_uri
            source = f"models:/{self.name}/{version.version}"
            fetched = download_artifacts(source, dst_path=str(folder), tracking_uri=uri)
        found = sorted(Path(fetched).rglob("*.safetensors"))
        if not found:
            raise UserError(f"{self.name} version {version.version}: no weights in the model")
        return found[0]

    def run_file(self, version: ModelVersion, path: str, folder: Path) -> Path | None:
        """A file of the run that made the version, None where the run has none."""
        from mlflow.exceptions import MlflowException

        try:
            client = self.tracker.client
            return Path(client.download_artifacts(version.run_id or "", path, str(folder)))
        except (MlflowException, OSError):
            return None

    def promote(self, version: str, over: str | None, tags: Mapping[str, str]) -> None:
        """Make a version the champion, and the champion before it `previous`.

        Args:
            version: the new champion.
            over: the champion that it was compared with, None where there was none.
            tags: the verdict, for the version.

        Raises:
            Busy: another promotion is under way, or the champion is no longer `over`.
            UserError: MLflow does not answer.
        """
        with self._turn():
            champion = self.version(CHAMPION)
            now = None if champion is None else str(champion.version)
            if now != over:
                raise Busy(
                    f"{self.name}: while version {version} was compared with {over or 'none'}, "
                    f"version {now or 'none'} became the champion; compare again"
                )
            with self.tracker.answering():
                client = self.tracker.client
                for key, value in tags.items():
                    client.set_model_version_tag(self.name, version, key, value)
                if now is not None:
                    client.set_registered_model_alias(self.name, PREVIOUS, now)
                client.set_registered_model_alias(self.name, CHAMPION, version)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Write the verdict on a version that is not promoted. Raises UserError."""
        with self.tracker.answering():
            for key, value in tags.items():
                self.tracker.client.set_model_version_tag(self.name, version, key, value)

    def rollback(self, *, dry: bool = False) -> tuple[str, str]:
        """Undo the last promotion: (the champion again, the one that was). Asked again, it swaps
        them back.

        Args:
            dry: change nothing.

        Raises UserError where there is no `previous`, or it is busy.
        """
        if dry:
            return self._swapped()
        with self._turn():
            again, was = self._swapped()
            with self.tracker.answering():
                client = self.tracker.client
                client.set_registered_model_alias(self.name, CHAMPION, again)
                client.set_registered_model_alias(self.name, PREVIOUS, was)
            return again, was

    def _swapped(self) -> tuple[str, str]:
        champion, previous = self.version(CHAMPION), self.version(PREVIOUS)
        if champion is None or previous is None:
            raise UserError(f"{self.name}: nothing to roll back, there is no `{PREVIOUS}`")
        return str(previous.version), str(champion.version)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One promotion of the model at a time, by a tag of the registered model: MLflow has no
        conditional write, so whoever wrote last goes first, and the other says so."""
        from mlflow.exceptions import MlflowException

        client, owner = self.tracker.client, secrets.token_hex(8)
        with self.tracker.answering():
            self._refuse_busy(owner)
            mine = json.dumps({"owner": owner, "at": time.time()})
            try:
                client.set_registered_model_tag(self.name, _TURN_TAG, mine)
            except MlflowException:  # the database refuses two new tags of one name
                self._refuse_busy(owner)
                raise
            time.sleep(_SETTLE_S)
            self._refuse_busy(owner)
        try:
            yield
        finally:
            with self.tracker.answering():
                client.delete_registered_model_tag(self.name, _TURN_TAG)

    def _refuse_busy(self, owner: str) -> None:
        tags: dict[str, Any] = self.tracker.client.get_registered_model(self.name).tags or {}
        held = json.loads(tags.get(_TURN_TAG) or "{}")
        if held and held["owner"] != owner and time.time() - held["at"] < _DEAD_S:
            raise Busy(
                f"{self.name}: another promotion is under way since "
                f"{time.time() - held['at']:.0f} s; run this again when it has ended (one that "
                f"died is passed over after {_DEAD_S / 60:.0f} minutes)"
            )
