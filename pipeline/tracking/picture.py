"""A picture of a step of a run, for the slider of MLflow's page."""

import base64
import io
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "images"


class Picture(NamedTuple):
    """key: the slider's name. png: content of the file. step: images seen. timestamp_ms: since
    1970."""

    key: str
    png: bytes
    step: int
    timestamp_ms: int

    def send(self, client: "MlflowClient", run_id: str, unsure: bool) -> None:
        """Log it; `unsure`: the run may hold it already, which is looked up."""
        from PIL import Image

        if unsure and self._is_there(client, run_id):
            return
        with Image.open(io.BytesIO(self.png)) as image:
            client.log_image(
                run_id,
                image,
                key=self.key,
                step=self.step,
                timestamp=self.timestamp_ms,
                synchronous=True,
            )

    def _is_there(self, client: "MlflowClient", run_id: str) -> bool:
        """Whether the run has a picture of this key and step, by the names that MLflow gives."""
        start = f"{FOLDER}/{self.key.replace('/', '~')}+step+{self.step}+"
        return any(file.path.startswith(start) for file in client.list_artifacts(run_id, FOLDER))

    def as_json(self) -> list[Any]:
        """As plain types, for `from_json`."""
        png = base64.b64encode(self.png).decode()
        return [self.key, png, self.step, self.timestamp_ms]

    @classmethod
    def from_json(cls, values: list[Any]) -> "Picture":
        """What `as_json` gave."""
        key, png, step, timestamp_ms = values
        return cls(key, base64.b64decode(png), step, timestamp_ms)
