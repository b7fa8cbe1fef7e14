"""The description in words, as JSON, and its sums."""

from pipeline.data.survey.description import LEFT, TEST, TRAIN, Description, Split, Tally


def described() -> Description:
    tally = Tally()
    tally.add("dead links", "cat/1.png", 1)
    tally.add("dead links", "cat/2.png", 1)
    tally.add(".txt files", "README.txt")
    splits = [
        Split("train", TRAIN, "its name, beside test", 40, (30, 10)),
        Split("test", TEST, "its name", 6, (3, 3)),
        Split("val", LEFT, "test is held out", 10, (5, 5)),
    ]
    return Description(
        "/d", "folder", "zip", splits, ("Cat", "cat"), "names", tally.kinds(), ["A note"]
    )


def test_in_a_few_lines() -> None:
    assert described().lines() == [
        "folder (zip) /d: labels from names",
        "2 classes: Cat 33, cat 13",
        "splits: train: 40 images trained on (its name, beside test); test: 6 images held out (its "
        "name); val: 10 images left out (test is held out)",
        "not read: 3 files: 2 dead links (cat/1.png), 1 .txt files (README.txt)",
        "A note",
        "classes 'Cat', 'cat' differ in case, form or blanks only",
    ]


def test_sums_and_json() -> None:
    made = described()
    assert (made.read, made.not_read, made.held_out) == (46, 12, True)
    found = made.as_dict()
    assert found["images_read"] == 46 and found["images_left_out"] == 12
    assert found["left_out"][0] == {
        "kind": "dead links", "count": 2, "images": 2, "example": "cat/1.png",
    }  # fmt: skip


def test_without_a_test_split_it_is_said_what_is_held_out() -> None:
    made = described()
    made.splits = [Split("", TRAIN, "no name of a split", 40, (30, 10))]
    assert made.lines()[2].endswith("data.test_fraction of each class is held out")
    made.splits, made.classes = [Split("", TRAIN, "x", -1)], None
    assert "its images trained on" in made.lines()[1]


def test_a_split_that_only_decoding_counts_has_no_sum() -> None:
    made = described()
    made.splits = [Split("train", TRAIN, "its name", -1), Split("test", TEST, "its name", -1)]
    assert (made.images(TRAIN), made.read, made.not_read) == (None, None, 2)
    assert made.as_dict()["images_read"] is None


def test_the_rarest_of_many_kinds_are_told_as_one() -> None:
    tally = Tally()
    for n in range(30):
        tally.add(f".{n} files", f"x.{n}", 1, 30 - n)
    found = tally.kinds()
    assert [left.kind for left in found[-2:]] == [".10 files", "of 19 other kinds"]
    assert (sum(one.count for one in found), sum(one.images for one in found)) == (465, 30)
