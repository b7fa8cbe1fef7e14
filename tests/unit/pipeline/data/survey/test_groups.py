"""Containers by the split that their paths name."""

from collections import Counter

from pipeline.data.survey.groups import by_word
from pipeline.data.survey.listing import Entry
from pipeline.data.survey.shards import Part


def of_five(path: str) -> Part:
    return Part(path, 5, Counter({0: 5}))


def test_files_of_a_word_stay_together() -> None:
    files = [Entry(path, 1) for path in ("a/train-0.tar", "a/train-1.tar", "b/val.tar")]
    found = by_word("x", files, {file.path: of_five(file.path) for file in files}, None)
    assert [(group.name, group.role, group.paths, group.images) for group in found] == [
        ("train", "train", ("a/train-0.tar", "a/train-1.tar"), 10),
        ("val", "test", ("b/val.tar",), 5),
    ]


def test_a_file_alone_is_no_split() -> None:
    (one,) = by_word("x", [Entry("test.tar", 1)], {"test.tar": of_five("test.tar")}, None)
    assert (one.role, one.name, one.why) == ("train", "test.tar", "no name of a split")


def test_an_empty_file_is_no_split_without_labels() -> None:
    files = [Entry("a-0.tar", 1), Entry("a-1.tar", 1)]
    (one,) = by_word("x", files, {"a-0.tar": of_five("a-0.tar"), "a-1.tar": Part("a-1.tar")}, None)
    assert (one.role, one.images, one.paths) == ("train", 5, ("a-0.tar", "a-1.tar"))
