"""What the tests of the nets share."""

from collections.abc import Callable

import pytest
import torch

from sgan.architectures import feature_shapes
from sgan.config import StackConfig
from sgan.level import Level


@pytest.fixture
def check_level() -> Callable[..., torch.Tensor]:
    """`check_level(config, i)` runs G_i, D_i and Q_i on the shapes beside them; gives ĥ_i."""

    def check(config: StackConfig, index: int, batch: int = 2) -> torch.Tensor:
        shapes = feature_shapes(config.image, config.encoder)
        level = Level(config, index, config.levels[index])
        if level.is_top:
            cond = torch.arange(batch) % config.image.num_classes
        else:
            cond = torch.rand(batch, *shapes[index + 1])
        h = level.generate(cond, level.draw_z(batch))
        assert h.shape == (batch, *shapes[index])
        logits, z = level.discriminator(h)
        settings = config.levels[index]
        per_image = 1 if settings.d_objective == "binary" else config.image.num_classes
        assert logits.shape == (batch, per_image)
        assert z.shape == (batch, settings.z_dim)
        return h

    return check
