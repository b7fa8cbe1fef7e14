"""The top of the report: which scores it shows, what it says of them."""

from pipeline.report.headline import headline_keys, summary
from pipeline.scores.score import Score, not_measured

SCORES = [
    Score("FID within a class", "fid_within_classes_judge", 0.7),
    Score("GAN-test", "gan_test", 0.9987, real=0.9926),
    not_measured("FID (Inception)", "fid_10k", "no weights"),
    Score("FID (judge CNN)", "fid_judge_10k", 0.249, real=0.0273, better="lower"),
    Score("Diversity", "diversity_pixels", 0.946, real=0.997, better="near real"),
    Score("Diversity, z_0", "diversity_z0_pixels", 0.109, real=0.997, better="near real"),
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
    assert "z_0" not in summary(SCORES[:5])
