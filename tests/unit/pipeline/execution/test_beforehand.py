"""What may be done beside levels: this project's real images, unless they are done."""

from pathlib import Path

import pytest

from pipeline.cluster import local
from pipeline.execution import beforehand as beforehand_of_stages
from pipeline.execution.beforehand import beside_training, of_real_images
from pipeline.execution.judging import done_beforehand
from pipeline.execution.stage import opened
from pipeline.scores import beforehand


def test_it_is_asked_for_until_it_is_done(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def little(real, settings, means) -> dict:
        seen.append((real.identity, settings.num_samples))
        return {}

    monkeypatch.setattr(beforehand_of_stages, "_MANY", 2_000)
    monkeypatch.setattr(local, "cores", lambda: 2)
    with opened("levels") as stage:
        beside = beside_training(stage, "level")
        assert beside.cpus == stage.params.runtime.threads_of("reference") == 1
        assert beside.worth_a_ray()
        assert not beside_training(stage, "encoder").worth_a_ray()  # two threads leave no core
        found = of_real_images(stage)
        assert found is not None and set(found.inputs) == {"data"}
        work, data = found.errand, found.inputs["data"]
        assert work.work is done_beforehand and work.threads == 1
        assert any("test" in name for name in data.names)
        monkeypatch.setattr(beforehand, "_each", little)  # its own test is that of scores
        done_beforehand({"data": str(data.path)}, project, lambda *_: None, **work.settings)
        assert seen == [(f"{stage.manifest().data_digest}:2000:500", 10_000)]
        assert of_real_images(stage) is None and not beside.worth_a_ray()


def test_a_few_images_are_not_worth_a_ray(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 8)
    with opened("encoder") as stage:
        assert not beside_training(stage, "encoder").worth_a_ray()
        assert of_real_images(stage) is not None
