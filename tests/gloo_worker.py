"""One of several workers that train a part together; test_two_workers.py starts them as processes.

Usage: gloo_worker.py RANK WORLD_SIZE MEETING OUT. The ranks meet at the file MEETING; each writes
what it saw in each scenario to OUT (JSON).
"""

import contextlib
import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import distributed, nn

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training import step
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.batch_norm import synchronise
from sgan.training.batches import TensorBatches
from sgan.training.comm import Comm, TorchComm
from sgan.training.seeds import mix
from sgan.training.terms import NonFiniteLoss

MNIST = ImageConfig(1, 28, 28, 10)
ROWS = 24


def digest(state: dict, running: bool = False) -> str:
    """sha256 over every tensor's bytes; batch-norm statistics only if `running` (per rank they
    differ)."""
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        if running or "running" not in name:
            sha.update(name.encode() + value.contiguous().numpy().tobytes())
    return sha.hexdigest()


def data() -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    """h_1 and labels of every row, the same on each rank."""
    source = torch.Generator().manual_seed(0)
    h1 = torch.rand(ROWS, 256, generator=source)
    return {1: h1}, torch.arange(ROWS) % 10


def local_loss(task: AdversarialTask, batch: Batch) -> float:
    """D's adversarial loss on this rank's share, as `task.step(0, batch)` will find it."""
    torch.manual_seed(mix(task.seed, 0, task.comm.rank))
    fakes = step.generate(task.stack, batch, joint=False)
    terms = step.discriminator_losses(task.stack, task.settings, batch, fakes)
    return terms["level1/loss_d_adv"].item()


def train(comm: TorchComm, steps: int, broken: bool = False, batch_norm: str = "per_rank") -> dict:
    """Level 1; D's loss differs much between ranks, and so would their G steps."""
    torch.manual_seed(100 + comm.rank)  # other weights on each rank, until they are broadcast
    level = LevelConfig(
        z_dim=5,
        batch_size=8,
        total_images=48,
        ema_half_life_images=30,
        lr_d=1e-3,
        batch_norm=batch_norm,
    )
    stack = Stack(StackConfig(MNIST, EncoderConfig(), (level, level)), [1])
    comm.broadcast_(stack.encoder.state_dict().values())
    start = digest(stack.levels.state_dict())
    task = AdversarialTask(stack, {1: level}, comm=comm)
    columns, y = data()
    batches = TensorBatches(
        columns, y, stack.encoder.to_h0, 8, 1, rank=comm.rank, world_size=comm.world_size
    )
    with torch.no_grad():  # D that looks at features closely, so that its loss depends on them
        for parameter in stack.level(1).discriminator.parameters():
            if parameter.dim() > 1:
                torch.nn.init.eye_(parameter)
    rows = [batches.rows(i).tolist() for i in range(3)]

    def share(index: int) -> Batch:
        batch = batches(index)
        batch.hidden[1] = batch.hidden[1] * (1 + 4 * comm.rank)
        return batch

    local = local_loss(task, share(0))
    mean = comm.average_number(local)
    # between the two ranks' losses and below their mean: by its own loss each would do otherwise
    threshold = mean - 0.3 * comm.average_number(abs(local - mean))
    task.g_steps = ((threshold, 1), (0.0, 2))
    alone = 1 if local > threshold else 2
    taken: list[str] = []
    for name, optimizer in task.optimizers.items():
        optimizer.register_step_post_hook(lambda *a, name=name: taken.append(name[-1]))
    after = digest(stack.levels.state_dict())
    error, terms = "", {}
    for index in range(steps):
        batch = share(index)
        if broken and comm.rank == 1 and index == 2:
            batch.hidden[1][0, 0] = float("nan")
        try:
            terms = task.step(index, batch)
        except NonFiniteLoss as caught:
            error = str(caught)
            break
    return {
        "start": start,
        "broadcast": after,
        "rows": rows,
        "alone": alone,
        "steps": "".join(taken),
        "end": digest(stack.levels.state_dict(), running=batch_norm == "synchronised"),
        "average": digest(task.averages["1"].state_dict()),
        "optimizers": [digest(_flat(o.state_dict())) for o in task.optimizers.values()],
        "terms": {name: value.item() for name, value in terms.items()},
        "error": error,
    }


def _flat(state: dict) -> dict[str, torch.Tensor]:
    """Adam's tensors by name."""
    return {
        f"{i}.{name}": value for i, own in state["state"].items() for name, value in own.items()
    }


