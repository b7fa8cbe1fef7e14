"""What a person should grasp first: which scores, what they tell, and two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.scores.naming import ALL_Z
from pipeline.scores.score import Score

INCEPTION = "Inception"


@dataclass(frozen=True)
class Headline:
    """A score that matters: by its fields, with the short name that it has in metric files.

    tells: what it says, for people; "" for those that the top of a page leaves out. judge: whose,
    "" for any.
    """

    key: str
    metric: str
    tells: str = ""
    space: str = ""
    varies: str = ""
    judge: str = ""

    def find(self, scores: Sequence[Score]) -> Score | None:
        """The first measured score that this is, None without one. Of the judges the one of the
        data comes before Inception, as scores are taken in that order."""
        fields = (self.metric, self.space, self.varies)
        found = (s for s in scores if (s.metric, s.space, s.varies) == fields)
        by = (score for score in found if self.judge in ("", score.judge))
        return next((score for score in by if score.value is not None), None)

    def value(self, scores: Sequence[Score]) -> float:
        """Of the score found. Raises UserError where it was not measured."""
        score = self.find(scores)
        if score is None or score.value is None:
            raise UserError(f"{self.metric} {self.space} {self.varies}: not among the scores")
        return score.value


GAN_TEST = Headline("gan_test", "gan_test", "Drawn as asked")
FID = Headline("fid", "fid", "Distance from real images")
DIVERSITY = Headline("diversity", "diversity", "Variety within a class", "pixels", ALL_Z)
DIVERSITY_Z0 = Headline("diversity_z0", "diversity", "Variety from z_0 alone", "pixels", "z_0")
TOP = (GAN_TEST, FID, DIVERSITY, DIVERSITY_Z0)
# More would not fit into 120 columns of `dvc metrics show`; those of Inception are there on demand.
COMPARED = (
    *TOP,
    Headline("coverage", "coverage"),
    Headline("cas", "cas"),
    Headline("fid_inception", "fid", judge=INCEPTION),
    Headline("is_inception", "is", judge=INCEPTION),
)


def headline_keys(scores: Sequence[Score]) -> list[str]:
    """Keys of the measured scores that the top of a page shows, in order."""
    found = (one.find(scores) for one in TOP)
    return [score.key for score in found if score is not None]


def tells(score: Score) -> str:
    """What a score of the top says, "" for any other."""
    return next((one.tells for one in TOP if one.find([score])), "")


def headline_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """metrics/evaluate.json: what a person compares between runs, under names that do not depend
    on judge and N, which `params.yaml` has. All else is in scores.json."""
    found = {one.key: one.find(scores) for one in COMPARED}
    return {
        key: round(score.value, 6)
        for key, score in found.items()
        if score is not None and score.value is not None
    }


def inception_score(scores: Sequence[Score]) -> Score | None:
    """The Inception Score that published ones compare with, measured or not."""
    return next((s for s in scores if s.metric == "is" and s.judge == INCEPTION), None)


def summary(scores: Sequence[Score]) -> str:
    """How good the run is in two sentences, each beside real images; "" without the scores."""
    said = []
    accuracy, varied, by_z0 = (one.find(scores) for one in (GAN_TEST, DIVERSITY, DIVERSITY_Z0))
    if accuracy:
        real = f"; of real test images it reads {accuracy.real:.1%} right" if accuracy.real else ""
        said.append(
            f"A classifier that never saw the stack reads {accuracy.value:.1%} of the samples as "
            f"the class asked for{real}."
        )
    if varied:
        text = (
            f"Samples of one class are {varied.value:.2f} times as different "
            "from each other as real images are"
        )
        if by_z0:
            text += f"; with only z_0 drawn anew, {by_z0.value:.2f} times"
        said.append(f"{text}.")
    return " ".join(said)
