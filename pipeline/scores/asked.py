"""Which class is asked of each sample, and which classes are looked at one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def asked(frequencies: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Labels int64 of the samples `start` to `stop`: classes as often as `frequencies` says, each
    spread evenly, so that every stretch of samples has nearly its share of each. Where classes are
    equally frequent they come in turn.

    FID and its kin compare samples with real images, classes included: asked in turn of a stack
    whose data has them unequally often, it would be blamed for what nobody asked of it.

    Args:
        frequencies: training images of each class; none of a class: it is never asked.
    """
    counts = np.asarray(frequencies, dtype=np.int64)
    each = np.ceil((stop + len(counts)) * counts / counts.sum()).astype(np.int64) + 1
    each[counts == 0] = 0
    labels = np.repeat(np.arange(len(counts)), each)
    nth = np.arange(len(labels)) - np.repeat(np.cumsum(each) - each, each)
    at = (2 * nth + 1) / counts[labels]  # the n-th belongs where n + 1/2 of them are expected
    return labels[np.lexsort((labels, at))][start:stop]


def some_classes(count: int, most: int) -> np.ndarray:
    """Labels int64, ascending: all of `count`, or of more than `most` so many, spread evenly."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.int64)
