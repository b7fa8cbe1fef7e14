"""torch's Adam and AdamW without what torch.compile asks of them: a first optimizer loads
torch._dynamo, which takes a process as long as torch itself, and nothing here is compiled."""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer


class _Eager:
    """The same methods, bare of the decorators that load torch._dynamo."""

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


class Adam(_Eager, torch.optim.Adam):
    """torch.optim.Adam, to the bit; takes and raises what that does."""


class AdamW(_Eager, torch.optim.AdamW):
    """torch.optim.AdamW, to the bit; takes and raises what that does."""
