"""A trained stack as an MLflow model: this file is copied into the model and run when it loads.

It stands alone: besides MLflow it needs torch, numpy, safetensors and the package `sgan`, which
travels beside it.
"""

import math
import numbers
import secrets
from pathlib import Path
from typing import Any

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

MAX_ROWS = 256


class SampleStack(PythonModel):
    """Draws an image for each label."""

    def load_context(self, context: Any) -> None:
        """Loads the stack from the artifact `stack` (safetensors)."""
        from sgan.drawing import Drawer
        from sgan.weights import load_stack

        self.drawer = Drawer(load_stack(Path(context.artifacts["stack"])))

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> Any:
        """Images for the rows of `model_input`.

        Args:
            context: MLflow's; not used.
            model_input: a DataFrame, or a mapping of columns: `label`, whole numbers in
                [0, classes); optionally `seed`, whole numbers in [0, 2³¹). A row with a seed gives
                the same image in every request, that of `sgan sample --n 1 --seed`; a gap in the
                column, or no column, draws anew.
            params: `max_rows`, more than which are refused; a server's client would be gone before
                they are drawn.

        Returns:
            uint8 array [rows, H, W, C] in [0, 255].

        Raises:
            MlflowException: no column `label`, values that are no whole numbers or out of range,
                too many rows.
        """
        import torch

        classes = self.drawer.stack.config.image.num_classes
        most = (params or {}).get("max_rows", MAX_ROWS)
        if "label" not in model_input:
            raise _refused(f"the input has no column 'label' (0 to {classes - 1})")
        given = _column(model_input, "label")
        if len(given) > most:
            raise _refused(
                f"{len(given):,} rows: {most:,} are drawn at once; ask in parts, or set the "
                "parameter max_rows where nobody waits for an answer in seconds"
            )
        labels = [_whole("label", value, classes) for value in given]
        y = torch.tensor(labels, dtype=torch.int64)
        return self.drawer.images(y, self.drawer.noise(_seeds(model_input, len(given)))).numpy()


def _seeds(model_input: Any, count: int) -> list[int]:
    """A seed for each row: its own, or a new one."""
    from sgan.drawing import SEEDS

    given = _column(model_input, "seed") if "seed" in model_input else [None] * count
    return [
        secrets.randbelow(SEEDS) if _is_gap(value) else _whole("seed", value, SEEDS)
        for value in given
    ]


def _column(model_input: Any, name: str) -> list[Any]:
    """One column's values, as they came."""
    import numpy as np

    return np.asarray(model_input[name], dtype=object).reshape(-1).tolist()


def _is_gap(value: Any) -> bool:
    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def _whole(column: str, value: Any, below: int) -> int:
    """A whole number in [0, below). One of no fraction is one: a gap makes floats of a column."""
    allowed = f"whole numbers from 0 to {below - 1}"
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or value != value or not 0 <= value < below or value != int(value):
        raise _refused(f"column {column!r} holds {str(value)[:60]!r}: allowed are {allowed}")
    return int(value)


def _refused(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


set_model(SampleStack())
