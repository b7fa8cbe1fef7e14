"""The card of a stack that was evaluated, in Markdown: what it is, how good, and what not to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.execution.stage import Stage
from pipeline.report.values import MOST_TIMES
from pipeline.scores.headline import (
    COMPARED,
    DIVERSITY,
    DIVERSITY_Z0,
    FID,
    GAN_TEST,
    summary,
)
from pipeline.scores.score import Score, short

if TYPE_CHECKING:
    from pipeline.data.manifest import Manifest

FILE = "model_card.md"

# As the publishers put it, where they do; what is made of images is bound by it too.
LICENCES = {
    "mnist": "MNIST, by Yann LeCun and Corinna Cortes: CC BY-SA 3.0 as its distributors state; its "
    "own page names none.",
    "fashion_mnist": "Fashion-MNIST, by Zalando SE: MIT.",
    "cifar10": "CIFAR-10, by Alex Krizhevsky: no licence is stated. Its images were collected from "
    "the web (80 Million Tiny Images, withdrawn in 2020), and belong to whoever took them.",
    "svhn": "SVHN, by Stanford and Google: for non-commercial use only, as its page states.",
}
_OWN = "The images are the project's own; their licence is known to whoever brought them."
_MANY = 20
_LOW = 0.8  # of what real images reach


def model_card(stage: Stage, scores: Sequence[Score]) -> str:
    """A card of at most 5,000 characters, as MLflow takes it. Raises UserError without data."""
    manifest = stage.manifest()
    lines = [
        f"# sgan-{manifest.name}",
        "",
        *_what(stage, manifest),
        "",
        "## Scores",
        "",
        *_table(scores),
        "",
        *([summary(scores), ""] if summary(scores) else []),
        "## What it is not good at",
        "",
        *(f"- {text}" for text in _weak(scores, manifest)),
        "",
        "## Data and its licence",
        "",
        f"{manifest.name}: {manifest.rows('train'):,} training images, SHA-256 "
        f"{manifest.data_digest[:16]}…. {LICENCES.get(manifest.name, _OWN)} It applies to what is "
        "made of the images, this model's samples included.",
        "",
        "## Use",
        "",
        *_use(),
    ]
    return "\n".join(lines) + "\n"


def _what(stage: Stage, manifest: Manifest) -> Iterator[str]:
    params, lineage = stage.params, stage.lineage
    channels, height, width = manifest.image_shape
    named = ", ".join(manifest.classes[:_MANY]) + (" …" if len(manifest.classes) > _MANY else "")
    dirty = " with changes that were not committed" if lineage.git_dirty else ""
    yield (
        f"A Stacked GAN (Huang et al., CVPR 2017) of {len(params.levels)} levels for "
        f"{manifest.name}: {width}x{height}, {channels} channel(s), {len(manifest.classes)} "
        f"classes ({named}). It draws images of a class from noise; it reads none."
    )
    yield ""
    yield "| part | images seen | noise | settings |"
    yield "|---|---|---|---|"
    encoder = params.encoder
    yield f"| E | {encoder.total_images:,} | | {encoder.architecture}, seed {encoder.seed} |"
    for i, level in sorted(params.levels.items(), reverse=True):
        weights = f"{level.lambda_adv:g}, {level.lambda_cond:g}, {level.lambda_ent:g}"
        yield (
            f"| level {i} | {level.total_images:,} | z_{i}: {level.z_dim} | λ {weights}, batch "
            f"{level.batch_size}, seed {level.seed} |"
        )
    joint = params.joint
    told = f"{joint.total_images:,}" if joint.enabled else "off"
    yield f"| joint | {told} | | seed {joint.seed} |"
    yield ""
    yield f"Revision {lineage.git_revision[:10]}{dirty}, execution {lineage.name}."


def _table(scores: Sequence[Score]) -> Iterator[str]:
    yield "| score | this model | real images |"
    yield "|---|---|---|"
    for one in COMPARED:
        score = one.find(scores)
        if score is not None:
            value = short(score.value) + (f" ± {short(score.sd)}" if score.sd is not None else "")
            yield f"| {score.name} | {value} | {short(score.real)} |"


def _weak(scores: Sequence[Score], manifest: Manifest) -> Iterator[str]:
    """What the scores say against it, and what no score has to say."""
    diversity, by_z0, fid, read = (
        one.find(scores) for one in (DIVERSITY, DIVERSITY_Z0, FID, GAN_TEST)
    )
    if diversity and diversity.value is not None and diversity.value < 1:
        yield (
            f"Variety: samples of a class are {diversity.value:.2f} times as far apart as real "
            "images."
        )
    if by_z0 and by_z0.value is not None and by_z0.value < _LOW:
        yield f"Detail: z_0 alone varies an image only {by_z0.value:.2f} times as much as real."
    if fid and fid.value is not None and fid.real and fid.value > fid.real:
        times = fid.value / fid.real
        far = f"{times:.0f} times" if times <= MOST_TIMES else "far above"
        yield (
            f"Passing for real: its Fréchet distance is {far} that between real training and test "
            "images."
        )
    if read and read.per_class:
        name, share = min(read.per_class.items(), key=lambda item: item[1])
        yield f"Class {name}: {share:.1%} of its samples are read as it, the fewest of all."
    yield (
        f"Anything but these {len(manifest.classes)} classes at this size, and the training of "
        "whatever decides about people: what the data lacks or is unfair about, it is too."
    )
    yield "Privacy: no score rules out that a sample resembles one training image."


def _use() -> Iterator[str]:
    yield "    sgan sample --weights stack.safetensors --label 0 --n 64 --out x.png"
    yield '    mlflow.pyfunc.load_model("models:/…").predict(pandas.DataFrame({"label": [0]}))'
