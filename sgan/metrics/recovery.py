"""What a stack keeps of its inputs: z_i in Q_i's recovery, h_{i+1} in E_i's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_ROWS = 500  # looked at together


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
    """Share of the variance of features [N, ...] that the labels [N] explain, at most 1: how much
    of h_i a label fixes, real or sampled.

    1 - (within-class mean square) / (total mean square), both unbiased (epsilon squared: Kelley,
    An unbiased correlation ratio measure, PNAS 1935): labels that explain nothing have 0 on the
    average, or slightly less, however many there are.
    Raises ValueError where the features do not vary, or no label has two rows.
    """
    _, index, members = labels.unique(return_inverse=True, return_counts=True)
    if len(members) == len(labels):
        raise ValueError("no label has two rows")
    parts = features.flatten(1).split(_ROWS)  # a data set's images in float64 are not held at once
    mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(features)
    sums, total = mean.new_zeros(len(members), len(mean)), mean.new_zeros(())
    for part, own in zip(parts, index.split(_ROWS), strict=True):
        deviations = part.double() - mean
        sums.index_add_(0, own, deviations)
        total += deviations.square().sum()
    if total == 0:
        raise ValueError("the features do not vary")
    within = total - (sums.square().sum(1) / members).sum()
    freedom = (len(labels) - 1) / (len(labels) - len(members))
    return float(1 - freedom * within / total)
