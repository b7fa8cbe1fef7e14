"""CAS of one or more sample sets, beside what as many real images reach."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.params.settings import EvaluateConfig
from pipeline.scores import labels
from pipeline.scores.cas import cas
from pipeline.scores.inputs import RealImages, Samples
from pipeline.scores.means import means
from pipeline.storage.store import Storage


def test_cas_over_two_sets_and_its_ceiling_from_the_cache(
    few_small: RealImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = EvaluateConfig(num_samples=100, study_seeds=2, cas_epochs=3.0)
    parts = [slice(0, 100), slice(100, 200)]
    images, asked_for = few_small.train_images, few_small.train_labels
    sets = [Samples(images[p], asked_for[p], i) for i, p in enumerate(parts)]
    said: list[tuple[str, int, int]] = []
    asked: list[str] = []
    lent = means(Storage(tmp_path), lambda *one: said.append(one), threads=1)
    heard = replace(lent, kept=lambda *what: asked.append(what[0]) or lent.kept(*what))
    (score,) = cas(sets, few_small, settings, heard)
    assert score.key == "cas" and score.repeats == 2 and score.sd is not None
    assert score.real is not None and score.real_sd is not None
    assert score.value == pytest.approx(score.real, abs=0.2)
    assert score.protocol["seeds"] == [0, 1] and score.n == 100
    assert {what for what, *_ in said} == {"CAS, real images", "CAS"}
    each = 100 // 16 * 16 * 3  # images of whole batches
    assert {total for *_, total in said} == {2 * each}
    assert ("CAS", 2 * each, 2 * each) in said and ("CAS, real images", 2 * each, 2 * each) in said
    assert asked == ["pipeline.scores.cas"]  # which says what the ceiling is trained on

    trained: list[int] = []
    train = labels.train_judge
    monkeypatch.setattr(
        labels, "train_judge", lambda *a, **k: trained.append(k["seed"]) or train(*a, **k)
    )
    (again,) = cas(sets, few_small, settings, heard)
    assert (again.value, again.real) == (score.value, score.real)
    assert trained == [0, 1]  # the samples only
    (first,) = cas(sets, few_small, replace(settings, study_seeds=1), heard)
    assert first.repeats == 1 and first.sd is None and first.protocol["seeds"] == [0]
    assert cas(sets, few_small, replace(settings, cas=False), heard) == []
    assert cas([replace(one, labels=None) for one in sets], few_small, settings, heard) == []
