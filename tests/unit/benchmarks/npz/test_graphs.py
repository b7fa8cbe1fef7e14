"""What train_npz records as CUDA graphs can be recorded, so far as a CPU can show it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.train_npz import PRESETS
from sgan.config import StackConfig
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch


class Watch(TorchDispatchMode):
    """Takes note of what no graph can hold: a value that is asked for, a tensor from elsewhere."""

    ASKING = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal")

    def __init__(self) -> None:
        super().__init__()
        self.seen = set[str]()

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_leaves((args, kwargs or {}))
        elsewhere = [x for x in leaves if isinstance(x, torch.Tensor) and x.device.type != "meta"]
        if elsewhere or str(op).startswith(self.ASKING):
            self.seen.add(str(op))
        return op(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize(("active", "joint"), [((0,), False), ((1,), False), ((0, 1), True)])
@pytest.mark.parametrize("more", [{}, {"r1_gamma": 0.1, "augment_pixels": 2, "reuse_fakes": False}])
def test_a_phase_asks_nothing_of_the_device_and_takes_nothing_from_elsewhere(
    name: str, active: tuple[int, ...], joint: bool, more: dict[str, Any]
) -> None:
    """As a graph of CUDA's forbids; on a device without memory, where asking is an error, too."""
    image, encoder, presets, _ = PRESETS[name]
    batch = 4
    levels = [replace(c, batch_size=batch, precision="float32", **more) for c in presets]
    meta = torch.device("meta")
    with meta:
        stack = Stack(StackConfig(image, encoder, tuple(levels)), active)
        settings = {i: levels[i] for i in active}
        task = AdversarialTask(
            stack, settings, joint=joint, lower_weight=0.01, encoder_share=0.5, device=meta
        )
        task.refuse = lambda terms, total: None
        for optimizer in task.optimizers.values():  # fused Adam knows no such device
            optimizer.step = lambda: None  # type: ignore[method-assign, assignment]
        with torch.no_grad():
            hidden = stack.encoder.encode(torch.empty(batch, *image.shape))
        given = Batch(dict(enumerate(hidden)), hidden[-1][:, 0].long())
    with Watch() as watch:
        terms, fakes = task.step_d(given)
        terms |= task.step_g(given, fakes)
        task.step_g(given, None)
    assert watch.seen == set()
    assert {term.device for term in terms.values()} == {meta} and len(terms) >= 5 * len(active)
