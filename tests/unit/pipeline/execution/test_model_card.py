"""The model's card: data, settings, scores beside their floors, weaknesses, the data's licence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.execution.model_card import LICENCES, model_card
from pipeline.execution.stage import opened
from pipeline.params.named_sets import NAMED


@pytest.fixture
def card(project: Path, evaluated: Any) -> str:
    """Of scores with a floor of 0.1 for the Fréchet distance, and a class that is read badly."""
    fid, read, *others = evaluated(fid=0.5)
    fid = replace(fid, real=0.1)
    read = replace(read, per_class={"3": 0.91, "7": 0.99})
    with opened("evaluate") as stage:
        return model_card(stage, [fid, read, *others])


def test_it_says_what_was_trained_on_what(card: str) -> None:
    assert card.startswith("# sgan-custom\n\nA Stacked GAN (Huang et al., CVPR 2017) of 2 levels")
    assert "28x28, 1 channel(s), 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)" in card
    assert "| level 0 | 56,000 | z_0: 50 | λ 1, 1, 40, batch 32, seed " in card
    assert "custom: 2,000 training images, SHA-256 " in card


def test_scores_stand_beside_real_images(card: str) -> None:
    assert "| FID (judge CNN, 10k) | 0.500 ± 0.02 | 0.100 |" in card
    assert "samples of a class are 0.90 times as far apart as real images" in card
    assert "z_0 alone varies an image only 0.50 times as much as real" in card
    assert "its Fréchet distance is 5 times that between real training and test images" in card
    assert "Class 3: 91.0% of its samples are read as it, the fewest of all" in card


def test_a_floor_of_nothing_is_no_ratio(project: Path, evaluated: Any) -> None:
    """As where the held-out images are training images."""
    fid, *others = evaluated(fid=0.5)
    with opened("evaluate") as stage:
        found = model_card(stage, [replace(fid, real=1e-12), *others])
    assert "its Fréchet distance is far above that between real" in found


def test_it_fits_into_mlflow_and_names_the_licence(card: str) -> None:
    assert len(card) < 5000
    assert "their licence is known to whoever brought them" in card
    assert set(LICENCES) == set(NAMED)
    assert len(card) + max(map(len, LICENCES.values())) + 500 < 5000
