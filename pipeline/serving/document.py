"""The OpenAPI document, with the bounds of the stack that is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from pipeline.serving.model import ServedModel
from pipeline.serving.questions import MOST_IMAGES

_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "What is wrong, in a sentence."}},
    "required": ["error"],
}
_JSON = {"application/json": {"schema": _ERROR}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SEED = {
    "description": "Asked for again with this seed, the images are the same.",
    "schema": {"type": "integer"},
}
_VERSION = {"description": "Of the model that answers.", "schema": {"type": "string"}}

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not JSON, or a Host that is not served.", "content": _JSON},
    404: {"description": "Not there.", "content": _JSON},
    405: {"description": "Another method.", "content": _JSON},
    413: {"description": "The body is too large.", "content": _JSON},
    415: {"description": "The body is not application/json.", "content": _JSON},
    422: {"description": "A value that is not allowed.", "content": _JSON},
    503: {"description": "Too many images are being drawn.", "content": _JSON},
}
SAMPLES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The images, in the format asked for.",
        "headers": {"X-Seed": _SEED, "X-Model-Version": _VERSION},
        "content": {
            "image/png": _BINARY,
            "application/zip": _BINARY,
            "application/json": {"schema": {"type": "object"}},
        },
    },
    **ERRORS,
}
EXPLORED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"X-Model-Version": _VERSION}},
    **ERRORS,
}
METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Counters.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **ERRORS,
}


def document(routes: Sequence[BaseRoute], model: ServedModel) -> dict[str, Any]:
    """The document as it holds for this model: its classes, its levels and their z_i."""
    told = get_openapi(
        title="Stacked GAN",
        version="1",
        summary="Images of a trained stack, by class, seed and noise.",
        description=f"Serves {model.address}, version {model.version}: "
        f"{len(model.classes)} classes, {len(model.z_dims)} level(s).",
        routes=routes,
    )
    schemas = told["components"]["schemas"]
    for name, most in (("Samples", MOST_IMAGES), ("Nearest", 1)):
        fields = schemas[name]["properties"]
        numbers = {"type": "integer", "minimum": 0, "maximum": len(model.classes) - 1}
        names = {"type": "string", "enum": list(model.classes)}
        fields["label"] |= {"anyOf": [numbers, names]}
        fields["z"] = {
            "description": fields["z"].get("description", ""),
            "title": "Z",
            "type": "object",
            "properties": {str(i): _vector(dim, most) for i, dim in model.z_dims.items()},
            "additionalProperties": False,
        }
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return told


def _vector(dim: int, most: int) -> dict[str, Any]:
    """One vector, or `most` of them at most: as many as `count` says, which no schema can."""
    numbers = {"type": "number", "minimum": 0, "maximum": 1}
    one = {"type": "array", "items": numbers, "minItems": dim, "maxItems": dim}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]}
