"""The stack: E and the levels in order, sampled top down. Partial stacks hold some levels only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sgan.config import LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.level import Level


class Stack(nn.Module):
    """E (frozen) and the levels `active` of it.

    Args:
        config: the nets' shapes; `config.levels` gives the settings of every level.
        active: which levels to build; all by default. Training level i alone needs only (i,).
        settings: used to build the levels instead of `config.levels` (joint training's dropout
            and noise); the state dict's names and shapes do not change with them.
    """

    def __init__(
        self,
        config: StackConfig,
        active: Sequence[int] | None = None,
        settings: Mapping[int, LevelConfig] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.active = tuple(range(len(config.levels)) if active is None else sorted(active))
        self.encoder = Encoder(config.image, config.encoder).freeze()
        chosen = settings or {i: config.levels[i] for i in self.active}
        built = {str(i): Level(config, i, chosen[i]) for i in self.active}
        self.levels = nn.ModuleDict(built)

    @property
    def num_levels(self) -> int:
        """N."""
        return self.encoder.num_levels

    def level(self, index: int) -> Level:
        """Level `index`. KeyError if this partial stack does not hold it."""
        level = self.levels[str(index)]
        assert isinstance(level, Level)
        return level

    def level_configs(self) -> dict[int, LevelConfig]:
        """The settings of the active levels."""
        return {i: self.config.levels[i] for i in self.active}

    def train(self, mode: bool = True) -> Stack:
        """Training mode for the levels; E stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def set_encoder(self, state: Mapping[str, Tensor]) -> Stack:
        """Load E's weights and hand level 0 its mean image; returns self."""
        self.encoder.load_state_dict(dict(state))
        if 0 in self.active:
            self.level(0).offset.copy_(self.encoder.mean_image)
        return self

    @torch.no_grad()
    def sample_hidden(
        self,
        y: Tensor,
        z: Mapping[int, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[Tensor]:
        """[ĥ_0, ĥ_1, …, ĥ_{N-1}, y], from the top down (paper, section 3.4).

        Args:
            y: labels int64 [B].
            z: z_i float [B, z_dim] for the levels whose noise the caller fixes; others are drawn.
            generator: source of the drawn noise, on the stack's device.
        """
        hidden = [y]
        for index in reversed(range(self.num_levels)):
            hidden.insert(0, self._step_down(index, hidden[0], z, generator))
        return hidden

    @torch.no_grad()
    def decode(
        self,
        h: Tensor,
        level: int,
        z: Mapping[int, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """x̂ float [B, C, H, W] from a given h_level (level >= 1), e.g. h_1(x): a reconstruction."""
        for index in reversed(range(level)):
            h = self._step_down(index, h, z, generator)
        return h

    def _step_down(
        self,
        index: int,
        cond: Tensor,
        z: Mapping[int, Tensor] | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        fixed = (z or {}).get(index)
        noise = self.level(index).draw_z(len(cond), generator) if fixed is None else fixed
        return self.level(index).generate(cond, noise)

    @torch.no_grad()
    def sample_uint8(
        self,
        y: Tensor,
        z: Mapping[int, Tensor] | None = None,
        generator: torch.Generator | None = None,
        batch_size: int = 500,
    ) -> Tensor:
        """Images uint8 [B, H, W, C] of labels y int64 [B], in batches of `batch_size`."""
        images = []
        for start in range(0, len(y), batch_size):
            rows = slice(start, start + batch_size)
            part = {i: v[rows] for i, v in (z or {}).items()}
            hidden = self.sample_hidden(y[rows], part, generator)
            images.append(self.encoder.to_pixels(hidden[0]).permute(0, 2, 3, 1))
        return torch.cat(images)
