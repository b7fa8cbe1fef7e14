"""What of a checkout travels, and that the same contents are the same package."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution import package


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with code, outputs, documents, ignored data and a file not yet added."""
    root = tmp_path / "project"
    texts = {
        ".gitignore": "/artifacts/\n/images/\n",
        ".rayignore": "/docs/\n/tests/*\n!/tests/data/\n",
        "dvc.lock": "outs",
        "params.yaml": "data: {}",
        "pipeline/code.py": "1",
        "docs/page.md": "words",
        "tests/test_code.py": "assert 1",
        "tests/data/small.bin": "0123",
        "metrics/encoder.json": "{}",
        "artifacts/weights": "w",
        "images/a.png": "pixels",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    (root / "pipeline" / "new.py").write_text("2")
    return root


def names(root: Path, *named: Path) -> set[str]:
    """What travels, by name."""
    return {path.as_posix() for path in package.files(root, named)}


def test_code_travels_and_outputs_and_ignored_data_do_not(checkout: Path) -> None:
    assert names(checkout) == {
        ".gitignore",
        ".rayignore",
        "params.yaml",
        "pipeline/code.py",
        "pipeline/new.py",
        "tests/data/small.bin",
    }


def test_what_is_named_travels_although_it_is_ignored(checkout: Path) -> None:
    assert names(checkout, checkout / "images") - names(checkout) == {"images/a.png"}


def test_a_deleted_file_does_not_travel(checkout: Path) -> None:
    (checkout / "pipeline" / "code.py").unlink()
    assert "pipeline/code.py" not in names(checkout)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no git repository"):
        package.files(tmp_path)


def test_the_same_contents_are_the_same_package(checkout: Path, tmp_path: Path) -> None:
    contents = package.members(checkout, package.files(checkout))
    before = package.digest(contents)
    package.write(contents, tmp_path / "one.zip")
    for path in contents.values():
        os.utime(path, (1e9, 1e9))
    package.write(contents, tmp_path / "two.zip")
    assert package.digest(contents) == before
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.read("tests/data/small.bin") == b"0123"
    (checkout / "pipeline" / "code.py").write_text("3")
    assert package.digest(contents) != before


def test_an_edit_of_a_document_or_an_output_makes_no_other_package(checkout: Path) -> None:
    def now() -> str:
        return package.digest(package.members(checkout, package.files(checkout)))

    before = now()
    for name in ("docs/page.md", "dvc.lock", "metrics/encoder.json"):
        (checkout / name).write_text("changed")
    assert now() == before


def test_data_from_elsewhere_is_sent_along(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "photos" / "cats" / "1.png").write_text("cat")
    contents = package.members(checkout, [], tmp_path / "photos")
    assert list(contents) == [".sent-data/photos/cats/1.png"]


def test_too_much_is_refused_and_the_largest_file_is_named(checkout: Path, monkeypatch) -> None:
    monkeypatch.setattr(package, "LIMIT_BYTES", 20)
    (checkout / "pipeline" / "large.bin").write_bytes(bytes(2**20))
    with pytest.raises(UserError, match=r"7 files of 1 MB .* largest is pipeline/large.bin \(1.0"):
        package.members(checkout, package.files(checkout))
