"""The rows of the table: each differs from the project's own settings in what its name says."""

from typing import Any

import pytest

from benchmarks import recipe_ab
from benchmarks.recipe_ab import VARIANTS, variants
from sgan.config import LevelConfig

FAST = LevelConfig(
    d_init="he",
    z_gain=2.5,
    lambda_ent=40.0,
    lr_schedule="linear",
    ema_half_life_images=3000,
    precision="auto",
)
MOVED = "translation by 2 pixels"


def test_at_level_0_every_row_differs_from_base() -> None:
    found = variants(FAST, 0)
    assert list(found) == list(VARIANTS) and found["base"] == FAST
    assert len(set(found.values())) == len(found)
    assert found["no EMA of G"].ema_half_life_images == 0
    assert found[MOVED].augment_pixels == 2


def test_rows_that_would_repeat_base_are_left_out() -> None:
    assert set(VARIANTS) - set(variants(FAST, 1)) == {MOVED}
    plain = variants(LevelConfig(), 1)
    assert set(plain) == {"base", "spectral norm in D", "R1, gamma 1"}


def test_a_row_that_is_none_here_cannot_be_asked_for(
    of_levels: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    of_levels(recipe_ab, {0: FAST, 1: FAST})
    with pytest.raises(SystemExit):
        recipe_ab.main(["--level", "1", "--only", "base", MOVED])
    assert f"'{MOVED}': changes nothing of level 1 here" in capsys.readouterr().err
