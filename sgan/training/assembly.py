"""A GAN training put together: nets drawn from the seed, what they start from, the task.

`independent` and `joint` differ in where h_{i+1} comes from (paper, sections 3.2 and 3.3) and in
what the levels start from. E's own training is `classifier.pretraining`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sgan.config import JointConfig, StackConfig
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.comm import Comm
from sgan.weights_file import fill


def independent(
    config: StackConfig,
    level: int,
    encoder: Mapping[str, Tensor],
    *,
    device: torch.device | None = None,
    comm: Comm | None = None,
) -> AdversarialTask:
    """Level i alone, h_{i+1} from the encoder.

    Args:
        config: the stack's; only `config.levels[level]` of the levels counts.
        level: i.
        encoder: E's trained state dict.
        device: where to train; the CPU by default.
        comm: the other workers on this part.

    Raises:
        WeightsError: the encoder's tensors are not those of `config`.
    """
    torch.manual_seed(config.levels[level].seed)
    trained = _encoder(config, encoder)
    stack = Stack(config, (level,)).set_encoder(trained)
    return AdversarialTask(stack, stack.level_configs(), device=device, comm=comm)


def joint(
    config: StackConfig,
    settings: JointConfig,
    encoder: Mapping[str, Tensor],
    levels: Mapping[int, Mapping[str, Tensor]],
    *,
    device: torch.device | None = None,
    comm: Comm | None = None,
) -> AdversarialTask:
    """The whole stack, h_{i+1} from the generator above.

    Args:
        config: the stack's.
        settings: joint training's; with `init` 'scratch' no level starts from `levels`.
        encoder: E's trained state dict.
        levels: each level's trained state dict, by i.
        device: where to train; the CPU by default.
        comm: the other workers on this part.

    Raises:
        WeightsError: tensors that are not those of `config`.
    """
    torch.manual_seed(settings.seed)
    trained = _encoder(config, encoder)
    adapted = dict(enumerate(settings.levels(config.levels)))
    stack = Stack(config, settings=adapted).set_encoder(trained)
    if settings.init == "levels":
        for i in stack.active:
            fill(stack.level(i), levels[i], f"the weights of level {i} do not fit this stack")
    return AdversarialTask(
        stack,
        adapted,
        joint=True,
        lower_weight=settings.lower_weight,
        encoder_share=settings.encoder_share,
        device=device,
        comm=comm,
    )


def _encoder(config: StackConfig, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """E's tensors, once they have been seen to fit.

    E is built before the levels are: a seed has always drawn their first weights after E's.
    """
    encoder = Encoder(config.image, config.encoder)
    fill(encoder, state, "the weights of the encoder do not fit this stack")
    return encoder.state_dict()
