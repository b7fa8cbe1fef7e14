"""Pictures of a training: at fixed points, of what the nets make; the training knows nothing."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.cluster.errand import on_threads
from pipeline.code import closure
from pipeline.parts.pictures import Pictures, rows_of, strips
from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import independent, joint
from sgan.training.batches import TensorBatches
from sgan.training.loop import train

LEVEL = LevelConfig(
    z_dim=4, batch_size=6, total_images=24, dropout=0.1, instance_noise=0.1, width=0.25
)
CONFIG = StackConfig(
    ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",), width=8), (LEVEL, LEVEL)
)
Y = torch.arange(40) % 10


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with on_threads(1):
        yield


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(CONFIG.image, CONFIG.encoder).freeze()


@pytest.fixture(scope="module")
def features(encoder: Encoder) -> torch.Tensor:
    """h_1 of 40 random images."""
    source = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (40, 1, 28, 28), generator=source, dtype=torch.uint8)
    return encoder.encode(encoder.to_h0(pixels))[1]


@pytest.fixture
def make_task(encoder: Encoder) -> Callable[[str], AdversarialTask]:
    """The training of `level0`, `level1` (with a moving average) or `joint`."""

    def make(part: str) -> AdversarialTask:
        state = encoder.state_dict()
        averaged = replace(CONFIG, levels=(LEVEL, replace(LEVEL, ema_half_life_images=12)))
        if part == "joint":
            settings = JointConfig(init="scratch", total_images=24, batch_size=6)
            return joint(CONFIG, settings, state, {})
        return independent(averaged, int(part[-1]), state)

    return make


def pictures_of(task: AdversarialTask, features: torch.Tensor, seen: int = 0) -> Pictures:
    return Pictures(task, {1: features}, Y, task.total_images, seen)


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


class Watched:
    """A task that draws a picture before and after every step."""

    def __init__(self, task: AdversarialTask, pictures: Pictures) -> None:
        self._task, self._pictures = task, pictures
        self.drawn: list[bytes] = []

    def step(self, index: int, batch: Any) -> Any:
        self.drawn.append(self._pictures.draw())
        terms = self._task.step(index, batch)
        self.drawn.append(self._pictures.draw())
        return terms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


@pytest.mark.parametrize("part", ["level0", "level1", "joint"])
def test_a_training_is_the_same_with_and_without(
    part: str, make_task: Callable[[str], AdversarialTask], features: torch.Tensor
) -> None:
    """Every weight, statistic and optimizer state, and the process's own random numbers."""
    after, random, drawn = [], [], []
    for watched in (False, True):
        task: Any = make_task(part)
        pixels = torch.arange(40 * 784).remainder(256).to(torch.uint8).reshape(40, 1, 28, 28)
        columns = {i: v for i, v in {0: pixels, 1: features}.items() if i in task.hidden_needed}
        batches = TensorBatches(columns, Y, task.to_h0, task.batch_size, task.seed)
        if watched:
            task = Watched(task, pictures_of(task, features))
        metrics = train(task, batches)
        state = {k: v for k, v in task.state_dict().items() if k != "optimizers"}
        after.append((metrics, state, task.state_dict()["optimizers"]))
        random.append(torch.rand(3))
        drawn = task.drawn if watched else []
    torch.testing.assert_close(after[0], after[1], rtol=0, atol=0)
    assert torch.equal(random[0], random[1])
    assert len(drawn) == 8
    assert len(set(drawn)) > 4, "the samples change as the generators learn"
    assert drawn[1] == drawn[2], "the same nets give the same picture"


def test_no_key_knows_of_pictures() -> None:
    for kind in ("encoder", "level", "joint"):
        decides = closure(f"pipeline.parts.recipes.{kind}")
        assert "sgan.training.loop" in decides
        assert "pipeline.parts.pictures" not in decides


def test_points_are_the_same_ones_for_a_part_that_was_resumed(
    make_task: Callable[[str], AdversarialTask], features: torch.Tensor
) -> None:
    task = make_task("level1")
    task.total_images = 1000
    reported = [*range(6, 1000, 6), 1000]
    due = [102, 204, 300, 402, 504, 600, 702, 804, 900, 1000]
    whole = pictures_of(task, features)
    assert [n for n in reported if whole.due(n)] == due
    resumed = pictures_of(task, features, seen=450)
    assert [n for n in reported if n > 450 and resumed.due(n)] == due[4:]


def test_level_0_shows_images_and_a_level_above_strips(
    make_task: Callable[[str], AdversarialTask], features: torch.Tensor
) -> None:
    shown = {}
    for part in ("level0", "level1", "joint"):
        pictures = pictures_of(make_task(part), features)
        shown[part] = (pictures.key, opened(pictures.draw()).shape)
    assert shown["level0"] == shown["joint"] == ("samples", (578, 230))  # 10 rows of 4 images
    key, (height, width) = shown["level1"]
    assert key == "features"
    assert width == 2 * 256
    assert height > 10 * 2 * 3 * 4


def test_a_class_is_a_row() -> None:
    images = np.full((5, 50, 50, 3), 7, np.uint8)
    sheet = rows_of(images, np.array([0, 0, 0, 4, 4]))
    assert sheet.shape == (102, 154, 3)
    assert (sheet[52:, 104:] == 255).all()
    assert (sheet[52:, :50] == 7).all()


def test_strips_are_as_bright_as_the_largest_real_value() -> None:
    real, made = torch.tensor([[0.0, 2.0], [1.0, 2.0]]), torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    rows = strips(made, real, torch.tensor([0, 1]))[..., 0]
    assert rows[[0, 6, 16, 22], 0].tolist() == [0, 255, 127, 0]
    assert rows[[0, 6, 16, 22], 2].tolist() == [255, 0, 255, 127]
