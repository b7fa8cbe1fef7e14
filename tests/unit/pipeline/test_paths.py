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
