"""Are labels obeyed, and are the samples usable: GAN-test and CAS (GAN-train), by a judge.

GAN-test: Shmelkov et al. 2018 (arXiv 1807.09499). CAS: Ravuri and Vinyals 2019 (arXiv 1905.10887).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.extractor import Extractor
from pipeline.scores.judge import Progress, train_judge
from pipeline.scores.naming import scored
from pipeline.scores.score import Score, mean_sd

SPLITS = 10  # of the Inception Score


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
    judge: Extractor,
    classes: Sequence[str],
    **protocol: Any,
) -> Score:
    """The judge's accuracy on samples as asked, mean over images and per class.

    logits float [N, K] are the judge's on the samples, labels int [N] what was asked of the stack.
    It reads 1 for a collapsed generator too: put a diversity figure beside it. Raises UserError
    where the lengths differ.
    """
    if logits.shape != (len(labels), len(classes)):
        raise UserError(
            f"GAN-test: logits {list(logits.shape)} do not fit {len(labels)} labels of "
            f"{len(classes)} classes"
        )
    return scored(
        "gan_test",
        float((logits.argmax(1) == labels).mean()),
        slug=judge.slug,
        judge=judge.name,
        n=len(labels),
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
    ceiling: Sequence[float] = (),
    epochs: float = 3,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    precision: str = "auto",
    **protocol: Any,
) -> Score:
    """CAS: train the judge's network on samples only, test on real images.

    Images uint8 [N, H, W, C]. `ceiling`: what the same budget reaches on real training images
    (`trained_accuracy` for one seed or more). Cost: epochs x N images.
    """
    value, logits, digest = trained_accuracy(
        samples,
        sample_labels,
        test_images,
        test_labels,
        len(classes),
        epochs=epochs,
        seed=seed,
        device=device,
        progress=progress,
        precision=precision,
    )
    real, real_sd = mean_sd(ceiling) if len(ceiling) else (None, None)
    return scored(
        "cas",
        value,
        judge="judge CNN, trained on samples only",
        n=len(samples),
        real=real,
        real_sd=real_sd,
        per_class=accuracy_by_class(logits, test_labels, classes),
        protocol={
            "judge": "judge CNN, trained on samples only",
            "classifier_sha256": digest,
            "judge_seed": seed,
            "resize": "none",
            "n_fake": len(samples),
            "n_real": len(test_images),
            "reference": "test",
            "epochs": epochs,
            **protocol,
        },
    )


def trained_accuracy(
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    num_classes: int,
    *,
    epochs: float,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    precision: str = "auto",
) -> tuple[float, np.ndarray, str]:
    """Accuracy on the test images, its logits [N, K] and the weights' digest, of a judge's network
    trained on other images: samples for CAS, real ones for its ceiling."""
    judge = train_judge(
        images,
        labels,
        num_classes=num_classes,
        epochs=epochs,
        seed=seed,
        device=device,
        progress=progress,
        precision=precision,
    )
    logits = judge.logits(test_images)
    return float((logits.argmax(1) == test_labels).mean()), logits, judge.digest


def inception_style_score(
    logits: np.ndarray,
    judge: Extractor,
    *,
    splits: int = SPLITS,
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
    return scored(
        "is",
        value,
        slug=judge.slug,
        judge=judge.name,
        n=len(logits),
        sd=sd,
        repeats=splits,
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
