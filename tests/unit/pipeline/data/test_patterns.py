"""Sources that name several files."""

import pytest

from pipeline.data import fetch, patterns, sources
from pipeline.errors import UserError
from tests import people


@pytest.mark.parametrize(
    ("source", "base", "yes", "no"),
    [
        ("d/x-{000..009}.tar", "d", ["x-000.tar", "x-009.tar"], ["x-010.tar", "x-0.tar"]),
        ("d/{1..12}.tar", "d", ["1.tar", "12.tar"], ["01.tar", "13.tar", "0.tar"]),
        ("d/{a,b}/*.png", "d", ["a/1.png"], ["c/1.png", "a/b/1.png"]),
        ("d/**/x-?.tar", "d", ["x-1.tar", "a/b/x-1.tar"], ["x-12.tar"]),
        ("/*.tar", "/", ["a.tar"], ["a/b.tar"]),
        ("d/[!a]*.tar", "d", ["b.tar"], ["a.tar"]),
        ("s3://bucket/p/{0..1}.tar", "s3://bucket/p", ["0.tar"], ["2.tar"]),
    ],
)  # fmt: skip
def test_what_is_meant(source, base, yes, no) -> None:
    pattern = patterns.parse(source)
    assert pattern.base == base
    assert all(map(pattern.matches, yes)) and not any(map(pattern.matches, no))


def test_a_path_with_such_characters_that_is_there_is_a_path(tmp_path) -> None:
    (tmp_path / "a[1]{2}").mkdir()
    assert not patterns.is_pattern(str(tmp_path / "a[1]{2}"))
    assert patterns.is_pattern(str(tmp_path / "a[2]"))
    assert not patterns.is_pattern("http://host/a?b={1..2}") and not patterns.is_pattern(None)


def test_shards_by_a_range(tmp_path, settings) -> None:
    people.write("shards-gz", tmp_path / "data")
    people.write("shards-unsorted", tmp_path / "data" / "more")
    source = f"{tmp_path}/data/train-{{000..001}}.tar.gz"
    dataset, _ = sources.load(settings(source=source))
    assert len(dataset.train_images) + len(dataset.test_images) == 80
    with pytest.raises(UserError, match=r"names 3 files, of which 2 are there"):
        sources.load(settings(source=source.replace("001}", "002}")))
    with pytest.raises(UserError, match=r"nothing matches .*x\*\.tar"):
        sources.load(settings(source=f"{tmp_path}/data/x*.tar"))
    with pytest.raises(UserError, match=r"the range {9\.\.1} is empty"):
        fetch.localise(f"{tmp_path}/data/{{9..1}}.tar")
