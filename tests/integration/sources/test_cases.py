"""Data sets as people have them (tests/people.py): each read right, or refused in one line before
anything is decoded that is not used."""

import json
import re
from pathlib import Path

import pytest

from pipeline.data import shards
from pipeline.data.preparing import Prepared, prepare
from pipeline.data.survey.damage import MOST_CHARACTERS
from pipeline.errors import UserError
from tests import people
from tests.params import params_of

pytestmark = pytest.mark.integration

BASE = ("data=custom", "data.image_size=32", "nets=pyramid", "budget=smoke")
CAT_DOG = ("cat", "dog")
TWO = ("0", "1")


class Case:
    """What one case gave: what was prepared, or the error, and the lines that were told."""

    def __init__(self, folder: Path, *overrides: str, name: str) -> None:
        self.lines: list[str] = []
        self.error = ""
        self.made: Prepared | None = None
        self.out = folder / "out"
        settings = people.write(name, folder / "data")
        try:
            params = params_of(*BASE, *settings, *overrides)
            self.made = prepare(params, self.out, None, self.lines.append)
        except UserError as error:
            self.error = str(error)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    @property
    def read(self) -> tuple[int, int, tuple[str, ...]]:
        assert self.made is not None, self.error
        manifest = self.made.manifest
        return manifest.rows("train"), manifest.rows("test"), manifest.classes


@pytest.fixture
def case(tmp_path: Path):
    return lambda name, *overrides: Case(tmp_path / name, *overrides, name=name)


READ = {
    "class-train": (72, 8, ("bus", "car", "train", "truck"), ""),
    "class-train-with-folders": (90, 10, ("bus", "car", "train", "truck"), ""),
    "class-train-with-folder": (72, 8, ("bus", "car", "train", "truck"), ""),
    "split-test-unlabelled": (40, 10, CAT_DOG, r"val: 10 images held out.*test: 6 images left out"),
    "three-splits-folders": (40, 6, CAT_DOG, r"val: 10 images left out \(test is held out"),
    "three-splits-parquet": (40, 6, TWO, r"validation: 10 images left out \(test is held out"),
    "three-splits-shards": (40, 6, TWO, r"val: 10 images left out \(test is held out"),
    "wrapped-folder": (36, 4, CAT_DOG, r"not read: 1 file: 1 \.txt files \(README\.txt\)"),
    "wrapped-zip": (36, 4, CAT_DOG, r"1 \.txt files \(README\.txt\)"),
    "wrapped-beside-annotations": (36, 4, CAT_DOG, r"2 \.xml files \(annotations/cat\.xml\)"),
    "zip-backslashes": (36, 4, CAT_DOG, ""),
    "zip-backslashes-splits": (40, 10, CAT_DOG, ""),
    "zip-gbk-names": (
        36,
        4,
        ("├¿", "╣╖"),
        r"read as cp437, ├¿, ╣╖; data.names_encoding .*猫 in gbk",
    ),
    "source-not-ascii": (36, 4, CAT_DOG, "café"),
    "npz-bytes-names": (54, 6, ("cat", "dog", "eel"), ""),
    "idx-gz-unpacked": (40, 10, TWO, ""),
    "image-16-bit-grey": (36, 4, CAT_DOG, ""),
    "image-long-text": (36, 4, CAT_DOG, ""),
    "files-left-out": (90, 10, CAT_DOG, r"not read: 15 files: 10 dead links .*, 5 images beside"),
    "parquet-class-names": (36, 4, CAT_DOG, "named by the schema"),
    "parquet-folders": (40, 10, TWO, ""),
    "parquet-unlabelled-test": (36, 4, TWO, r"test: 10 images left out \(it has no labels\)"),
    "shard-linked-labels": (36, 4, TWO, ""),
    "shard-linked-samples": (36, 4, TWO, ""),
    "shards-unsorted": (72, 8, TWO, ""),
    "shard-unsorted": (36, 4, TWO, ""),
    "shards-dotted-keys": (36, 4, TWO, ""),
    "shards-apple-double": (36, 4, TWO, "80 members left behind by a system"),
    "shards-gz": (72, 8, TWO, ""),
    "shard-gz": (36, 4, TWO, ""),
    "shards-folders-dotted-path": (36, 4, TWO, ""),
    "few-images": (
        130,
        10,
        tuple("abcdefghij"),
        r"few images are held out, 1 to 1 of each class, 10 in all: evaluate cannot .*of FID "
        r"within classes and of diversity; a larger data.test_fraction .* trains all anew",
    ),
}

