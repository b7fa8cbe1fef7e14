"""What `prepare` does, without its tracking; test_cases.py has data sets as people have them."""

from pathlib import Path

import pytest

from pipeline.data.preparing import prepare, sides_taken
from pipeline.errors import UserError
from pipeline.params.compose import compose
from pipeline.params.loading import Params, from_values
from tests import people
from tests.params import params_of


def params(*overrides: str) -> Params:
    return params_of(*overrides, "budget=smoke")


def test_the_tests_parameters_are_those_that_are_composed() -> None:
    overrides = ("data=custom", "data.source=/a b", "data.splits={train: [x]}", "nets=pyramid")
    composed = from_values(compose([*overrides, "data.image_size=null", "budget=smoke"]))
    assert params(*overrides, "data.image_size=null") == composed


def custom(source: Path, *overrides: str) -> Params:
    return params("data=custom", f"data.source={source}", *overrides)


@pytest.mark.parametrize(
    ("nets", "sides"),
    [("mnist", [28]), ("cifar10", [32]), ("pyramid", list(range(28, 129, 4)))],
)
def test_the_sides_that_the_nets_take(nets: str, sides: list[int]) -> None:
    assert sides_taken(params("data=custom", "data.source=x", f"nets={nets}")) == sides


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ("mnist", r"0\.png: images are 32x32 pixels; they must be square, of 28 pixels a side\."),
        ("svhn", ""),
    ],
)
def test_images_that_the_nets_do_not_take_are_refused_at_the_first(tmp_path, nets, message) -> None:
    people.write("wrapped-folder", tmp_path / "data")
    (tmp_path / "data/pets/dog/0.png").write_bytes(b"broken: never seen")
    with pytest.raises(UserError, match=message or "dog/0.png: cannot use this image"):
        prepare(custom(tmp_path / "data", f"nets={nets}"), tmp_path / "out", told=lambda _: None)
    assert not (tmp_path / "out").exists()


def test_colours_that_the_nets_do_not_take_are_refused_before_anything_is_written(tmp_path) -> None:
    people.write("wrapped-folder", tmp_path / "data")
    chosen = custom(tmp_path / "data", "nets=mnist", "data.image_size=28")
    with pytest.raises(UserError, match=r"encoder\.architecture = 'mnist' cannot take"):
        prepare(chosen, tmp_path / "out", told=lambda _: None)
    assert not (tmp_path / "out").exists()


def test_too_few_samples_for_the_classes_are_refused_before_decoding(tmp_path) -> None:
    for number in range(60):
        folder = tmp_path / "data" / str(number)
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(b"broken")
        (folder / "1.png").write_bytes(b"broken")
    chosen = custom(tmp_path / "data", "evaluate.num_samples=100", "nets=pyramid")
    with pytest.raises(
        UserError, match=r"evaluate\.num_samples = 100: must be >= 120, two of each"
    ):
        prepare(chosen, tmp_path / "out", told=lambda _: None)


def test_batches_of_more_images_than_there_are_are_told_at_once(tmp_path) -> None:
    people.write("wrapped-folder", tmp_path / "data")  # 36 to train on, 4 held out
    said: list[str] = []
    small = ("nets=pyramid", "data.image_size=32", "joint.enabled=false")
    chosen = custom(tmp_path / "data", *small, "levels.0.batch_size=100")
    made = prepare(chosen, tmp_path / "out", told=said.append)
    assert made.manifest.rows("train") == 36
    (line,) = (line for line in said if "batch_size" in line)
    assert line.startswith(
        "encoder.batch_size = 100, levels.0.batch_size = 100, levels.1.batch_size = 100: must be "
        "at most the 36 training images"
    )
    said.clear()
    fits = [f"{name}.batch_size=36" for name in ("encoder", "levels.0", "levels.1")]
    chosen = custom(
        tmp_path / "data", "nets=pyramid", "data.image_size=32", "joint.enabled=false", *fits
    )
    prepare(chosen, tmp_path / "out", told=said.append)
    assert not [line for line in said if "batch_size" in line]
