"""A trained stack as an MLflow model: this file is copied into the model and run when it loads.

It stands alone: besides MLflow it needs torch, numpy, safetensors and the package `sgan`, which
travels beside it.
"""

from pathlib import Path
from typing import Any

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class SampleStack(PythonModel):
    """Draws an image for each label."""

    def load_context(self, context: Any) -> None:
        """Loads the stack from the artifact `stack` (safetensors)."""
        from sgan.weights import load_stack

        self.stack = load_stack(Path(context.artifacts["stack"])).eval()

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> Any:
        """Images for the rows of `model_input`.

        Args:
            context: MLflow's; not used.
            model_input: a DataFrame, or a mapping of columns: `label`, int64 in [0, classes);
                optionally `seed`, int64. A row with a seed gives the same image in every
                request; without the column every call draws anew.
            params: not used.

        Returns:
            uint8 array [rows, H, W, C] in [0, 255].

        Raises:
            MlflowException: no column `label`, values that are no integers, a label out of range.
        """
        import numpy as np
        import torch

        labels = _integers(model_input, "label")
        classes = self.stack.config.image.num_classes
        if labels is None:
            raise MlflowException.invalid_parameter_value(
                f"the input has no column 'label' (int64, 0 to {classes - 1})"
            )
        outside = labels[(labels < 0) | (labels >= classes)]
        if len(outside):
            raise MlflowException.invalid_parameter_value(
                f"label {outside[0]}: allowed are 0 to {classes - 1}"
            )
        if not len(labels):
            channels, height, width = self.stack.config.image.shape
            return np.empty((0, height, width, channels), np.uint8)
        noise = self._noise(_integers(model_input, "seed"))
        return self.stack.sample_uint8(torch.from_numpy(labels), z=noise).numpy()

    def _noise(self, seeds: Any) -> Any:
        """z_i of every level, each row's from its own seed; None (draw anew) without seeds."""
        if seeds is None:
            return None
        import torch

        levels = range(self.stack.num_levels)
        rows: dict[int, list[torch.Tensor]] = {i: [] for i in levels}
        for seed in seeds.tolist():
            generator = torch.Generator().manual_seed(seed)
            for i in levels:
                rows[i].append(self.stack.level(i).draw_z(1, generator))
        return {i: torch.cat(drawn) for i, drawn in rows.items()}


def _integers(model_input: Any, column: str) -> Any:
    """One column as an int64 array [rows], None if there is none."""
    import numpy as np

    if column not in model_input:
        return None
    values = np.asarray(model_input[column]).reshape(-1)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise MlflowException.invalid_parameter_value(
            f"column {column!r} holds {values.dtype} values; integers are needed"
        )
    return values.astype(np.int64)


set_model(SampleStack())
