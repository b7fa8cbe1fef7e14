"""Pages: self-contained, well formed, accessible, escaped, and honest about differences."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.survey.description import TRAIN, Description, Split
from pipeline.errors import UserError
from pipeline.report.contents import Curves, Figure, PublishedScore, ReportData
from pipeline.report.grids import grid
from pipeline.report.pages import environment, write_comparison, write_report
from pipeline.report.record import StageFact
from pipeline.scores.score import Score

VOID = {"meta", "img", "br", "line", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags and text, and fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._text = ""
        self.feed(html)
        assert self.open == []

    @property
    def text(self) -> str:
        """What a person reads, blanks as a browser shows them."""
        return " ".join(self._text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


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


def test_it_says_what_was_read_and_what_was_not(data: ReportData, tmp_path: Path) -> None:
    text = Page(write_report(tmp_path / "r.html", data).read_text("utf-8")).text
    for said in (
        "folder (zip) /data/pets <&> , labels from the folders' names: 1,290 images read, 10 left",
        "train 1,234 trained on its name, beside test",
        "val 7 left out test is held out",
        "2 classes class train test cat 1,200 50 猫 <b> 34 6",
        ".psd files, pictures that are not read 3 3 cat/<x>.psd",
        "the zip does not say in which encoding",
    ):
        assert said.replace(" ", "") in text.replace(" ", ""), text[text.find("folder (zip") :]
    older = Page(write_report(tmp_path / "o.html", replace(data, found={})).read_text("utf-8"))
    assert "labels from" not in older.text


def test_what_only_decoding_counts_has_no_count(data: ReportData, tmp_path: Path) -> None:
    made = Description("x", "cifar", "tar", [Split("train", TRAIN, "its name", -1)], None, "files")
    page = write_report(tmp_path / "r.html", replace(data, found=made.as_dict()))
    text = Page(page.read_text("utf-8")).text
    assert "train-trainedonitsname" in text.replace(" ", "")
    assert "labels from files: all images read." in " ".join(text.split())


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
    assert "0.500 ± 0.001 -0.47 worse" in page.text and "1.510 ± 0.02 +0.01 ≈" in page.text
    changed = page.text.split("What was changed")[1].split("Samples")[0]
    assert "levels.0.lr" in changed and "0.0001" in changed and "0.0002" in changed
    assert "seed" not in changed
    assert html.count('class="badge">best') == 1  # GAN-test leads beyond its spread, FID does not
    assert len(page.all("img")) == 3 and page.text.count("the same in all runs") == 1
    assert page.text.count("Losses: loss_d") == 1
    assert '<a href="http://127.0.0.1:5000/#/runs/2">1 min 5 s</a>' in html
    with pytest.raises(UserError, match="two runs or more"):
        write_comparison(tmp_path / "c.html", [data])
    with pytest.raises(UserError, match="different titles"):
        write_comparison(tmp_path / "c.html", [data, data])


def test_holes_are_refused(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"headline \['nothing'\]"):
        write_report(tmp_path / "r.html", replace(data, headline=["nothing"]))
    assert not (tmp_path / "r.html").exists()


def hostile(text: str) -> ReportData:
    """A run in which everything that a person or a file may name is `text`."""
    score = Score(
        name=text,
        key="gan_test",
        value=0.5,
        sd=0.1,
        real=0.9,
        per_class={text: 0.5},
        protocol={text: text, "judge_sha256": text, "list": [text]},
    )
    return ReportData(
        title=text,
        revision=text,
        scores=[score, Score(text, f"other {text}", None, why=text)],
        headline=["gan_test"],
        summary=text,
        figures=[Figure(text, grid(np.zeros((1, 8, 8, 1), np.uint8), 1), text, text, text)],
        curves=[Curves(text, {text: [(0, 1), (1, 2)]}, text), Curves(text, {})],
        stages=[
            StageFact(text, 1.0, (), text, f"https://x/{text}", text, run_id=text),
            StageFact(f"part {text}", 1.0, link=f"javascript:{text}", part_of=text),
        ],
        params={text: {text: text}},
        facts={text: text},
        previous=[replace(score, value=0.4)],
        previous_title=text,
        published=[PublishedScore(text, 1.0, None, text)],
        published_caption=text,
        links_note=text,
    )


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'</style></pre>{{ 7 }}"],
)
def test_no_name_becomes_markup(text: str, tmp_path: Path) -> None:
    run, plain = hostile(text), hostile("plain")
    other = replace(run, title=f"{text} too", params={text: {text: "other"}})
    pages = {
        write_report(tmp_path / "run.html", run): write_report(tmp_path / "r.html", plain),
        write_comparison(tmp_path / "two.html", [run, other]): write_comparison(
            tmp_path / "t.html",
            [plain, replace(plain, title="too", params={"plain": {"plain": 1}})],
        ),
    }
    for bad, good in pages.items():
        page, same = Page(bad.read_text("utf-8")), Page(good.read_text("utf-8"))
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in same.tags]
        assert [set(found) for _, found in page.tags] == [set(found) for _, found in same.tags]
        assert page.text.count(text) >= 15  # it is shown, as text
        assert not any((link["href"] or "").startswith("javascript") for link in page.all("a"))


def test_a_name_that_a_template_does_not_know_is_an_error(data: ReportData) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="before"):
        environment().get_template("run.html.j2").render(made="now", data=data)


def test_what_there_is_nothing_of_has_no_heading(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path / "r.html", ReportData("empty", "", [])).read_text("utf-8"))
    assert not page.all("h2") and not page.all("section")
