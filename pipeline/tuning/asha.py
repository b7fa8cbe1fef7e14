"""ASHA on Ray Tune, with a memory.

Ray's controller keeps trials when a search is killed, and not what its scheduler knew: the first
trials after a restart would go on unseen, as at a search's beginning.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray.tune.schedulers import ASHAScheduler

from pipeline.tuning import records

TIME, GOAL = "images_seen", "objective"


class RememberingASHA(ASHAScheduler):
    """Async successive halving (Li et al. 2020, arXiv 1810.05934) of trials by `objective`, over
    images seen; a trial that is added again brings what was found of it.

    Args:
        file: of the records (`pipeline.tuning.records`).
        total_images: of a whole training.
        reduction: at a rung the best 1/reduction of those seen so far go on.
        rungs: decisions in a training.
    """

    def __init__(self, file: Path, total_images: int, reduction: int, rungs: int) -> None:
        first = total_images / reduction**rungs
        super().__init__(
            time_attr=TIME,
            metric=GOAL,
            mode="min",
            max_t=total_images,
            # A rung that rounding puts behind the end would be one too few.
            grace_period=first * (1 - 1e-9),
            reduction_factor=reduction,
        )
        self._file = file

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """As its base; then what was found of the trial before."""
        super().on_trial_add(tune_controller, trial)
        for look in records.read(self._file):
            if look.trial == trial.config["trial"]:
                super().on_trial_result(tune_controller, trial, asdict(look))
