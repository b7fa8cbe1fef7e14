"""Small stacks and batches: real nets of the architectures, few images, one thread."""

from collections.abc import Callable

import pytest
import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training.batch import Batch

IMAGES = {
    "mnist": ImageConfig(1, 28, 28, 10),
    "cifar10": ImageConfig(3, 32, 32, 10),
    "svhn": ImageConfig(3, 32, 32, 10),
    "pyramid": ImageConfig(1, 28, 28, 10),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make_config() -> Callable[..., StackConfig]:
    """StackConfig of an architecture, a cut and settings shared by all levels."""

    def make(
        architecture: str = "mnist",
        cut: tuple[str, ...] = ("fc",),
        image: ImageConfig | None = None,
        **level: object,
    ) -> StackConfig:
        encoder = EncoderConfig(architecture=architecture, cut=cut, width=8)
        settings = LevelConfig(**{"z_dim": 5, "batch_size": 6, "total_images": 60, **level})
        image = image or IMAGES[architecture]
        return StackConfig(image, encoder, (settings,) * encoder.num_levels)

    return make


@pytest.fixture
def make_stack(make_config: Callable[..., StackConfig]) -> Callable[..., Stack]:
    """A Stack with reproducible random weights; E's scaled so that features and logits are ~1."""

    def make(*args: object, active: object = None, seed: int = 0, **kwargs: object) -> Stack:
        torch.manual_seed(seed)
        stack = Stack(make_config(*args, **kwargs), active)
        torch.manual_seed(12345)  # the encoder does not depend on which levels are there
        for parameter in stack.encoder.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
            else:
                torch.nn.init.uniform_(parameter, 0.1, 0.5)
        return stack.train()

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Random images, their labels and E's features at every level."""

    def make(stack: Stack, count: int = 6, seed: int = 7) -> Batch:
        source = torch.Generator().manual_seed(seed)
        shape = (count, *stack.config.image.shape)
        x = stack.encoder.to_h0(torch.randint(0, 256, shape, generator=source, dtype=torch.uint8))
        y = torch.randint(0, stack.config.image.num_classes, (count,), generator=source)
        with torch.no_grad():
            hidden = stack.encoder.encode(x)[:-1]
        return Batch(dict(enumerate(hidden)), y)

    return make
