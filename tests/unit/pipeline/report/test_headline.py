"""The top of the report: which scores it shows, what it says of them."""

from dataclasses import replace

from pipeline.report.contents import ReportData
from pipeline.report.headline import comparison_cards, gauge, headline_cards, headline_keys, summary
from pipeline.scores.score import Score, not_measured

SCORES = [
    Score("FID within a class", "fid_within_classes_judge", 0.7),
    Score("GAN-test", "gan_test", 0.9987, real=0.9926),
    not_measured("FID (Inception)", "fid_10k", "no weights"),
    Score("FID (judge CNN)", "fid_judge_10k", 0.249, real=0.0273, better="lower"),
    Score("Diversity", "diversity_pixels", 0.946, real=0.997, better="near real"),
    Score("Diversity, z_0", "diversity_z0_pixels", 0.109, real=0.997, better="near real"),
]


def run(title: str, **changed: float) -> ReportData:
    scores = [replace(s, value=changed.get(s.key, s.value)) for s in SCORES]
    return ReportData(title, "", scores, headline_keys(scores))


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


def test_cards_say_where_a_score_stands() -> None:
    html = headline_cards(run("a"))
    for said in ("Drawn as asked", "101% of that", "9.1 times this floor", "95% of that"):
        assert said in html, said
    assert "last run" not in html
    before = [replace(SCORES[1], value=0.9)]
    html = headline_cards(replace(run("a"), previous=before))
    assert "last run: " in html and "+0.0987 ?" in html


def test_the_bar_ends_at_the_larger_of_score_and_real() -> None:
    assert "width:50.0%" in gauge(replace(SCORES[4], value=0.4985))
    assert "left:100.0%" in gauge(SCORES[4]) and "left:11.0%" in gauge(SCORES[3])
    assert gauge(replace(SCORES[4], real=None)) == ""
    assert "width:0.0%" in gauge(replace(SCORES[4], value=-0.1))


def test_runs_share_a_card_and_its_scale() -> None:
    html = comparison_cards([run("a", fid_judge_10k=1.0), run("b", fid_judge_10k=0.5)])
    fid = html.split("Distance from real images")[1].split("Variety")[0]
    assert "width:100.0%" in fid and "width:50.0%" in fid
    assert comparison_cards([replace(run("a"), headline=[])]) == ""
