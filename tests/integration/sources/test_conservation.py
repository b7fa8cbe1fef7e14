"""The law of this room: images read + images named as left out = images there, whatever lies there.

Random trees, archives, tables, shards and arrays; what a survey refuses, it refuses in one line.
"""

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, target
from hypothesis import strategies as st

from pipeline.data.survey.kinds import IMAGE_SUFFIXES, OTHER_PICTURES, suffix
from pipeline.data.survey.names import is_system
from pipeline.data.survey.surveying import surveyed
from pipeline.errors import UserError

pytestmark = pytest.mark.integration

CASES = 150  # of each form
QUICK = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = ("cat", "dog", "train", "test", "val", "Test", "images", "0", "1", "10", "é", "a.b", ".hid")
WORDS += ("train_2", "@eaDir", "unlabelled", "extra")
FILES = (
    "0.png",
    "1.jpg",
    "2.JPE",
    "bare",
    "x.psd",
    "notes.txt",
    "._0.png",
    "a.0001.png",
    "Thumbs.db",
)

paths = st.lists(st.sampled_from(WORDS), max_size=3).flatmap(
    lambda folders: st.sampled_from(FILES).map(lambda file: "/".join((*folders, file)))
)
trees = st.sets(paths, min_size=1, max_size=14)


@pytest.fixture
def fresh(tmp_path: Path, settings) -> Iterator:
    """A new folder for every case, and the settings."""
    yield (lambda: Path(tempfile.mkdtemp(dir=tmp_path)), settings)


def is_image(path: str) -> bool:
    """Whether a file of these trees is an image: those without a suffix are PNG here, and known by
    their content but for what systems leave behind."""
    name = path.rpartition("/")[2]
    seen = not any(map(is_system, path.split("/")))
    return (name == "bare" and seen) or suffix(name) in IMAGE_SUFFIXES + OTHER_PICTURES


def adds_up(path: Path, settings, there: int) -> bool:
    """Whether the survey read it; asserts that it adds up, or is refused as errors are."""
    try:
        with surveyed(path, settings()) as found:
            made, plan = found.description, found.plan
    except UserError as error:
        assert "\n" not in str(error) and str(error).isprintable()
        return False
    assert made.read + made.not_read == there, made.lines()
    if plan.form == "folder":
        assert sum(map(len, plan.files.values())) == made.read
        assert len({name for rows in plan.files.values() for name, _ in rows}) == made.read
    assert all(line.isprintable() for line in made.lines())
    target(float(made.read))
    return True


def grown(root: Path, names: set[str], png: bytes) -> set[str]:
    """Write the files that can lie together; returns them."""
    written = set()
    for name in sorted(names):
        path = root / name
        if any(parent.is_file() for parent in path.parents) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png if is_image(name) else b"word")
        written.add(name)
    return written


@QUICK
@given(trees)
def test_trees(fresh, made, names) -> None:
    new, settings = fresh
    root = new()
    written = grown(root, names, made.png)
    adds_up(root, settings, sum(map(is_image, written)))


@QUICK
@given(trees, st.sampled_from(["zip", "tar", "tgz"]))
def test_archives(fresh, made, names, form) -> None:
    new, settings = fresh
    root = new()
    written = grown(root / "in", names, made.png)
    path = root / f"x.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name in sorted(written):
                packed.write(root / "in" / name, name)
    else:
        with tarfile.open(path, "w:gz" if form == "tgz" else "w") as tar:
            for name in sorted(written):
                tar.add(root / "in" / name, name)
    adds_up(path, settings, sum(map(is_image, written)))


labels = st.one_of(
    st.lists(st.integers(-1, 3), max_size=6), st.lists(st.sampled_from(["a", "b", ""]), max_size=6)
)
containers = st.dictionaries(
    st.sampled_from(
        ["train-0", "train-1", "test-0", "val-0", "x", "d/test/0", "d/train/0", "extra"]
    ),
    labels,
    min_size=1,
    max_size=4,
)


@QUICK
@given(containers)
def test_tables(fresh, made, files) -> None:
    new, settings = fresh
    root = new()
    for name, values in files.items():
        made.table(root / f"{name}.parquet", values)
    adds_up(root, settings, sum(map(len, files.values())))


members = st.lists(
    st.tuples(
        st.sampled_from(["0", "1", "2", "a/0", "k.1", "k.2"]),
        st.sampled_from(["png", "jpg", "cls", "json", "txt", "PNG", "seg.png"]),
        st.sampled_from([b"0", b"1", b"-1", b"cat", b'{"label": 1}']),
    ),
    max_size=12,
)


@QUICK
@given(
    st.dictionaries(st.sampled_from(["train-0", "test-0", "x"]), members, min_size=1, max_size=3)
)
def test_shards(fresh, made, files) -> None:
    new, settings = fresh
    root, there = new(), 0
    for name, content in files.items():
        written = []
        for key, ending, value in content:
            image = ending.lower().endswith(("png", "jpg"))
            there += int(image)
            written.append((f"{key}.{ending}", made.png if image else value))
        made.shard(root / f"{name}.tar", written)
    adds_up(root, lambda: settings(format="webdataset"), there)


@QUICK
@given(
    st.dictionaries(st.sampled_from(["x_train", "x_test", "images", "other"]), st.integers(0, 5))
)
def test_arrays(fresh, counts) -> None:
    new, settings = fresh
    path = new() / "x.npz"
    arrays = {name: np.zeros((count, 4, 4), np.uint8) for name, count in counts.items()}
    spelt = {"x_train": "y_train", "x_test": "y_test", "images": "labels"}
    arrays |= {spelt[n]: np.arange(c) % 2 for n, c in counts.items() if n in spelt}
    np.savez(path, **arrays)
    adds_up(path, settings, sum(counts.values()))
