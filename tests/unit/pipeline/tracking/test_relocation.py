"""Which database came with a copy, and which only has its files elsewhere."""

import os
import shutil
import sqlite3

import pytest

from pipeline.errors import UserError
from pipeline.tracking.relocation import adopt, came_from


@pytest.fixture
def place(tmp_path):
    """`place(name)`: a folder with a database and its files."""

    def make(name):
        folder = tmp_path / name
        (folder / "mlartifacts").mkdir(parents=True)
        (folder / "mlflow.db").write_bytes(name.encode())
        return folder

    return make


def asked(here, kept):
    return came_from(here / "mlflow.db", kept / "mlartifacts", here / "mlartifacts")


def test_a_copy_beside_its_original(place):
    assert asked(place("copy"), place("original"))


def test_its_own(place):
    here = place("here")
    assert not asked(here, here)


def test_moved_with_its_files(place, tmp_path):
    assert asked(place("new"), tmp_path / "old")


def test_moved_without_its_files(place, tmp_path):
    here = place("new")
    (here / "mlartifacts").rmdir()
    assert not asked(here, tmp_path / "old")


def test_files_that_somebody_put_on_another_disk(place, tmp_path):
    (tmp_path / "disk" / "mlartifacts").mkdir(parents=True)
    assert not asked(place("here"), tmp_path / "disk")


def test_another_path_of_the_same_folder(place, tmp_path):
    """As in a container: the folder, or its files alone, under another name."""
    here = place("here")
    (tmp_path / "link").symlink_to(here)
    assert not asked(here, tmp_path / "link")
    other = tmp_path / "other"
    (other / "mlartifacts").mkdir(parents=True)
    os.link(here / "mlflow.db", other / "mlflow.db")
    assert not asked(here, other)


def test_a_database_that_may_not_be_written_is_told(place, tmp_path):
    here, original = place("here"), place("original")
    with pytest.raises(
        UserError, match=r"mlflow\.db names the files of another project.*not a data"
    ):
        adopt(here / "mlflow.db", original / "mlartifacts", here / "mlartifacts")


def test_only_what_lies_in_that_folder_is_renamed(mlflow_database, place, tmp_path):
    here, original = place("here"), place("original")
    shutil.copy(mlflow_database, here / "mlflow.db")
    with sqlite3.connect(here / "mlflow.db") as connection:
        for number, folder in enumerate(("mlartifacts", "mlartifacts-2", "mlartifacts/below")):
            connection.execute(
                "insert into experiments (name, artifact_location, lifecycle_stage) "
                "values (?, ?, 'active')",
                (str(number), (original / folder).as_uri()),
            )
    assert adopt(here / "mlflow.db", original / "mlartifacts", here / "mlartifacts") == 0
    with sqlite3.connect(here / "mlflow.db") as connection:
        found = connection.execute("select name, artifact_location from experiments").fetchall()
    assert {name: address for name, address in found if name.isdigit()} == {
        "0": (here / "mlartifacts").as_uri(),
        "1": (original / "mlartifacts-2").as_uri(),
        "2": (here / "mlartifacts" / "below").as_uri(),
    }