def exchange(comm: TorchComm) -> dict:
    """Sums of gradients of two layouts, beside a parameter without one, and of losses."""
    rank = comm.rank
    nets = [nn.Conv2d(3, 2, 2, bias=False).to(memory_format=torch.channels_last), nn.Linear(2, 2)]
    conv, (weight, bias) = nets[0].weight, nets[1].parameters()
    conv.grad = torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
    conv.grad *= rank + 1
    weight.grad = torch.full((2, 2), float(rank))
    terms = {"a": torch.tensor(0.1 + rank), "b": torch.tensor(rank)}
    before = torch.tensor([1.0, float(rank)], requires_grad=True)
    (comm.sum_over_ranks(before) * (rank + 1)).sum().backward()
    means = comm.average_gradients(nets, terms)
    w = torch.full((3,), float(rank + 7))
    n = torch.tensor(rank + 3)
    comm.broadcast_([w, n])
    comm.barrier()
    return {
        "conv": conv.grad.tolist(),
        "channels_last": conv.grad.is_contiguous(memory_format=torch.channels_last),
        "weight": weight.grad.tolist(),
        "bias": bias.grad is None,
        "terms": {name: value.item() for name, value in means.items()},
        "summed": before.grad.tolist(),
        "number": comm.average_number(0.1 + rank),
        "w": w.tolist(),
        "n": n.item(),
    }


def narrow(comm: TorchComm) -> dict:
    """Level 0's nets in bfloat16, twice from one start: with what comm makes of that, and with an
    all-reduce in float32."""

    class Wide(TorchComm):
        def average_gradients(self, nets, terms, computed=torch.float32):
            return super().average_gradients(nets, terms)

    level = LevelConfig(
        z_dim=5,
        batch_size=8,
        reuse_fakes=True,
        precision="bfloat16",
        ema_half_life_images=30,
        width=0.5,
    )
    source = torch.Generator().manual_seed(2)
    x, h1 = torch.rand(8, 1, 28, 28, generator=source), torch.rand(8, 256, generator=source)
    mine = slice(comm.rank, None, comm.world_size)
    batch = Batch({0: x[mine], 1: h1[mine]}, torch.arange(8)[mine])
    seen: dict[str, list] = {"end": [], "terms": []}
    for each in (comm, Wide(torch.device("cpu"))):
        torch.manual_seed(0)
        stack = Stack(StackConfig(MNIST, EncoderConfig(), (level, level)), [0])
        task = AdversarialTask(stack, {0: level}, comm=each)
        terms = [task.step(index, batch) for index in range(3)][-1]
        seen["end"].append(digest(stack.levels.state_dict()))
        seen["terms"].append({name: value.item() for name, value in terms.items()})
    wires = sum(buffer.dtype == torch.bfloat16 for buffer in comm._buffers.values())
    small = nn.Linear(2, 2)  # nothing of it travels in bfloat16
    for parameter in small.parameters():
        parameter.grad = torch.full_like(parameter, 1 / 3)
    comm.average_gradients([small], {"a": torch.tensor(0.1)}, torch.bfloat16)
    sums = {name: p.grad.unique().tolist() for name, p in small.named_parameters()}
    return seen | {"wires": wires, "small": sums}


