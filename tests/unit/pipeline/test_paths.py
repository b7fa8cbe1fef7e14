"""Where things lie, and whose environment decides it."""

from pathlib import Path

import pytest
import yaml

from pipeline import paths

ROOT = Path(__file__).resolve().parents[3]


def test_dvc_names_the_root_of_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert paths.project_root() == tmp_path
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "workspace"))
    assert paths.project_root() == tmp_path / "workspace"
    monkeypatch.setenv("DVC_ROOT", "")
    assert paths.project_root() == tmp_path
    monkeypatch.setenv("DVC_ROOT", "below")
    assert paths.project_root() == tmp_path / "below", "a relative one is made absolute"


def test_downloads_lie_below_the_root_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SGAN_CACHE", raising=False)
    assert paths.cache_dir() == tmp_path / ".cache/sgan"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SGAN_CACHE", "~/images")
    assert paths.cache_dir() == tmp_path / "home" / "images"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that a queued experiment runs in, of the project `tmp_path`."""
    workspace = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpab12"
    workspace.mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return workspace


def test_what_a_queued_experiment_leaves_lies_in_its_project(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.owning_project(temporary) == tmp_path
    assert paths.owning_project(tmp_path) == tmp_path
    assert paths.in_project(".runs") == tmp_path / ".runs"
    assert paths.in_project("~/kept") == tmp_path / "home" / "kept"
    assert paths.in_project("/kept") == Path("/kept")
    monkeypatch.delenv("SGAN_CACHE", raising=False)
    assert paths.cache_dir() == tmp_path / ".cache/sgan"
    monkeypatch.setenv("SGAN_CACHE", "downloads")
    assert paths.cache_dir() == tmp_path / "downloads"


def test_what_a_queued_experiment_reads_is_its_own_or_its_project_s(
    temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "pets").mkdir()
    assert paths.found_in_project("pets") == tmp_path / "pets"
    (temporary / "pets").mkdir()  # git has put it there
    assert paths.found_in_project("pets") == temporary / "pets"
    assert paths.found_in_project("none") == tmp_path / "none"


def test_a_tilde_stays_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert paths.expanded("~/pets") == Path("~/pets")


def test_names_of_levels_and_metrics() -> None:
    assert paths.level_weights(0) == Path("artifacts/levels/level0.safetensors")
    assert paths.metrics_file("encoder") == Path("metrics/encoder.json")


def test_every_output_that_dvc_knows_lies_in_a_folder_that_is_named_here() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    declared = [
        Path(entry if isinstance(entry, str) else next(iter(entry)))
        for stage in stages.values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
    ]
    folders = (Path("artifacts"), paths.METRICS, paths.PLOTS)
    assert len(declared) >= 10
    assert [p for p in declared if not any(p.is_relative_to(f) for f in folders)] == []
    assert {paths.DATA, paths.ENCODER, paths.FEATURES, paths.LEVELS, paths.JOINT} <= set(declared)
