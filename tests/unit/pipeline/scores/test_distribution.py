"""FID, KID and the rest on the judge's features: equality with the library and the papers."""

import numpy as np
import pytest
import torch

from pipeline.scores.distribution import as_scores, fid, kid
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.protocol import real_outputs


@pytest.fixture(scope="module")
def train(real: RealImages, judge: Judge, kept: Kept) -> np.ndarray:
    return real_outputs("train", len(real.train_images), real, judge, kept)[0]


def test_fid_equals_torchmetrics(train: np.ndarray) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Features(torch.nn.Identity):
        num_features = 128

    metric = FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64)
    a, b = train[::2], train[1::2] * 1.1
    metric.update(torch.from_numpy(a).double(), real=True)
    metric.update(torch.from_numpy(b).double(), real=False)
    assert fid(b, a) == pytest.approx(float(metric.compute()), rel=1e-3)


def test_kid_is_the_unbiased_estimate_of_its_paper(train: np.ndarray) -> None:
    """Bińkowski et al. 2018, equation 4, on whole sets: one subset as large as they are."""
    a, b = (train[rows].astype(np.float64) for rows in (slice(0, 200), slice(1000, 1200)))
    n, width = a.shape

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / width + 1) ** 3

    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1)) for x in (a, b))
    expected = within - 2 * kernel(a, b).mean()
    found = kid(train[1000:1200], train[:200], subsets=1, size=n)
    assert found == pytest.approx(expected, rel=1e-3) and abs(found) > 1e-4


def test_kid_is_settled_by_its_seed(train: np.ndarray) -> None:
    torch.manual_seed(0)
    one = kid(train[:300], train[300:900], subsets=5, size=100)
    torch.manual_seed(1)
    assert kid(train[:300], train[300:900], subsets=5, size=100) == one


def test_names_say_judge_and_n(judge: Judge) -> None:
    score = as_scores({"fid": 2.0}, judge, n_fake=10000, n_real=10000, reference="train")[0]
    assert (score.name, score.key) == ("FID (judge CNN, 10k)", "fid_judge_10k")
    assert score.protocol["n_real"] == 10000 and score.protocol["judge_sha256"] == judge.digest
