"""What an evaluation is lent: two caches in the storage, filled by what is asked of them."""

from pathlib import Path

import numpy as np
import torch

from pipeline.params.settings import EvaluateConfig
from pipeline.scores.evaluation import judge_for
from pipeline.scores.inputs import RealImages
from pipeline.scores.means import means
from pipeline.storage.store import Storage


def test_judges_and_features_are_kept_apart(real: RealImages, tmp_path: Path) -> None:
    small = RealImages(
        real.train_images[:60],
        real.train_labels[:60],
        real.test_images[:20],
        real.test_labels[:20],
        real.classes,
        "small",
    )
    said: list[tuple[str, int, int]] = []
    lent = means(Storage(tmp_path), lambda *one: said.append(one), threads=1)
    settings = EvaluateConfig(judge_epochs=1.0)
    judge = judge_for(small, settings, lent)
    assert said[-1] == ("judge", 60, 60) or said[-1][1] >= 48  # the last whole batch
    assert [path.name for path in tmp_path.iterdir()] == ["judge"]
    lent.kept("pipeline.scores.ndb", "x", lambda: {"a": np.zeros(1)})
    assert {path.name for path in tmp_path.iterdir()} == {"features", "judge"}
    assert judge_for(small, settings, means(Storage(tmp_path), threads=1)).digest == judge.digest


def test_what_is_kept_is_computed_on_threads_of_its_own(tmp_path: Path) -> None:
    lent, before, seen = means(Storage(tmp_path), threads=3), torch.get_num_threads(), []

    def compute() -> dict[str, np.ndarray]:
        seen.append(torch.get_num_threads())
        return {"a": np.zeros(1)}

    for kept in (lent.kept, lent.judges):
        kept("pipeline.scores.ndb", "x", compute)
    assert seen == [3, 3]
    assert torch.get_num_threads() == before
