"""What a person should grasp first: two sentences, and the scores that matter most."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.scores.score import Score

# Patterns of a score's key; of several keys that fit one pattern the first counts.
HEADLINE = (r"gan_test", r"fid_(?!within)\w+", r"diversity_pixels", r"diversity_z0_pixels")
GOALS = {"lower": "lower is better", "higher": "higher is better", "near real": "nearer real"}


def headline_keys(scores: Sequence[Score]) -> list[str]:
    """Keys of the measured scores that the top of a page shows, in order."""
    measured = [score.key for score in scores if score.value is not None]
    found = (next((k for k in measured if re.fullmatch(p, k)), None) for p in HEADLINE)
    return [key for key in found if key is not None]


def summary(scores: Sequence[Score]) -> str:
    """How good the run is in two sentences, each beside real images; "" without the scores."""
    known = {score.key: score for score in scores if score.value is not None}
    said = []
    if "gan_test" in known:
        one = known["gan_test"]
        real = f"; of real test images it reads {one.real:.1%} right" if one.real else ""
        said.append(
            f"A classifier that never saw the stack reads {one.value:.1%} of the samples as the "
            f"class asked for{real}."
        )
    if "diversity_pixels" in known:
        text = (
            f"Samples of one class are {known['diversity_pixels'].value:.2f} times as different "
            "from each other as real images are"
        )
        if "diversity_z0_pixels" in known:
            text += f"; with only z_0 drawn anew, {known['diversity_z0_pixels'].value:.2f} times"
        said.append(f"{text}.")
    return " ".join(said)
