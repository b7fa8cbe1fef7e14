"""What a person should grasp first: which scores, what they tell, and two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.scores.naming import ALL_Z
from pipeline.scores.score import Score


@dataclass(frozen=True)
class Headline:
    """A score that matters: by its fields, with the short name that it has in metric files.

    tells: what it says, for people; "" for those that the top of a page leaves out.
    """

    key: str
    metric: str
    tells: str = ""
    space: str = ""
    varies: str = ""

    def find(self, scores: Sequence[Score]) -> Score | None:
        """The first measured score that this is, None without one. Of the judges the one of the
        data comes before Inception, as scores are taken in that order."""
        fields = (self.metric, self.space, self.varies)
        found = (s for s in scores if (s.metric, s.space, s.varies) == fields)
        return next((score for score in found if score.value is not None), None)


GAN_TEST = Headline("gan_test", "gan_test", "Drawn as asked")
FID = Headline("fid", "fid", "Distance from real images")
DIVERSITY = Headline("diversity", "diversity", "Variety within a class", "pixels", ALL_Z)
DIVERSITY_Z0 = Headline("diversity_z0", "diversity", "Variety from z_0 alone", "pixels", "z_0")
TOP = (GAN_TEST, FID, DIVERSITY, DIVERSITY_Z0)
MORE = (Headline("recall", "recall"), Headline("coverage", "coverage"), Headline("cas", "cas"))
REAL = "_real"


def headline_keys(scores: Sequence[Score]) -> list[str]:
    """Keys of the measured scores that the top of a page shows, in order."""
    found = (one.find(scores) for one in TOP)
    return [score.key for score in found if score is not None]


def tells(score: Score) -> str:
    """What a score of the top says, "" for any other."""
    return next((one.tells for one in TOP if one.find([score])), "")


def headline_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """metrics/evaluate.json: what a person compares, under names that do not depend on judge and N
    (`params.yaml` has these), and for those of TOP the real images' value, `<name>_real`.

    z_0's diversity has the real value of all noise's.
    """
    flat: dict[str, float] = {}
    for one in (*TOP, *MORE):
        score = one.find(scores)
        if score is None or score.value is None:
            continue
        flat[one.key] = round(score.value, 6)
        if one in TOP and one is not DIVERSITY_Z0 and score.real is not None:
            flat[one.key + REAL] = round(score.real, 6)
    return flat


def real_value(metrics: Mapping[str, float], one: Headline) -> float:
    """The real images' value of a score of TOP, from metrics/evaluate.json.

    Raises UserError where the file is of an older version.
    """
    return named_value(metrics, (DIVERSITY if one is DIVERSITY_Z0 else one).key + REAL)


def named_value(metrics: Mapping[str, float], key: str) -> float:
    """A value of metrics/evaluate.json. Raises UserError where the file is of an older version."""
    try:
        return float(metrics[key])
    except KeyError:
        raise UserError(f"metrics/evaluate.json: no {key} in it; evaluate anew") from None


def inception_score(scores: Sequence[Score]) -> Score | None:
    """The Inception Score that published ones compare with, measured or not."""
    standard = (s for s in scores if s.metric == "is" and s.judge == "Inception")
    return next(standard, None)


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