REFUSED = {
    "wrapped-twice": r"extra, images hold the same folders \(cat, dog\).*data\.source=.*/extra",
    "zip-encrypted": r"pets\.zip: cat/0\.png is encrypted.*7z x pets\.zip.*zip -r",
    "zip-deflate64": r"pets\.zip: cat/0\.png is packed by the method Deflate64.*7z x pets\.zip",
    "class-not-utf8": r"caf\\xe9: .* is not UTF-8.*rename",
    "npz-doubled-class": r"the class name 'crane' stands twice, for 0 and 2",
    "npz-rgba": r"four channels, .* alpha .*x\[\.\.\., :3\]",
    "photos-no-size": r"cat/0\.jpg: images are 3000x2000 pixels; they must be "
    r"square.*data\.image_size",
    "photos-square-no-size": r"cat/0\.jpg: images are 3000x3000 pixels; .*128.*data\.image_size",
    "square-200-no-size": r"cat/0\.jpg: images are 200x200 pixels; .*28 to 128.*data\.image_size",
    "lfs-pointers": r"cat/0\.png: a Git LFS pointer, as are 40 of 40 .*`git lfs pull`",
    "shard-image-twice": r"train-000\.tar: sample 0001 has its png twice",
    "shard-image-upper-case": r"train-000\.tar: sample 0001 has its png twice \(0001\.png, "
    r"0001\.PNG\)",
    "shard-label-twice": r"train-000\.tar: sample 0001 has its cls twice",
}


def test_every_case_has_its_right_value_here() -> None:
    assert READ.keys() | REFUSED.keys() == people.CASES.keys()


@pytest.mark.parametrize("name", READ)
def test_is_read(case, name: str) -> None:
    train, test, classes, said = READ[name]
    found = case(name)
    assert found.read == (train, test, classes)
    assert re.search(said, found.said), found.said
    made = found.made
    assert made.description.read == train + test
    json.dumps(made.description.as_dict()).encode()
    assert all(len(line) < 400 and line.isprintable() for line in found.lines)


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(case, name: str) -> None:
    found = case(name)
    assert re.search(REFUSED[name], found.error), found.error or found.read
    assert len(found.error) <= MOST_CHARACTERS and "\n" not in found.error
    assert not found.out.exists()


def test_sixteen_bits_are_scaled_and_not_clipped(case) -> None:
    found = case("image-16-bit-grey")
    images, _ = shards.read_split(found.out, "train")
    assert 122 < images.mean() < 132 and images.shape[3] == 1


def test_names_of_a_legacy_zip_are_read_as_the_setting_says(case) -> None:
    found = case("zip-gbk-names", "data.names_encoding=gbk")
    assert found.read == (36, 4, ("狗", "猫"))


def test_what_is_left_out_and_what_is_read_add_up(case) -> None:
    found = case("files-left-out").made.description
    assert found.read + found.not_read == 115
    assert {left.kind: left.count for left in found.left_out} == {
        "dead links": 10,
        "images beside the folders that are read": 5,
    }


def test_val_is_trained_on_where_the_setting_says_so(case) -> None:
    for name, val in (("three-splits-folders", "val"), ("three-splits-parquet", "validation")):
        setting = f"data.splits={{train: [train, {val}], test: [test]}}"
        found = case(name, setting)
        assert found.read[:2] == (50, 6), found.said


def test_two_wrapping_folders_are_told_apart_by_the_setting(case) -> None:
    assert case("wrapped-twice", "data.classes=[extra, images]").read[2] == ("extra", "images")
