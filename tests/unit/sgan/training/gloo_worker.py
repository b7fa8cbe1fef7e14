"""One of several workers that train a part together; test_comm.py starts them as processes.

Usage: gloo_worker.py RANK WORLD_SIZE PORT OUT. Writes what it saw in each scenario to OUT (JSON).
"""

import datetime
import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import distributed

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training import step
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.batches import TensorBatches
from sgan.training.comm import TorchComm
from sgan.training.seeds import mix
from sgan.training.terms import NonFiniteLoss

MNIST = ImageConfig(1, 28, 28, 10)
ROWS = 24


def digest(state: dict) -> str:
    """sha256 over every tensor's bytes, batch-norm statistics left out (they stay per rank)."""
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        if "running" not in name:
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


def train(comm: TorchComm, broken: bool) -> dict:
    """Six steps of level 1; D's loss differs much between ranks, and so would their G steps."""
    torch.manual_seed(100 + comm.rank)  # other weights on each rank, until they are broadcast
    level = LevelConfig(z_dim=5, batch_size=8, total_images=48, ema_half_life_images=30, lr_d=1e-3)
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
    task.g_steps = ((threshold, 1), (0.0, 3))
    alone = 1 if local > threshold else 3
    steps: list[str] = []
    for name, optimizer in task.optimizers.items():
        optimizer.register_step_post_hook(lambda *a, name=name: steps.append(name[-1]))
    after = digest(stack.levels.state_dict())
    error = ""
    for index in range(6):
        batch = share(index)
        if broken and comm.rank == 1 and index == 2:
            batch.hidden[1][0, 0] = float("nan")
        try:
            task.step(index, batch)
        except NonFiniteLoss as caught:
            error = str(caught)
            break
    return {
        "start": start,
        "broadcast": after,
        "rows": rows,
        "alone": alone,
        "steps": "".join(steps),
        "end": digest(stack.levels.state_dict()),
        "average": digest(task.averages["1"].state_dict()),
        "error": error,
    }


def average(comm: TorchComm) -> dict:
    """Means of tensors of two dtypes and two layouts, with a gradient that is not there."""
    rank = comm.rank
    a = torch.full((2, 3), float(rank))
    b = (torch.arange(24.0).view(1, 2, 3, 4) * (rank + 1)).to(memory_format=torch.channels_last)
    c = torch.full((2,), 10 * rank, dtype=torch.float64)
    comm.average_([a, None, b, c])
    w = torch.full((3,), float(rank + 7))
    n = torch.tensor(rank + 3)
    comm.broadcast_([w, n])
    comm.barrier()
    return {
        "a": a.tolist(),
        "b": b.tolist(),
        "c": c.tolist(),
        "number": comm.average_number(0.1 + rank),
        "w": w.tolist(),
        "n": n.item(),
    }


def main(rank: str, world_size: str, port: str, out: str) -> None:
    """Joins the group, runs every scenario, writes the results."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=int(rank),
        world_size=int(world_size),
        timeout=datetime.timedelta(seconds=60),
    )
    comm = TorchComm(torch.device("cpu"))
    results = {
        "average": average(comm),
        "train": train(comm, broken=False),
        "broken": train(comm, broken=True),
    }
    Path(out).write_text(json.dumps(results))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
