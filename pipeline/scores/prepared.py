"""The real images of a project's prepared data."""

from __future__ import annotations

from pathlib import Path

from pipeline.data import shards
from pipeline.data.manifest import Manifest
from pipeline.scores.inputs import RealImages


def real_images(folder: str | Path) -> RealImages:
    """Both splits of prepared data, in a folder or at an address. Raises UserError where there is
    none."""
    manifest = Manifest.load(folder)
    train, test = shards.read_split(folder, "train"), shards.read_split(folder, "test")
    return RealImages(*train, *test, manifest.classes, manifest.data_digest)
