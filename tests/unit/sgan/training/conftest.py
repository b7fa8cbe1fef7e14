"""Tasks with data: a stack, its batches and the AdversarialTask over them."""

from collections.abc import Callable

import pytest
import torch

from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batches import TensorBatches

ROWS = 20


def batches_for(stack: Stack, task: AdversarialTask, seed: int = 5) -> TensorBatches:
    """Random images on which E is run once; only the columns that the task asks for."""
    source = torch.Generator().manual_seed(seed)
    shape = (ROWS, *stack.config.image.shape)
    pixels = torch.randint(0, 256, shape, generator=source, dtype=torch.uint8)
    y = torch.randint(0, stack.config.image.num_classes, (ROWS,), generator=source)
    with torch.no_grad():
        hidden = [pixels, *stack.encoder.encode(stack.encoder.to_h0(pixels))[1:-1]]
    columns = {i: hidden[i] for i in task.hidden_needed}
    return TensorBatches(columns, y, stack.encoder.to_h0, task.batch_size, task.seed)


@pytest.fixture
def make_task(make_stack: Callable[..., Stack]) -> Callable[..., tuple]:
    """(task, batches) of a fresh stack; the same arguments and seed give the same."""

    def make(
        *args: object, joint: bool = False, lower_weight: float = 0.0, **kwargs: object
    ) -> tuple[AdversarialTask, TensorBatches]:
        stack = make_stack(*args, **kwargs)
        settings = stack.level_configs()
        task = AdversarialTask(stack, settings, joint=joint, lower_weight=lower_weight)
        return task, batches_for(stack, task)

    return make
