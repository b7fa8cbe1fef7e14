"""A YAML file of parameters: what is read, and the one line that a broken file gets."""

from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from pipeline.errors import UserError
from pipeline.params.file import plain, read, shown
from pipeline.params.loading import load

ROOT = Path(__file__).resolve().parents[4]

# (the file's text, the whole message)
BAD_FILES = [
    (
        "data: {name: mnist\njoint: [",
        "params.yaml: line 2, column 6: not valid YAML: while parsing a flow mapping expected "
        "',' or '}', but got ':'",
    ),
    ("a: b: c\n", "line 1, column 5: not valid YAML: mapping values are not allowed here"),
    ("\tdata: 1\n", "line 1, column 1: not valid YAML: "),
    ("data: !!python/name:os.system\n", "line 1, column 7: not valid YAML: could not determine"),
    ("--- 1\n--- 2\n", "line 2, column 1: not valid YAML: expected a single document"),
    ("a: *b\n", "line 1, column 4: not valid YAML: found undefined alias 'b'"),
    ("a: &b [*b]\n", "a.0: an alias that holds itself is not allowed"),
    ("a: \x00\n", "not valid YAML: unacceptable character"),
    ("", "the file is empty; write it anew with `python -m pipeline compose`"),
    ("# only a comment\n", "the file is empty; write it anew with `python -m pipeline compose`"),
    ("- data\n", "must be a mapping of sections, not list"),
    ("encoder:\n  seed: 1\n  seed: 2\n", "encoder.seed: given twice, on lines 2 and 3; keep one"),
    ("data:\n  source: {{ DATA }}\n", "params.yaml: line 2: a key must be text; a value with"),
    ("? [1, 2]\n: 3\n", "params.yaml: line 1: a key must be text"),
    ("levels:\n  '0': {}\n  0: {}\n", "levels.0: given twice, on lines 2 and 3; keep one"),
]


def write(folder: Path, text: str) -> Path:
    """A params.yaml with this text."""
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def message_of(path: Path) -> str:
    """What a person is told of the file."""
    with pytest.raises(UserError) as caught:
        read(path, "params.yaml")
    return str(caught.value)


@pytest.mark.parametrize(("text", "expected"), BAD_FILES)
def test_a_file_that_is_no_parameters_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    message = message_of(write(tmp_path, text))
    assert message.startswith("params.yaml: ")
    assert expected in message
    assert "\n" not in message


def test_every_key_that_is_there_twice_is_told(tmp_path: Path) -> None:
    text = "data: {name: mnist, name: svhn}\njoint: {}\njoint:\n  seed: 1\n  seed: 2\n"
    assert message_of(write(tmp_path, text)).splitlines() == [
        "params.yaml: data.name: given twice, on lines 1 and 1; keep one",
        "params.yaml: joint: given twice, on lines 2 and 3; keep one",
        "params.yaml: joint.seed: given twice, on lines 4 and 5; keep one",
    ]


def test_numbers_and_words_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    text = "a: [1e-4, 2E3, .5, 2_000, 1:20, 0o10]\nb: {on: yes, off: no, 1: 2020-01-01}\n"
    path = write(tmp_path, text)
    assert read(path, "params.yaml") == {
        "a": [1e-4, 2000.0, 0.5, 2000, "1:20", 8],
        "b": {"on": "yes", "off": "no", "1": "2020-01-01"},
    }
    assert load_yaml(path)["a"] == read(path, "params.yaml")["a"]


def test_a_missing_file_says_where_one_should_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^params\.yaml: no such file; run this from the project"):
        load(root=tmp_path)
    with pytest.raises(UserError, match=r"/elsewhere\.yaml: no such file"):
        load(path=tmp_path / "elsewhere.yaml", root=ROOT)
    with pytest.raises(UserError, match="cannot be read"):
        load(path=tmp_path, root=ROOT)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match=r"^params\.yaml: cannot be read \('utf-8'"):
        load(root=tmp_path)


def test_values_become_json_types() -> None:
    assert plain({1: (1, 2.0), None: {True: Path("a")}}) == {
        "1": [1, 2.0],
        "null": {"true": "a"},
    }


def test_values_are_shown_on_one_short_line() -> None:
    assert shown({"a": [None, True, "b", 1e-4]}) == "{'a': [null, true, 'b', 0.0001]}"
    assert shown("a\nb") == "'a\\nb'"
    long = shown(list(range(1000)))
    assert len(long) == 80 and long.endswith("…")
