"""Stacks that nobody trained, and scores that nobody took: what a registry is given."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.scores.naming import ALL_Z, scored
from pipeline.scores.score import Score
from pipeline.scores.version import stamped


@pytest.fixture
def evaluated() -> Callable[..., list[Score]]:
    """`evaluated(fid=1.0)`: the scores that a promotion looks at, as of three seeds; by another
    judge on request."""

    def make(fid: float, judge: str = "a") -> list[Score]:
        protocol = {"judge_sha256": judge * 64, "n_fake": 10_000, "reference": "test"}
        common: dict[str, Any] = {"judge": "judge CNN", "n": 10_000, "protocol": protocol}
        varied = {**common, "space": "pixels"}
        found = [
            scored("fid", fid, slug="judge", sd=0.02, **common),
            scored("gan_test", 0.99, **common),
            scored("recall", 0.9, slug="judge", **common),
            scored("diversity", 0.9, varies=ALL_Z, **varied),
            scored("diversity", 0.5, varies="z_0", **varied),
        ]
        return stamped([replace(score, repeats=3) for score in found])

    return make


@pytest.fixture
def saved_stack() -> Callable[[Path, int], None]:
    """`saved_stack(path, seed)`: two levels with random weights of a seed."""
    from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
    from sgan.stack import Stack
    from sgan.weights import save_stack

    def save(path: Path, seed: int) -> None:
        levels = (LevelConfig(z_dim=2, width=0.25),) * 2
        config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), levels)
        torch.manual_seed(seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_stack(path, Stack(config), {})

    return save
