"""The headline: which scores, two sentences, and the few figures of metrics/evaluate.json."""

import pytest

from pipeline.errors import UserError
from pipeline.scores.headline import (
    COMPARED,
    FID,
    INCEPTION,
    TOP,
    headline_keys,
    headline_metrics,
    inception_score,
    summary,
    tells,
)
from pipeline.scores.inception import Inception
from pipeline.scores.naming import ALL_Z, not_measured, scored

BY_JUDGE = {"judge": "judge CNN", "slug": "judge"}
SCORES = [
    scored("fid_within_classes", 0.7, n=1000, **BY_JUDGE),
    scored("gan_test", 0.9987, real=0.9926, **BY_JUDGE),
    scored("fid", 0.249, n=10_000, real=0.0273, **BY_JUDGE),
    scored("coverage", 0.8, n=10_000, **BY_JUDGE),
    scored("diversity", 1.5, space="features", varies=ALL_Z, **BY_JUDGE),
    scored("diversity", 0.946, space="pixels", varies=ALL_Z, real=0.997),
    scored("diversity", 0.5, space="pixels", varies="z_1"),
    scored("diversity", 0.109, space="pixels", varies="z_0", real=0.997),
    not_measured("fid", "no weights", judge=INCEPTION, n=10_000),
]


def test_the_measured_ones_that_matter_most() -> None:
    keys = ["gan_test", "fid_judge_10k", "diversity_pixels", "diversity_z0_pixels"]
    assert headline_keys(SCORES) == keys
    assert headline_keys(list(reversed(SCORES))) == keys
    assert headline_keys([]) == []


def test_two_sentences_beside_real_images() -> None:
    assert summary(SCORES) == (
        "A classifier that never saw the stack reads 99.9% of the samples as the class asked for; "
        "of real test images it reads 99.3% right. Samples of one class are 0.95 times as "
        "different from each other as real images are; with only z_0 drawn anew, 0.11 times."
    )
    assert summary([]) == ""
    assert "z_0" not in summary(SCORES[:6])


def test_metric_files_hold_few_figures_under_names_without_judge_and_n() -> None:
    assert headline_metrics(SCORES) == {
        "gan_test": 0.9987,
        "fid": 0.249,
        "diversity": 0.946,
        "diversity_z0": 0.109,
        "coverage": 0.8,
    }
    measured = [*SCORES[:-1], scored("fid", 12.5, judge=INCEPTION, n=10_000)]
    both = headline_metrics(measured)
    assert (both["fid"], both["fid_inception"]) == (0.249, 12.5)


def test_dvc_s_table_of_them_fits_into_120_columns() -> None:
    usual = [one.key for one in COMPARED if not one.judge]  # Inception is asked for
    assert len(COMPARED) <= 12
    # `dvc metrics show`: the path, then each column behind four spaces, five digits at least
    assert len("metrics/evaluate.json") + sum(4 + max(7, len(key)) for key in usual) <= 120


def test_what_a_score_tells() -> None:
    told = [tells(score) for score in SCORES[:-1] if tells(score)]
    assert told == [one.tells for one in TOP]


def test_a_value_that_is_not_there() -> None:
    assert FID.value(SCORES) == 0.249
    with pytest.raises(UserError, match="fid"):
        FID.value(SCORES[-1:])


def test_published_inception_scores_compare_with_that_judge_s() -> None:
    ours = scored("is", 8.5, judge=Inception.name, n=50_000)
    assert inception_score([scored("is", 9.6, n=50_000, **BY_JUDGE), ours]) == ours
    assert inception_score(SCORES) is None and Inception.name == INCEPTION
