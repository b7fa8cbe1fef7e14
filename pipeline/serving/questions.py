"""What may be asked for: the body of a request, checked, and the order that it comes to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from pipeline.errors import UserError
from pipeline.serving.errors import Refused, shown
from pipeline.serving.model import ServedModel
from sgan.drawing import SEEDS, seeds_from

MOST_IMAGES = 256
MOST_SHEET_PIXELS = 16_000_000
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Noise(BaseModel):
    """What every request says: which class, which noise."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Noise")

    label: int | str = Field(description="The class: its number or its name.")
    seed: int | None = Field(
        None,
        ge=0,
        lt=SEEDS,
        description="Image k has the noise of seed + k. Without one, a new seed is drawn and told.",
    )
    z: dict[str, list[Unit] | list[list[Unit]]] = Field(
        default_factory=dict,
        description="By level, z_i instead of the seed's: one vector for all images, or a list of "
        "`count` vectors.",
    )

    @field_validator("label", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("must be a class's number or name")
        return value


class Samples(Noise):
    """The body of `POST /v1/samples`."""

    model_config = ConfigDict(
        title="Samples", json_schema_extra={"examples": [{"label": 3, "count": 16, "seed": 5}]}
    )

    count: int = Field(1, ge=1, le=MOST_IMAGES, description="Images of the class.")
    format: Literal["png", "zip", "json"] = Field(
        "png", description="One sheet; a zip of single PNGs; or JSON with PNGs and noise."
    )
    columns: int | None = Field(
        None, ge=1, le=MOST_IMAGES, description="Of the sheet; as square as can be without."
    )
    scale: int | None = Field(
        None, ge=1, le=16, description="Pixels of the sheet by pixel; tiles of 56 without."
    )
    gap: int = Field(2, ge=0, le=16, description="Pixels between the sheet's images.")


class Nearest(Noise):
    """The body of `POST /v1/nearest`."""

    model_config = ConfigDict(
        title="Nearest", json_schema_extra={"examples": [{"label": 3, "seed": 5}]}
    )


@dataclass(frozen=True)
class Order:
    """Images to draw, all of one request.

    Attributes:
        model: draws them.
        y: int64 [n].
        z: float64 [n, z_dim] of every level.
        seed: image k's seed is seed + k.
    """

    model: ServedModel
    y: Tensor
    z: dict[int, Tensor]
    seed: int

    def __len__(self) -> int:
        return len(self.y)


def order(question: Noise, model: ServedModel, count: int = 1) -> Order:
    """What a request comes to for this model. Raises Refused (422)."""
    try:
        label = model.label_of(question.label)
    except UserError as error:
        raise Refused(422, f"label {error}") from None
    if label is None:
        named = "" if model.classes[0] == "0" else f", or one of {', '.join(model.classes[:20])}"
        raise Refused(
            422,
            f"label {shown(question.label)}: must be 0 to {len(model.classes) - 1}{named}",
        )
    seed = secrets.randbelow(SEEDS) if question.seed is None else question.seed
    given = {_level(name, model): (name, rows) for name, rows in question.z.items()}
    z = model.drawer.noise(seeds_from(seed, count))
    for level, (name, rows) in given.items():
        z[level] = _vectors(name, rows, count, model.z_dims[level])
    return Order(model, torch.full((count,), label), z, seed)


def check_sheet(question: Samples, model: ServedModel) -> None:
    """Raises Refused (422) where the sheet would be too large."""
    _, height, width = model.image_shape
    pixels = question.count * height * width * (question.scale or 1) ** 2
    if question.format == "png" and pixels > MOST_SHEET_PIXELS:
        raise Refused(
            422,
            f"count {question.count} at scale {question.scale}: the sheet would have {pixels:,} "
            f"pixels, and {MOST_SHEET_PIXELS:,} are allowed",
        )


def _level(name: str, model: ServedModel) -> int:
    known = [str(i) for i in model.z_dims]
    if name not in known:
        raise Refused(
            422, f"z has a level {shown(name)}: this stack has {', '.join(sorted(known))}"
        )
    return int(name)


def _vectors(name: str, rows: list[Any], count: int, dim: int) -> Tensor:
    nested = bool(rows) and isinstance(rows[0], list)
    vectors = rows if nested else [rows]
    if nested and len(vectors) != count:
        raise Refused(422, f"z.{name}: {len(vectors)} vectors for {count} images; give {count}")
    wrong = [len(vector) for vector in vectors if len(vector) != dim]
    if wrong:
        raise Refused(422, f"z.{name}: {wrong[0]} numbers; z_{name} of this stack has {dim}")
    return torch.tensor(vectors, dtype=torch.float64).expand(count, dim)
