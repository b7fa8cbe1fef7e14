"""A rate's row, also where the server refused everything."""

import math

import numpy as np

from benchmarks.serving import Rate


def test_a_rate_that_was_kept_up_with() -> None:
    rate = Rate(20, np.linspace(0.01, 0.02, 100), 0, 5.0)
    assert not rate.broke
    assert rate.text().split() == ["20", "20.0", "15.0", "19.5", "19.9", "0"]


def test_a_server_that_refuses_everything_has_no_latency() -> None:
    rate = Rate(20, np.array([]), 100, 5.0)
    assert rate.broke and rate.p95 == math.inf
    assert rate.text().split() == ["20", "0.0", "inf", "inf", "inf", "100", "broke"]
