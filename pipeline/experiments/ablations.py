"""The paper's comparison as DVC experiments: which there are, what they scored, the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.code import closure_digest
from pipeline.errors import UserError
from pipeline.params.compose import compose
from pipeline.params.loading import from_values
from pipeline.parts.part import KINDS, code_version
from pipeline.scores.headline import (
    DIVERSITY,
    DIVERSITY_Z0,
    FID,
    GAN_TEST,
    Headline,
)
from pipeline.scores.paper import INCEPTION_SCORES
from pipeline.scores.score import INCOMPARABLE, Score, incomparable, mean_sd, short
from pipeline.tracking.lineage import params_digest
from sgan.config import ARCHITECTURES

# What decides the result of an experiment, but for the recipes of its parts.
_DATA = ("pipeline.data.sources", "pipeline.data.shard_writer", "pipeline.data.encoding")
_SCORES = ("pipeline.scores.evaluation", "pipeline.scores.prepared")
_DECIDED_BY = (*_DATA, "sgan.encoder", *_SCORES)
_ONE_GAN = "dcgan_"


@dataclass(frozen=True)
class Setting:
    """One row of the comparison.

    Attributes:
        name: choice of conf/ablation.
        text: for a person.
        paper: the row's name in the paper's table (`pipeline.scores.paper`), "" for none.
    """

    name: str
    text: str
    paper: str = ""

    @property
    def one_gan(self) -> bool:
        """Whether this is the paper's baseline, one GAN without a stack."""
        return self.name.startswith(_ONE_GAN)


SETTINGS = (
    Setting("full", "Stacked GAN", "SGAN"),
    Setting("three_level", "three levels"),
    Setting("no_joint", "no joint stage", "SGAN, no joint stage"),
    Setting("no_entropy", "no entropy loss"),
    Setting("no_conditional", "no conditional loss"),
    Setting("neither", "neither of the two"),
    Setting("dcgan_adv", "one GAN: adv", "one GAN: adversarial"),
    Setting("dcgan_adv_cond", "one GAN: adv + cond", "one GAN: adversarial, conditional"),
    Setting("dcgan_adv_ent", "one GAN: adv + ent", "one GAN: adversarial, entropy"),
    Setting(
        "dcgan_adv_cond_ent",
        "one GAN: adv + cond + ent",
        "one GAN: adversarial, conditional, entropy",
    ),
)


# Columns: the heading, and which score of metrics/evaluate.json it is.
METRICS = {
    "GAN-test ↑": GAN_TEST,
    "diversity → 1": DIVERSITY,
    "of z_0 alone": DIVERSITY_Z0,
    "FID ↓": FID,
}


@dataclass(frozen=True)
class Experiment:
    """A setting with a seed. Its name holds a digest of parameters and code: same name, same
    result, whatever commit it was run at."""

    setting: Setting
    seed: int
    overrides: tuple[str, ...]
    params: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The DVC experiment's name, and the lineage of its MLflow runs."""
        text = f"{params_digest(self.params)}:{_code(self.params['encoder']['architecture'])}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.setting.name.replace('_', '-')}-s{self.seed}-{digest}"

    @property
    def images(self) -> int:
        """Images that G_0 sees in all its training."""
        return from_values(dict(self.params)).images_of_g0


def planned(
    root: Path, data: str, budget: str, seeds: Sequence[int], only: Sequence[str] = ()
) -> list[Experiment]:
    """The experiments, seed by seed, so that a set that is cut short can be compared.

    One GAN alone sees as many images as G_0 of the full stack does in both of its trainings. E and
    the judge keep their seed, so that all experiments share them.
    Raises UserError for an unknown setting, data set or budget.
    """
    known = [setting.name for setting in SETTINGS]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise UserError(f"--only {' '.join(unknown)}: must be among {', '.join(known)}")
    base = (f"data={data}", f"budget={budget}")
    full = _compose(root, base)
    images = from_values(full).images_of_g0
    chosen = [setting for setting in SETTINGS if not only or setting.name in only]
    found = []
    for seed in seeds:
        for setting in chosen:
            overrides = [*base, f"ablation={setting.name}", "evaluate.log_model=false"]
            levels = _compose(root, overrides)["levels"]
            overrides += [f"levels.{i}.seed={seed}" for i in levels] + [f"joint.seed={seed}"]
            if setting.one_gan:
                overrides.append(f"levels.0.total_images={images}")
            params = _compose(root, overrides)
            found.append(Experiment(setting, seed, tuple(overrides), params))
    return found


def _compose(root: Path, overrides: Sequence[str]) -> dict[str, Any]:
    return compose(overrides, conf=root / "conf")


