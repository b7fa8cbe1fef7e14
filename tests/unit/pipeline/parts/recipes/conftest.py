"""The files that a tiny two-level part is trained from, as the stages leave them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset
from pipeline.data.encoding import encode_split
from pipeline.params.settings import DataConfig
from pipeline.parts.part import Identity, Part, Placement
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.weights import save_encoder, save_levels

LEVEL = LevelConfig(z_dim=4, batch_size=6, total_images=12, ema_half_life_images=0, width=0.25)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def config() -> StackConfig:
    encoder = EncoderConfig(cut=("fc",), width=8, batch_size=6, total_images=12)
    return StackConfig(ImageConfig(1, 28, 28, 10), encoder, (LEVEL, LEVEL))


@pytest.fixture(scope="session")
def pixels() -> torch.Tensor:
    """The images in the shards, uint8 [24, 1, 28, 28]; labels run through the classes."""
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (24, 1, 28, 28), generator=source, dtype=torch.uint8)


@pytest.fixture(scope="session")
def files(config: StackConfig, pixels: torch.Tensor, tmp_path_factory) -> dict[str, str]:
    """Shards, encoder, features and levels, with random weights."""
    folder: Path = tmp_path_factory.mktemp("files")
    images, labels = pixels.permute(0, 2, 3, 1).numpy(), np.arange(len(pixels)) % 10
    dataset = Dataset(images, labels, images[:10], labels[:10], tuple("0123456789"))
    shard_writer.write(dataset, folder / "data", DataConfig("custom", "here"))
    names = ("data", "encoder", "features", "level0", "level1")
    paths = {name: folder / name for name in names}
    torch.manual_seed(0)
    encoder = Encoder(config.image, config.encoder).freeze()
    save_encoder(paths["encoder"], encoder, {})
    encode_split(encoder, paths["data"], paths["features"], {})
    for i in (0, 1):
        torch.manual_seed(i + 1)
        save_levels(paths[f"level{i}"], Stack(config, (i,)), {})
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def part(files: dict[str, str]) -> Callable[..., Part]:
    """`part(identity, encoder="elsewhere")`: a part with these files, but for those named."""

    def make(identity: Identity, **others: str) -> Part:
        return Part(identity, Placement({**files, **others}, storage="nowhere"))

    return make


def _flat(state: object) -> list[object]:
    if isinstance(state, dict):
        return [leaf for key, value in state.items() for leaf in (key, *_flat(value))]
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in _flat(value)]
    return [state]


@pytest.fixture
def same() -> Callable[[dict, dict], bool]:
    """Whether two states of a task are equal, bit for bit, optimizers too."""

    def compare(one: dict, other: dict) -> bool:
        return len(_flat(one)) == len(_flat(other)) and all(
            torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
            for a, b in zip(_flat(one), _flat(other), strict=True)
        )

    return compare
