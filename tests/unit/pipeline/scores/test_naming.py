"""Names and keys come from fields, and read as they always did, so that old and new compare."""

from string import Formatter
from typing import Any

import pytest

from pipeline.scores.naming import ALL_Z, METRICS, not_measured, scored


@pytest.mark.parametrize(
    ("metric", "fields", "name", "key"),
    [
        ("gan_test", {"judge": "judge CNN"}, "GAN-test (judge CNN)", "gan_test"),
        (
            "fid",
            {"judge": "judge CNN", "slug": "judge", "n": 10_000},
            "FID (judge CNN, 10k)",
            "fid_judge_10k",
        ),
        ("is", {"judge": "Inception", "n": 50_000}, "IS (Inception, 50k)", "is_50k"),
        (
            "fid_within_classes",
            {"judge": "VGG16-BN", "slug": "vgg16_bn", "n": 250},
            "FID within a class, mean (VGG16-BN, about 250 each)",
            "fid_within_classes_vgg16_bn",
        ),
        (
            "ndb",
            {"n": 3000, "protocol": {"bins": 100}},
            "NDB/K (100 bins in pixels, 3k)",
            "ndb_pixels_3k",
        ),
        (
            "diversity",
            {"space": "pixels", "varies": ALL_Z},
            "Diversity within a class, all z varied (pixels, ratio to real)",
            "diversity_pixels",
        ),
        (
            "diversity",
            {"space": "features", "varies": "z_0", "judge": "judge CNN"},
            "Diversity within a class, z_0 varied (judge CNN features, ratio to real)",
            "diversity_z0_features",
        ),
        (
            "frechet",
            {"level": 1, "given": "joint", "judge": "E"},
            "Fréchet distance of ĥ_1 to h_1 (joint)",
            "level1/frechet_joint",
        ),
        (
            "cond_explained",
            {"level": 0, "given": "independent"},
            "Conditional term at level 0: explained variance of h_1 (independent)",
            "level0/cond_independent",
        ),
        ("variance", {"varies": "z_1"}, "Share of the image's variance from z_1", "variance_z1"),
    ],
)
def test_names_and_keys(metric: str, fields: dict[str, Any], name: str, key: str) -> None:
    score = scored(metric, 1.0, **fields)
    assert (score.name, score.key) == (name, key)
    assert (score.metric, score.better) == (metric, METRICS[metric].better)
    assert score.unit == METRICS[metric].unit != ""


def test_no_two_metrics_share_a_key_but_the_two_conditional_terms() -> None:
    keys = [metric.key for name, metric in METRICS.items() if name != "cond_nats"]
    assert len(set(keys)) == len(keys)
    assert METRICS["cond_nats"].key == METRICS["cond_explained"].key  # a level has one of them
    assert all(field != "" for m in METRICS.values() for _, field, *_ in Formatter().parse(m.key))


def test_not_measured_has_its_name_and_says_why() -> None:
    row = not_measured("fid", "no weights", judge="Inception", n=2000)
    assert (row.name, row.key, row.text()) == (
        "FID (Inception, 2k)", "fid_2k", "not measured: no weights")  # fmt: skip