@cache
def _code(architecture: str) -> str:
    """SHA-256 (hex) of the code that decides what is trained, on what, and how it is measured."""
    trained = "".join(code_version(kind, architecture) for kind in KINDS)
    nets = {"sgan.architectures": ARCHITECTURES[architecture].module}
    rest = closure_digest(*_DECIDED_BY, chosen=nets)
    return hashlib.sha256(f"{trained}:{rest}".encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What DVC knows of an experiment: its state, its commit, metrics/evaluate.json."""

    state: str
    revision: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def outcomes(shown: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
    """By name, from the answer of `dvc exp show --all-commits --json`.

    DVC shows the metrics of the commit it began at for an experiment that failed or waits: those
    are left out. One that is done is preferred to another of the same name that is not.
    """
    found: dict[str, Outcome] = {}
    for baseline in shown:
        for entry in baseline.get("experiments") or ():
            revision = (entry.get("revs") or [{}])[0]
            name = entry.get("name") or revision.get("name")
            state = (entry.get("executor") or {}).get("state", "success")
            kept = (revision.get("data") or {}).get("metrics") or {}
            metrics = kept.get("metrics/evaluate.json", {}).get("data") or {}
            if state != "success" or not metrics:
                outcome = Outcome("unknown" if state == "success" else str(state))
            else:
                outcome = Outcome("done", str(revision.get("rev", "")), metrics)
            if name and (name not in found or outcome.metrics):
                found[name] = outcome
    return found


def comparable(
    found: Mapping[str, Outcome], scores: Mapping[str, Sequence[Score]]
) -> dict[str, Outcome]:
    """The outcomes, without the metrics of those that were measured by another judge than the
    first of `scores`, or otherwise: their state says so.

    scores: of each experiment that is done, by its name.
    """
    told, known = dict(found), list(scores.items())
    for name, own in known[1:]:
        pairs = [(one.find(known[0][1]), one.find(own)) for one in METRICS.values()]
        reasons = [incomparable(a, b) for a, b in pairs if a is not None and b is not None]
        if reason := next(filter(None, reasons), ""):
            told[name] = Outcome(reason, found[name].revision)
    return told


def rows(
    experiments: Sequence[Experiment], found: Mapping[str, Outcome]
) -> list[tuple[Setting, int, int, dict[str, tuple[float, float | None]]]]:
    """(setting, seeds done, images of G_0, {heading: mean and sd over seeds}) for each setting."""
    table = []
    for setting in dict.fromkeys(e.setting for e in experiments):
        own = [e for e in experiments if e.setting == setting]
        done = [found[e.name].metrics for e in own if e.name in found and found[e.name].metrics]
        values = {
            heading: mean_sd([_value(m, one) for m in done])
            for heading, one in METRICS.items()
            if done
        }
        table.append((setting, len(done), own[0].images, values))
    return table


def _value(metrics: Mapping[str, float], one: Headline) -> float:
    if one.key not in metrics:
        raise UserError(f"metrics/evaluate.json: no {one.key} in it; it is of an older version")
    return float(metrics[one.key])


def cells(
    experiments: Sequence[Experiment], found: Mapping[str, Outcome], scores: Sequence[Score] = ()
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of text, the paper's Inception Score and real images included.

    scores: of one of the experiments, for what the same metrics give for real images.
    """
    count = thousands_of(experiments)
    heads = ["setting", "seeds", "images of G_0", *METRICS]
    heads[-1] = f"FID (judge, {count}) ↓"
    heads.append("paper: IS on CIFAR-10 ↑")
    body = []
    for setting, seeds, images, values in rows(experiments, found):
        paper = "{:.2f} ± {:.2f}".format(*INCEPTION_SCORES[setting.paper]) if setting.paper else "-"
        own = (found[e.name].state for e in experiments if e.setting == setting and e.name in found)
        other = next((state for state in own if state in INCOMPARABLE), "not run")
        measured = [_shown(values.get(heading), other) for heading in METRICS]
        body.append([setting.text, str(seeds), f"{images:,}", *measured, paper])
    if scores:
        measured_on = [one.find(scores) for one in METRICS.values()]
        real = [short(score.real) if score else "-" for score in measured_on]
        body.append(["real images", "", "", *real, f"{INCEPTION_SCORES['real images'][0]:.2f}"])
    return heads, body


def thousands_of(experiments: Sequence[Experiment]) -> str:
    """Samples that each score is taken on: "3k"."""
    from pipeline.scores.score import thousands

    return thousands(int(experiments[0].params["evaluate"]["num_samples"]))


def _shown(value: tuple[float, float | None] | None, otherwise: str) -> str:
    if value is None:
        return otherwise
    mean, sd = value
    return short(mean) if sd is None else f"{short(mean)} ± {short(sd)}"


def markdown(
    experiments: Sequence[Experiment],
    found: Mapping[str, Outcome],
    facts: Mapping[str, str],
    scores: Sequence[Score] = (),
) -> str:
    """The table with what it takes to read it; `scores` as for `cells`."""
    heads, body = cells(experiments, found, scores)
    lines = ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *body)]
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"""# Ablations

Ours, beside the paper's table. **The two do not measure the same thing**: the last column is the
paper's Inception Score on CIFAR-10 (arXiv 1612.04357, Table 1); the others are scores of our runs
by an independent judge, mean ± sd over seeds. Compare the order of the rows, not the numbers.

{chr(10).join(lines)}

- GAN-test: share of samples that the judge reads as the label asked for. A generator with one
  image per class has 100 % too, so read it beside the diversity.
- diversity: mean pairwise pixel distance of samples of one class over that of real images; *of z_0
  alone*: with the label and all noise above fixed; of one GAN alone z_0 is all the noise.
- FID: Fréchet distance in the judge's features, against training images. Never compare it with
  an Inception FID.
- One GAN alone has G_0's and D_0's architecture with the label as its condition, and sees as many
  images as G_0 of the full stack in both trainings.

{told}
"""


def as_json(
    experiments: Sequence[Experiment], found: Mapping[str, Outcome], facts: Mapping[str, str]
) -> str:
    """The same for programs, with every experiment's own scores."""
    listed = [
        {
            "setting": e.setting.name,
            "seed": e.seed,
            "experiment": e.name,
            "revision": found[e.name].revision if e.name in found else None,
            "images_of_g0": e.images,
            "metrics": dict(found[e.name].metrics) if e.name in found else {},
        }
        for e in experiments
    ]
    table = [
        {
            "setting": setting.name,
            "seeds": seeds,
            "images_of_g0": images,
            **{name: {"mean": mean, "sd": sd} for name, (mean, sd) in values.items()},
            "paper_inception_score_cifar10": INCEPTION_SCORES.get(setting.paper),
        }
        for setting, seeds, images, values in rows(experiments, found)
    ]
    return json.dumps({"facts": dict(facts), "table": table, "experiments": listed}, indent=2)
