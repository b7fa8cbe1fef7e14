"""The report: self-contained, well formed, accessible, escaped, and honest about differences."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.report.charts import Curves
from pipeline.report.contents import (
    Figure,
    PublishedScore,
    ReportData,
    StageFact,
    flat_params,
    write_comparison,
    write_report,
)
from pipeline.report.grids import grid
from pipeline.report.score_html import clear_best
from pipeline.scores.score import Score, within_spread

JUDGE = {"judge": "judge CNN", "judge_sha256": "abc"}
VOID = {"meta", "img", "br", "line", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags and text, and fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # Rows and cells may be closed by what follows them.
        while self.open[-1] != tag:
            assert self.open.pop() in ("tr", "td", "th", "li")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def data(tmp_path: Path) -> ReportData:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    path = tmp_path / "picture.png"
    grid(images, 2).save(path)
    return ReportData(
        title="MNIST <joint> & more",
        revision="0123abc (dirty)",
        scores=[
            Score(
                "GAN-test (judge CNN)",
                "gan_test",
                0.97,
                0.001,
                3,
                0.992,
                per_class={"7": 0.9},
                protocol=JUDGE,
            ),
            Score(
                "FID (judge CNN, 10k)",
                "fid_judge_10k",
                1.5,
                0.02,
                3,
                0.05,
                better="lower",
                protocol=JUDGE,
            ),
            Score("IS (Inception, 50k)", "is_50k", None, why="no <last> layer"),
        ],
        headline=["gan_test", "fid_judge_10k"],
        figures=[
            Figure("Samples", grid(images, 2), "Four random pictures", "two rows"),
            Figure("From a file", path, 'The same "again"', section="Files"),
        ],
        curves=[Curves("Losses", {"loss_d": [(0, 1), (1, 0.5)]}, level=0)],
        stages=[
            StageFact("prepare", 3.2),
            StageFact("levels", 75, ["prepare"], link="http://127.0.0.1:5000/#/runs/1"),
            StageFact("level0", 70, part_of="levels"),
            StageFact("joint", None, ["levels"], "reused", "javascript:alert(1)", "an-execution"),
        ],
        params={"levels": {"0": {"lr": 0.0001}}, "seed": 3},
        facts={"data": "MNIST"},
        published=[PublishedScore("SGAN", 8.59, 0.12, "is_50k"), PublishedScore("real", 11.24)],
        published_caption="Inception Score",
    )


def test_it_is_one_well_formed_page_that_needs_nothing_else(
    data: ReportData, tmp_path: Path
) -> None:
    path = write_report(tmp_path / "deep" / "report.html", data)
    html = path.read_text("utf-8")
    page = Page(html)
    assert html.startswith("<!doctype html>") and page.all("html")[0]["lang"] == "en"
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert "@import" not in html and "url(" not in html
    loaded = [image["src"] for image in page.all("img")]
    assert len(loaded) == 2 and all(
        (src or "").startswith("data:image/png;base64,") for src in loaded
    )
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    assert "prefers-color-scheme:dark" in html
    assert list(path.parent.iterdir()) == [path]


def test_every_picture_is_described(data: ReportData, tmp_path: Path) -> None:
    page = Page(write_report(tmp_path / "r.html", data).read_text("utf-8"))
    assert [image["alt"] for image in page.all("img")] == [
        "Four random pictures",
        'The same "again"',
    ]
    assert all(svg["role"] in ("img", "group") and svg["aria-label"] for svg in page.all("svg"))
    blind = replace(data, figures=[replace(data.figures[0], alt=" ")])
    with pytest.raises(UserError, match="no alt text"):
        write_report(tmp_path / "r.html", blind)


def test_text_is_text_and_only_web_links_are_links(data: ReportData, tmp_path: Path) -> None:
    html = write_report(tmp_path / "r.html", data).read_text("utf-8")
    assert "<joint>" not in html and "MNIST &lt;joint&gt; &amp; more" in html
    links = {link["href"] for link in Page(html).all("a")}
    assert links == {"http://127.0.0.1:5000/#/runs/1"}


def test_it_says_the_numbers(data: ReportData, tmp_path: Path) -> None:
    text = Page(write_report(tmp_path / "r.html", data).read_text("utf-8")).text
    for said in (
        "0.970 ± 0.001",
        "0.992",
        "not measured",
        "no <last> layer",
        "8.59 ± 0.12",
        "11.24",
        "1 min 15 s",
        "reused",
        "0123abc (dirty)",
        '"lr": 0.0001',
        "All stages together: 1 min 18 s",
    ):
        assert said in text, said


def test_the_last_run_stands_beside(data: ReportData, tmp_path: Path) -> None:
    before = [
        replace(data.scores[0], value=0.96),
        replace(data.scores[1], value=1.51),
        replace(data.scores[2], why="", value=5.0),
    ]
    page = Page(
        write_report(tmp_path / "r.html", replace(data, previous=before)).read_text("utf-8")
    )
    assert "0.960 ± 0.001 +0.01 better" in page.text
    assert "1.510 ± 0.02 -0.01 ≈" in page.text
    other = [replace(data.scores[0], protocol={"judge_sha256": "other"})]
    both = replace(data, previous=other)
    text = Page(write_report(tmp_path / "r.html", both).read_text("utf-8")).text
    assert "another judge" in text and "worse" not in text


def test_comparison_shows_what_was_changed_and_only_that(data: ReportData, tmp_path: Path) -> None:
    own = data.figures[1]
    other = replace(
        data,
        title="without L_ent",
        figures=[replace(data.figures[0], image=grid(np.zeros((4, 8, 8, 1), np.uint8), 2)), own],
        stages=[StageFact("prepare", 65, link="http://127.0.0.1:5000/#/runs/2")],
        params={"levels": {"0": {"lr": 0.0002}}, "seed": 3},
        scores=[replace(data.scores[0], value=0.5), replace(data.scores[1], value=1.51)],
    )
    html = write_comparison(tmp_path / "c.html", [data, other]).read_text("utf-8")
    page = Page(html)
    assert "without L_ent compared with MNIST <joint> & more" in page.text
    assert "0.500 ± 0.001-0.47 worse" in page.text and "1.510 ± 0.02+0.01 ≈" in page.text
    changed = page.text.split("What was changed")[1].split("Samples")[0]
    assert "levels.0.lr" in changed and "0.0001" in changed and "0.0002" in changed
    assert "seed" not in changed
    assert html.count("class=badge>best") == 1  # GAN-test leads beyond its spread, FID does not
    assert len(page.all("img")) == 3 and page.text.count("the same in all runs") == 1
    assert page.text.count("Losses: loss_d") == 1
    assert '<a href="http://127.0.0.1:5000/#/runs/2">1 min 5 s</a>' in html
    with pytest.raises(UserError, match="two runs or more"):
        write_comparison(tmp_path / "c.html", [data])
    with pytest.raises(UserError, match="different titles"):
        write_comparison(tmp_path / "c.html", [data, data])


def test_who_leads() -> None:
    def score(value: float, sd: float | None = 0.1, better: str = "lower", sha: str = "a") -> Score:
        return Score("x", "x", value, sd, real=1.0, better=better, protocol={"judge_sha256": sha})  # type: ignore[arg-type]

    assert clear_best([score(2.0), score(1.0), score(3.0)]) == 1
    assert clear_best([score(2.0, better="higher"), score(1.0, better="higher")]) == 0
    assert clear_best([score(1.05, 0.01, "near real"), score(0.5, 0.01, "near real")]) == 0
    assert clear_best([score(1.1), score(1.0)]) is None  # within the spread
    assert clear_best([score(2.0, None), score(1.0, None)]) is None  # no spread known
    assert clear_best([score(2.0), score(1.0, sha="b")]) is None  # other judges
    assert clear_best([score(1.0), None]) is None
    assert within_spread(score(1.0), score(1.28)) and not within_spread(score(1.0), score(1.29))


def test_holes_are_refused(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"headline \['nothing'\]"):
        write_report(tmp_path / "r.html", replace(data, headline=["nothing"]))
    gone = Figure("Gone", tmp_path / "gone.png", "gone")
    with pytest.raises(UserError, match=r"gone.png does not exist"):
        write_report(tmp_path / "r.html", replace(data, figures=[gone]))
    assert not (tmp_path / "r.html").exists()


def test_pictures_keep_their_pixels(data: ReportData, tmp_path: Path) -> None:
    import base64
    import io

    html = write_report(tmp_path / "r.html", data).read_text("utf-8")
    found = re.findall(r"base64,([^\"]+)", html)[0]
    image = Image.open(io.BytesIO(base64.b64decode(found)))
    assert isinstance(data.figures[0].image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(data.figures[0].image))


def test_small_things() -> None:
    assert flat_params({"a": {"b": [1, 2], "c": {"d": None}}, "e": 1}) == {
        "a.b": "[1, 2]", "a.c.d": "None", "e": "1"}  # fmt: skip
