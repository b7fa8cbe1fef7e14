"""The paper's table: what the comparison's rows are named by."""

from pipeline.experiments.ablations import SETTINGS
from pipeline.scores.paper import INCEPTION_SCORES


def test_settings_name_rows_of_the_table() -> None:
    named = {setting.paper for setting in SETTINGS if setting.paper}
    assert named <= set(INCEPTION_SCORES) and len(named) == 6
    assert all(INCEPTION_SCORES[name][1] is not None for name in named)  # printed as mean ± sd


def test_the_paper_s_order() -> None:
    means = {name: mean for name, (mean, _) in INCEPTION_SCORES.items()}
    assert means["real images"] > means["SGAN"] > means["SGAN, no joint stage"] > means["AC-GAN"]
