"""What a stack keeps of its inputs: z_i in Q_i's recovery, h_{i+1} in E_i's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Recovery:
    """mse: mean squared error per dimension; explained: 1 - mse / variance of what was to recover.

    explained is 1 for a perfect recovery, 0 for a constant guess at the mean, below 0 for worse.
    """

    mse: float
    explained: float


@dataclass(frozen=True)
class LabelRecovery:
    """cross_entropy in nats; accuracy in 0..1."""

    cross_entropy: float
    accuracy: float


def recovery_error(recovered: Tensor, truth: Tensor) -> Recovery:
    """Q_i's error on z_i (L_ent without its constants), or E_i's on h_{i+1} (L_cond for features).

    recovered and truth are float [N, ...] of one shape, N >= 2. For z ~ U(0, 1) a generator that
    ignores z_i leaves Q at mse 1/12 and explained 0.
    Raises ValueError for shapes that differ, or a truth that does not vary.
    """
    if recovered.shape != truth.shape or len(truth) < 2:
        raise ValueError(f"cannot compare {list(recovered.shape)} with {list(truth.shape)}")
    flat = truth.reshape(len(truth), -1).cpu().double()  # not every device has float64
    error = (recovered.reshape(len(truth), -1).cpu().double() - flat).square().mean()
    variance = flat.var(0, correction=0).mean()
    if variance == 0:
        raise ValueError("the values to recover do not vary")
    return Recovery(float(error), float(1 - error / variance))


def label_recovery(logits: Tensor, labels: Tensor) -> LabelRecovery:
    """The conditional term of the top level: E's logits [N, K] on samples, labels int64 [N] asked.

    It is self-consistency only: E is in the loss, so it never judges quality.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits {list(logits.shape)} do not fit labels {list(labels.shape)}")
    logits, labels = logits.cpu().double(), labels.cpu()
    hits = (logits.argmax(1) == labels).double().mean()
    return LabelRecovery(float(functional.cross_entropy(logits, labels)), float(hits))


def class_share(features: Tensor, labels: Tensor) -> float:
    """Share of the variance of features [N, ...] that the labels [N] explain, in 0..1.

    Between-class over total sum of squares: how much of h_i a label fixes, real or sampled.
    Raises ValueError where the features do not vary.
    """
    flat = features.reshape(len(features), -1).double()
    total = (flat - flat.mean(0)).square().sum()
    if total == 0:
        raise ValueError("the features do not vary")
    within = torch.zeros((), dtype=torch.float64)
    for label in labels.unique():
        members = flat[labels == label]
        within += (members - members.mean(0)).square().sum()
    return float(1 - within / total)
