"""conf/ to params.yaml: the file that is written, and the one line that each mistake gets."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.params.compose import HEADER, as_override, compose
from pipeline.params.loading import from_values, load

CONF = Path(__file__).resolve().parents[4] / "conf"

ODD = [
    "/data/café/猫",
    "s3://bucket/a=b",
    "/a#b & c/[d]/{e}, (f)",
    "/with 'quotes' and \"more\"",
    "/ends in \\",
    'C:\\Users\\x\\"y',
    "/a${b}c",
    "train-{000..009}.tar",
    "data/*.tar",
    "~/data",
    "null/x",
    "1e5",
    "true",
    "/with a space, a $HOME and ${data.name}",
    "/trails ",
    "2024",
    "-leads/with a dash",
    "/é in two characters: e\u0301",
    "/tab\there",
]


def test_compose_writes_a_file_that_says_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "params.yaml"
    values = compose(["data=svhn", "stack=three_level", "recipe=authors"], out, conf=CONF)
    assert out.read_text().startswith(HEADER)
    assert "g_steps: [[0.65, 1], [0.5, 3], [0.3, 5], [0.0, 7]]\n" in out.read_text()
    assert load(out).raw == from_values(values).raw
    assert load(out).raw == {name: value for name, value in values.items() if name != "tune"}


def lines(*overrides: str, out: Path | None = None) -> Iterable[str]:
    with pytest.raises(UserError) as caught:
        compose(overrides, out, conf=CONF)
    return str(caught.value).splitlines()


def test_what_cannot_be_composed_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "params.yaml"
    choices = " ".join(sorted(path.stem for path in (CONF / "data").glob("*.yaml")))
    assert lines("data=cifar", out=out) == [
        "cannot compose data=cifar: In 'config': Could not find 'data/cifar' Available options in "
        f"'data': {choices}"
    ]
    assert lines("levels.1.lrg=1", out=out) == [
        "cannot compose levels.1.lrg=1: there is no setting 'levels.1.lrg'; those that there are: "
        "conf/base.yaml, conf/runtime.yaml, and for a level conf/level.yaml"
    ]
    (line,) = lines("evaluate.judge=a=b", out=out)
    assert "quote special characters" in line
    assert lines("levels.1.lr_g=-1", "joint.seed=x", out=out) == [
        "conf/ levels.1.lr_g=-1 joint.seed=x: levels.1.lr_g = -1: must be > 0 and <= 1",
        "conf/ levels.1.lr_g=-1 joint.seed=x: joint.seed = 'x': must be an integer",
    ]
    (line,) = lines("nets=cifar10", out=out)
    assert line.startswith("conf/ nets=cifar10: encoder.architecture = 'cifar10': must be ")
    assert line.endswith("for data.name = 'mnist', whose images are 1x28x28")
    assert list(tmp_path.iterdir()) == []


def test_without_conf_it_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.yaml: no such file; run this from the project"):
        compose(conf=tmp_path)


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conf/ whose groups are composed already: Hydra takes half as long for one file."""
    folder = tmp_path_factory.mktemp("conf")
    values = compose(["data=custom", "data.source=/to be set"], conf=CONF)
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.mark.parametrize("path", ODD)
def test_a_path_needs_no_quotes_whatever_is_in_it(path: str, one_file: Path) -> None:
    assert compose([f"data.source={path}"], conf=one_file)["data"]["source"] == path


def test_it_needs_none_beside_a_choice_of_data() -> None:
    for path in ODD[:3]:
        assert compose(["data=custom", f"data.source={path}"])["data"]["source"] == path


@pytest.mark.parametrize("path", [*ODD, "/data/plain-1.0_a", "s3://bucket/prefix/"])
def test_what_is_offered_for_dvc_is_read_by_dvc_as_it_was_meant(
    path: str, one_file: Path, tmp_path: Path
) -> None:
    from dvc.utils.hydra import compose_and_dump

    override = as_override("data.source", path)
    out = tmp_path / "params.yaml"
    compose_and_dump(out, str(one_file), None, "config", "unused", [override])
    assert load(out).data.source == path


def test_plain_paths_are_offered_without_quotes() -> None:
    assert as_override("data.source", "/data/a-b_c.1") == "data.source=/data/a-b_c.1"
    assert as_override("data.source", "2024") == 'data.source="2024"'


def test_a_path_with_quotes_of_hydra_s_is_taken_as_it_is() -> None:
    for given in ("'/a=b'", '"/a=b"'):
        assert compose(["data=custom", f"data.source={given}"])["data"]["source"] == "/a=b"
    assert compose(["data.source=null"])["data"]["source"] is None
