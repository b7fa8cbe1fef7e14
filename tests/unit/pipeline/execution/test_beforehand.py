"""What may be done beside levels: this project's real images, unless they are done."""

from pathlib import Path

import pytest

from pipeline.execution.beforehand import beside_levels, of_real_images
from pipeline.execution.judging import done_beforehand
from pipeline.execution.stage import opened
from pipeline.scores import beforehand


def test_it_is_asked_for_until_it_is_done(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def little(real, settings, means) -> dict:
        seen.append((real.identity, settings.num_samples))
        return {}

    with opened("levels") as stage:
        assert beside_levels(stage).cpus == stage.params.runtime.threads_of("reference") == 1
        found = of_real_images(stage)
        assert found is not None and set(found.inputs) == {"data"}
        work, data = found.errand, found.inputs["data"]
        assert work.work is done_beforehand and work.threads == 1
        assert any("test" in name for name in data.names)
        monkeypatch.setattr(beforehand, "_each", little)  # its own test is that of scores
        done_beforehand({"data": str(data.path)}, project, lambda *_: None, **work.settings)
        assert seen == [(f"{stage.manifest().data_digest}:2000:500", 10_000)]
        assert of_real_images(stage) is None