def norm_case(spatial: bool) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A batch norm, and values far from 0 with the weights of their loss, for a global batch."""
    source = torch.Generator().manual_seed(3)
    shape = (8, 3, 2, 2) if spatial else (8, 3)
    norm = (nn.BatchNorm2d if spatial else nn.BatchNorm1d)(3, eps=1e-6)
    torch.nn.init.normal_(norm.weight, generator=source)
    torch.nn.init.normal_(norm.bias, generator=source)
    x = 50 + 3 * torch.randn(shape, generator=source)
    return norm, x, torch.randn(shape, generator=source)


def through_norm(norm: nn.Module, x: torch.Tensor, weights: torch.Tensor, comm: Comm) -> dict:
    """What goes forward, back, and back again through a batch norm in two steps of training."""
    net = nn.Sequential(norm)
    if comm.world_size > 1:
        synchronise(net, comm)
    x = x.clone().requires_grad_()
    net(x.detach() + 1)
    y = net(x)
    score = weights * y.square()
    (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    loss = score.mean() + 0.1 * slope.square().mean()  # as R1 is made
    comm.backward(loss)
    means = comm.average_gradients([net], {"loss": loss})
    state = net.state_dict()
    affine = [parameter.grad.tolist() for parameter in net.parameters()]
    seen = {
        "y": y.tolist(),
        "x": x.grad.tolist(),  # of the mean over ranks
        "affine": affine,
        "loss": means["loss"].item(),
        "running": [state["0.running_mean"].tolist(), state["0.running_var"].tolist()],
        "names": sorted(state),
    }
    return seen | {"eval": net.eval()(x).tolist()}


def batch_norm(comm: TorchComm) -> dict:
    """Each rank's share, and one process's whole batch, through the same layers in float64."""
    seen = {}
    for name, spatial in (("1d", False), ("2d", True)):
        norm, x, weights = norm_case(spatial)
        mine = slice(comm.rank, None, comm.world_size)
        seen[name] = through_norm(norm, x[mine], weights[mine], comm)
        seen[f"{name} whole"] = through_norm(*norm_case(spatial), Comm())
    return seen


def gradients(comm: TorchComm, active: Sequence[int], batch_norm: str) -> dict:
    """One step's gradients, and its losses, beside one process's on the batches and the noise of
    all ranks: the largest difference of a tensor, relative to its norm.

    batch_norm: 'off', or synchronised. All but the losses is in float64.
    """
    level = LevelConfig(
        z_dim=5,
        batch_size=8,
        reuse_fakes=True,
        lr_d=1e-12,  # G's gradients come after D's step, which Adam makes of the sign alone
        lr_g=1e-12,
        batch_norm="synchronised",
    )
    source = torch.Generator().manual_seed(1)
    shapes = {0: (1, 28, 28), 1: (256,)}
    hidden = {i: torch.rand(8, *shape, generator=source) for i, shape in shapes.items()}
    whole = Batch(hidden, torch.arange(8))
    ranks = range(comm.world_size)

    def share(rank: int) -> Batch:
        mine = slice(rank, None, comm.world_size)
        return Batch({i: h[mine] for i, h in whole.hidden.items()}, whole.y[mine])

    def noise(rank: int) -> dict[int, torch.Tensor]:
        torch.manual_seed(mix(level.seed, 0, rank))
        return {i: torch.rand(8 // comm.world_size, 5) for i in reversed(active)}

    def run(comm: Comm, batch: Batch) -> tuple[dict, dict]:
        torch.manual_seed(0)
        stack = Stack(StackConfig(MNIST, EncoderConfig(), (level, level)), active)
        settings, joint = stack.level_configs(), len(active) > 1
        task = AdversarialTask(stack, settings, joint=joint, lower_weight=0.5, comm=comm)
        if batch_norm == "off":
            for module in stack.levels.modules():
                module.train(not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d))
        if comm.world_size == 1:
            z = [noise(rank) for rank in ranks]
            for i in active:
                together = torch.cat([own[i] for own in z])
                stack.level(i).draw_z = lambda count, together=together: together
        found: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(optimizer: torch.optim.Optimizer, *_: object) -> None:
                own = optimizer.param_groups[0]["params"]
                found.update({f"{name}{k}": p.grad.clone() for k, p in enumerate(own)})

            return hook

        for name, optimizer in task.optimizers.items():
            optimizer.register_step_pre_hook(keep(name))
        return found, task.step(0, batch)

    shares = [share(rank) for rank in ranks]
    mine, terms = run(comm, shares[comm.rank])
    in_order = {i: torch.cat([s.hidden[i] for s in shares]) for i in whole.hidden}
    one, expected = run(Comm(), Batch(in_order, torch.cat([s.y for s in shares])))
    assert mine.keys() == one.keys()
    apart = {name: float((mine[name] - g).norm() / (g.norm() + 1e-12)) for name, g in one.items()}
    return {
        "tensors": len(apart),
        "apart": max(apart.values()),
        "losses": max(abs(float(terms[name] - value)) for name, value in expected.items()),
    }


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Inside, tensors are made in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def main(rank: str, world_size: str, meeting: str, out: str) -> None:
    """Joins the group, runs every scenario, writes the results."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=int(rank),
        world_size=int(world_size),
        timeout=datetime.timedelta(seconds=60),
    )
    comm = TorchComm(torch.device("cpu"))
    results = {
        "exchange": exchange(comm),
        "narrow": narrow(comm),
        "train": train(comm, 6),
        "broken": train(comm, 6, broken=True),
        "long": train(comm, 60, batch_norm="synchronised"),
        "compiler": "torch.fx.experimental.symbolic_shapes" in sys.modules,
    }
    with float64():
        results["norm"] = batch_norm(comm)
        results["gradients"] = {
            "level 0, no batch norm": gradients(comm, (0,), "off"),
            "level 1, no batch norm": gradients(comm, (1,), "off"),
            "joint": gradients(comm, (0, 1), "synchronised"),
        }
    Path(out).write_text(json.dumps(results))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
