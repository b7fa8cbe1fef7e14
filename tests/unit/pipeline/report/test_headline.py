"""The top of the report: a card for each score that matters most."""

from dataclasses import replace

from pipeline.report.contents import ReportData
from pipeline.report.headline import comparison_cards, gauge, headline_cards, headline_keys
from pipeline.scores.score import Score

PIXELS = {"metric": "diversity", "space": "pixels", "better": "near real", "real": 0.997}
SCORES = [
    Score("FID within a class", "fid_within_classes_judge", 0.7, metric="fid_within_classes"),
    Score("GAN-test", "gan_test", 0.9987, real=0.9926, metric="gan_test"),
    Score("FID (Inception)", "fid_10k", None, why="no weights", metric="fid"),
    Score("FID (judge CNN)", "fid_judge_10k", 0.249, real=0.0273, better="lower", metric="fid"),
    Score("Diversity", "diversity_pixels", 0.946, varies="all z", **PIXELS),  # type: ignore[arg-type]
    Score("Diversity, z_0", "diversity_z0_pixels", 0.109, varies="z_0", **PIXELS),  # type: ignore[arg-type]
]


def run(title: str, **changed: float) -> ReportData:
    scores = [replace(s, value=changed.get(s.key, s.value)) for s in SCORES]
    return ReportData(title, "", scores, headline_keys(scores))


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
