"""More data sets as people have them (tests/odd.py): each read right, or refused in one line that
says what to do. None was known to the readers before; what was wrong was mended as a kind."""

import re
from pathlib import Path

import pytest

from pipeline.data.preparing import prepare
from pipeline.data.survey.damage import MOST_CHARACTERS
from pipeline.errors import UserError
from tests import odd
from tests.params import params_of

pytestmark = pytest.mark.integration

BASE = ("data=custom", "data.image_size=32", "nets=pyramid", "budget=smoke")
PETS = ("cat", "dog")

# Images that are trained on and held out, classes, and what is said.
READ = {
    "split-capitals": (12, 12, PETS, r"Train: .* trained on .*Test: 12 images held out"),
    "split-training-validation": (12, 12, PETS, r"validation: 12 images held out"),
    "split-test-alone": (10, 2, PETS, r"test: 12 images trained on \(the only split\)"),
    "split-test-has-less": (12, 6, PETS, r"dog 6 \| splits.* test: 6 images held out"),
    "split-qualified": (12, 12, PETS, r"test_clean: 12 images held out"),
    "split-flat-test-with-one-folder": (10, 2, PETS, r"test: 6 images left out .*no labels"),
    "class-wraps-images": (10, 2, PETS, r"cat 6, dog 6"),
    "class-with-deeper-images": (16, 2, PETS, r"cat 12, dog 6"),
    "class-only-text": (10, 2, PETS, r"1 \.txt files \(eel/notes\.txt\)"),
    "folder-checkpoints": (10, 2, PETS, r"6 left behind by a system"),
    "folder-thumbnails": (16, 2, PETS, r"cat 12, dog 6"),
    "folder-zipped-and-not": (10, 2, PETS, r"not read: 1 file: 1 \.zip files \(pets\.zip\)"),
    "names-numbers": (60, 12, tuple(map(str, range(12))), ""),
    "names-zeros": (10, 2, ("01", "1"), ""),
    "names-case": (10, 2, ("Cat", "cat"), r"'Cat', 'cat' differ in case, form or blanks only"),
    "names-spaces": (10, 2, ("cat", "cat "), r"'cat', 'cat ' differ in case, form or blanks"),
    "names-scripts": (15, 3, ("قط", "猫", "🐈"), ""),
    "names-long": (10, 2, ("dog", "x" * 250), r"xxx…xxx"),
    "zip-of-a-mac": (10, 2, PETS, r"4 left behind by a system"),
    "zip-is-a-tar": (10, 2, PETS, r"folder \(tar\)"),
    "tar-is-a-zip": (10, 2, PETS, r"folder \(zip\)"),
    "zip-of-npz": (10, 2, ("0", "1"), r"npz \(zip\)"),
    "zip-of-shards": (22, 2, ("0", "1"), r"webdataset \(zip\)"),
    "tar-gz-in-zip": (10, 2, PETS, r"a\.zip/in\.tar\.gz"),
    "zip-case": (10, 2, ("Cat", "cat"), r"differ in case"),
    "image-palette": (11, 2, PETS, ""),
    "image-cmyk": (11, 2, PETS, ""),
    "image-one-bit": (11, 2, PETS, ""),
    "image-wrong-suffix": (11, 2, PETS, ""),
    "image-animated": (11, 2, PETS, ""),
    "image-pages": (11, 2, PETS, ""),
    "image-upper-suffix": (10, 2, PETS, ""),
    "parquet-target": (10, 2, ("0", "1"), r"labels from column target"),
    "parquet-dictionary": (10, 2, PETS, ""),
    "parquet-zstd": (10, 2, ("0", "1"), ""),
    "shard-label-lines": (10, 2, ("0", "1"), ""),
    "shard-float-label": (10, 2, ("0.0", "1.0"), r"2 classes: 0\.0 6, 1\.0 6"),
    "shards-in-split-folders": (12, 12, ("0", "1"), r"val: 12 images held out"),
    "shards-and-index": (10, 2, ("0", "1"), r"1 \.idx files \(a-0\.idx\), 1 \.json files"),
    "shard-empty": (10, 2, ("0", "1"), r"splits: a-0\.tar: 12 images"),
    "few-two-each": (2, 2, PETS, r"few images are held out, 1 to 1 of each class"),
    "few-uneven": (37, 5, PETS, r"few images are held out, 1 to 4 of each class"),
}
REFUSED = {
    "split-inside-classes": r"cat, dog each hold test, train: .*\(train/cat, …\), or 'data\.splits",
    "split-folds": r"fold1, fold2 hold the same folders \(cat, dog\).*data\.source=.*/fold1",
    "split-test-has-more": r"test/eel: class 'eel' is not in the training split",
    "split-two-kinds": r"several sets of splits.*data\.splits={train: \[train_clean",
    "split-npz-files": r"test\.npz, train\.npz read as splits.*x_train, y_train, x_test and y_test",
    "split-archives": r"2 archives \(test\.zip, train\.zip\): unpack them side by side",
    "split-plain-tars": r"train\.tar: .* unpack it \(tar -xf train\.tar\) and let data\.source",
    "class-empty": r"eel: no images in it .*add some or remove it",
    "class-only-one": r"only one class \(cat\)",
    "flat-no-labels": r"holds images but no folders: .*metadata\.csv",
    "flat-named-by-class": r"holds images but no folders: .*metadata\.csv",
    "csv-of-labels": r"only one class \(train\).*labels\.csv: labels are not read from there",
    "folder-masks": r"images reads as a folder of all images, and masks .*data\.classes=",
    "names-composed": r"'café' has two folders, whose names differ only in how their accents",
    "zip-is-a-page": r"a\.zip: a page of the web \(HTML\) and no archive: .* Fetch it again",
    "zip-empty": r"a\.zip is empty \(allowed: ",
    "zip-of-nothing": r"a\.zip: empty \(0 bytes\): fetch it again",
    "folder-of-7z": r"pets\.7z is an archive that is not read; unpack it",
    "file-of-rar": r"pets\.rar is an archive that is not read; unpack it",
    "npz-floats": r"dtype float64; only uint8 .*\(x \* 255\)",
    "npz-channels-first": r"\[12, 3, 32, 32\]; .*x\.transpose\(0, 2, 3, 1\)",
    "npz-one-hot": r"one-hot: y\.argmax\(1\)",
    "npz-float-labels": r"float64 .*y\.astype\(int\)",
    "npz-names-as-labels": r"<U3 .*numpy\.unique\(y, return_inverse=True\)",
    "npz-labels-from-one": r"no training images for class 0 .*Labels must be 0 to K-1",
    "npz-upper-case": r"holds \['X_train', 'Y_train'\]; expected x_train and y_train",
    "npz-unnamed": r"holds \['arr_0', 'arr_1'\]; expected x_train and y_train",
    "npy-pair": r"images\.npy are not read; write one \.npz: numpy\.savez\(",
    "npz-flattened": r"shape \[12, 1024\]; allowed are \[N, H, W\]",
    "image-float": r"cat/p\.tif: cannot use this image \(pixel type 'F'",
    "image-truncated": r"cat/p\.jpg: .*truncated.*data\.on_bad_image: skip",
    "image-empty": r"cat/p\.png: cannot use this image \(the file is empty\)",
    "image-gzipped": r"a/0\.png\.gz are not read; unpack them: gunzip -r",
    "image-oblong": r"a/0\.png: images are 32x24 pixels; .*data\.image_size: 32",
    "parquet-fine-label": r"columns \['img', 'fine_label', 'coarse_label'\]; .*Rename yours",
    "parquet-floats": r"label 0\.0; it must be an integer from 0 or a name",
    "parquet-bools": r"label False; it must be an integer from 0 or a name",
    "parquet-some-null": r"1 of 12 rows have the label None.*unlabelled\.parquet",
    "parquet-pixels": r"row 0: image must hold the bytes of an image file .*found list",
    "parquet-by-folder": r"Hive's partitions\) is not read: write one file",
    "arrow-saved": r"\.arrow are not read; write Parquet: datasets\.load_from_disk",
    "shard-captions": r"holds images but no folders: .*give each sample of a shard its \.cls",
    "shard-some-unlabelled": r"sample 0003: has \['png'\]; expected an image .* and cls",
    "shard-json-deep": r"holds images but no folders: .*give each sample of a shard its \.cls",
    "few-one-each": r"class 'cat' has one image, .*Add images, remove the class",
}


def test_each_case_is_here() -> None:
    assert READ.keys() | REFUSED.keys() == odd.CASES.keys() and not READ.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", odd.CASES)
def test_is_read_right_or_refused_with_the_remedy(name: str, tmp_path: Path) -> None:
    settings, lines = odd.write(name, tmp_path / "data"), list[str]()
    params = params_of(*BASE, *settings)
    if name in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name]) as raised:
            prepare(params, tmp_path / "out", None, lines.append)
        said = str(raised.value)
        assert len(said) <= MOST_CHARACTERS and said.isprintable()
        assert not (tmp_path / "out").exists()
        return
    made = prepare(params, tmp_path / "out", None, lines.append)
    train, test, classes, said = READ[name]
    manifest = made.manifest
    assert (manifest.rows("train"), manifest.rows("test"), manifest.classes) == (
        train,
        test,
        classes,
    )
    assert re.search(said, " | ".join(lines)), lines
