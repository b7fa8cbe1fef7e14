"""Are labels obeyed, and are the samples usable: GAN-test and CAS (GAN-train), by a judge.

GAN-test: Shmelkov et al. 2018 (arXiv 1807.09499). CAS: Ravuri and Vinyals 2019 (arXiv 1905.10887).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.evaluation.extractor import Extractor
from pipeline.evaluation.judge import Judge, Progress, train_judge
from pipeline.evaluation.scores import Score, mean_sd, thousands


def accuracy_by_class(
    logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    """Share of images read as asked, for every class that occurs. logits [N, K], labels [N]."""
    right = logits.argmax(1) == labels
    return {
        name: float(right[labels == index].mean())
        for index, name in enumerate(classes)
        if (labels == index).any()
    }


def gan_test(
    logits: np.ndarray,
    labels: np.ndarray,
    judge: Judge,
    classes: Sequence[str],
    *,
    real: float | None = None,
    **protocol: Any,
) -> Score:
    """The judge's accuracy on samples as asked, mean over images and per class.

    logits float [N, K] are the judge's on the samples, labels int [N] what was asked of the stack.
    `real`: the judge's accuracy on real test images, the ceiling. It reads 1 for a collapsed
    generator too: put a diversity figure beside it. Raises UserError where the lengths differ.
    """
    if logits.shape != (len(labels), len(classes)):
        raise UserError(
            f"GAN-test: logits {list(logits.shape)} do not fit {len(labels)} labels of "
            f"{len(classes)} classes"
        )
    return Score(
        f"GAN-test ({judge.name})",
        "gan_test",
        float((logits.argmax(1) == labels).mean()),
        real=real,
        better="higher",
        per_class=accuracy_by_class(logits, labels, classes),
        protocol={**judge.protocol(), "n_fake": len(labels), **protocol},
    )


def classification_accuracy_score(
    samples: np.ndarray,
    sample_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    classes: Sequence[str],
    *,
    real_images: np.ndarray | None = None,
    real_labels: np.ndarray | None = None,
    epochs: float = 3,
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    progress: Progress | None = None,
    **protocol: Any,
) -> Score:
    """CAS: train the judge's network on samples only, test on real images. Mean ± sd over `seeds`.

    Images uint8 [N, H, W, C]. The ceiling is the same budget spent on equally many real training
    images (`real_images`, `real_labels`; skipped where None). Cost: seeds x epochs x N images,
    doubled by the ceiling.
    """

    def accuracy(images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
        judge = train_judge(
            images,
            labels,
            num_classes=len(classes),
            epochs=epochs,
            seed=seed,
            device=device,
            progress=progress,
        )
        logits = judge.logits(test_images)
        return float((logits.argmax(1) == test_labels).mean()), logits

    runs = [accuracy(samples, sample_labels, seed) for seed in seeds]
    value, sd = mean_sd([run[0] for run in runs])
    real = real_sd = None
    if real_images is not None and real_labels is not None:
        rows = np.random.default_rng(0).permutation(len(real_images))[: len(samples)]
        real, real_sd = mean_sd(
            [accuracy(real_images[rows], real_labels[rows], seed)[0] for seed in seeds]
        )
    return Score(
        "CAS (judge CNN trained on samples)",
        "cas",
        value,
        sd,
        len(runs),
        real,
        real_sd,
        "higher",
        accuracy_by_class(runs[0][1], test_labels, classes),
        {
            "judge": "judge CNN",
            "n_fake": len(samples),
            "n_real": len(test_images),
            "reference": "test",
            "epochs": epochs,
            "judge_seeds": list(seeds),
            **protocol,
        },
    )


def inception_style_score(
    logits: np.ndarray,
    judge: Extractor,
    *,
    splits: int = 10,
    real: float | None = None,
    seed: int = 0,
    **protocol: Any,
) -> Score:
    """exp(mean KL(p(y|x) || p(y))) over `splits` parts, on the judge's logits [N, K].

    Salimans et al. 2016 (arXiv 1606.03498). Between 1 and K. Named by its judge: never compare it
    with the score of another one. Raises UserError for fewer images than splits.
    """
    if len(logits) < splits:
        raise UserError(f"inception-style score: {len(logits)} images for {splits} splits")
    value, sd = _inception_score(logits, splits, seed)
    return Score(
        f"IS ({judge.name}, {thousands(len(logits))})",
        f"is_{judge.slug}_{thousands(len(logits))}",
        value,
        sd,
        splits,
        real,
        better="higher",
        protocol={**judge.protocol(), "n_fake": len(logits), "splits": splits, **protocol},
    )


def _inception_score(logits: np.ndarray, splits: int, seed: int) -> tuple[float, float]:
    import torch
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `InceptionScore`")
        metric = InceptionScore(feature=torch.nn.Identity(), splits=splits)
        torch.manual_seed(seed)
        metric.update(torch.from_numpy(logits.astype(np.float64)))
        mean, sd = metric.compute()
    return float(mean), float(sd)
