"""Every name of a class that prepare lets pass works all the way: shards and manifest, requests,
folders of samples, captions, the page, the served model."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.class_names import class_of
from pipeline.data.inspecting import look
from pipeline.data.manifest import Manifest
from pipeline.data.preparing import prepare
from pipeline.data.sample_sets import sample_set
from pipeline.export.forms import FORMS, Recipe
from pipeline.export.samples import ARRAY, SHARD, write_shard
from pipeline.params.compose import compose
from pipeline.params.loading import from_values
from pipeline.report.captions import captions
from pipeline.report.contents import ReportData
from pipeline.report.pages import write_report
from pipeline.scores.inputs import RealImages
from pipeline.scores.score import Score
from tests.fuzz_corpus import encoded

NAMES = (
    "猫", "قط", "Žluťoučký kůň", "cat", "Cat", "CAT ", " cat", "a/b", "../up", "..", ".hidden",
    "x\\y", "%2e%2e", "-n", "--label", "<b>&amp;", "'q\"", "$(id)", "{a}", "[0]", "null", "nan",
    "1e3", "01", "1", "7", "con", "e\u0301", "\U0001f408", "\u202eabc", "train", "x" * 255, "=",
    "a,b", "#", "~", "*",
)  # fmt: skip
SIDE = 28


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, Manifest, dict]:
    """Four images of each name, prepared from Parquet."""
    root = tmp_path_factory.mktemp("names")
    noise = np.random.default_rng(0).integers(0, 256, (4 * len(NAMES), SIDE, SIDE), np.uint8)
    columns = {"image": [encoded(one) for one in noise], "label": [*NAMES] * 4}
    pq.write_table(pa.table(columns), root / "a.parquet")
    settings = [f"data.source={root / 'a.parquet'}", "nets=pyramid", "budget=smoke"]
    params = from_values(compose(["data=custom", *settings]))
    made = prepare(params, root / "out", told=lambda _: None)
    return root, Manifest.load(root / "out"), made.description.as_dict()


@pytest.fixture(scope="module")
def classes(prepared) -> tuple[str, ...]:
    return prepared[1].classes


def test_they_are_kept_as_they_are(classes: tuple[str, ...]) -> None:
    assert set(classes) == {"é" if name == "e\u0301" else name for name in NAMES}


def test_a_request_by_name_or_number_means_one(classes: tuple[str, ...]) -> None:
    for number, name in enumerate(classes):
        assert class_of(name, classes) == number
    free = next(n for n in range(len(classes)) if str(n) not in classes)
    assert class_of(str(free), classes) == free


def test_samples_in_folders_are_read_again(classes: tuple[str, ...], tmp_path: Path) -> None:
    count = 4 * len(classes)
    images = np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)
    np.save(tmp_path / ARRAY, images)
    equal = (1,) * len(classes)
    recipe = Recipe("ab" * 32, 0, count, classes, equal, (1, SIDE, SIDE), "folder")
    write_shard(tmp_path / SHARD, images, 0, recipe.labels)
    blank = np.zeros((1, SIDE, SIDE, 1), np.uint8)
    real = RealImages(blank, np.zeros(1, int), blank, np.zeros(1, int), classes, "digest")
    for form in ("folder", "webdataset", "npz"):
        target = tmp_path / {"npz": "samples.npz"}.get(form, form)
        FORMS[form].write(target, [tmp_path], recipe)
        found, labels = sample_set(target, real)
        assert labels.tolist() == [k % len(classes) for k in range(count)]
        assert np.array_equal(found[..., :1], images)


def test_the_page_and_captions_show_them(prepared, classes, tmp_path: Path) -> None:
    score = Score("GAN-test", "gan_test", 0.5, per_class=dict.fromkeys(classes, 0.5))
    data = ReportData("names", "abc", [score], found=prepared[2])
    text = write_report(tmp_path / "r.html", data).read_text("utf-8")
    assert "猫" in text and "<b>&amp;" not in text.replace("&lt;b&gt;", "")
    assert all(text and text.isprintable() for text in captions(classes, 12).texts if text.strip())


def test_inspect_tells_them_as_json(prepared) -> None:
    root, manifest, found = prepared
    params = from_values(compose(["data=custom", f"data.source={root / 'a.parquet'}"]))
    looked = json.loads(json.dumps(look(str(root / "a.parquet"), params.data).as_dict()))
    assert looked["classes"] == found["classes"] == list(manifest.classes)
