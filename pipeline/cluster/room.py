"""Whether the cluster's nodes have room for what is asked, and waiting until they have."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError

_POLL_S = 0.5
_SETTINGS = {"CPU": "runtime.cpus_per_worker", "GPU": "runtime.gpus_per_worker"}


@dataclass(frozen=True)
class Need:
    """What a part, or another piece of work, takes at once.

    Attributes:
        name: for messages.
        each: CPU and GPU that each worker needs on one node.
        workers: how many.
    """

    name: str
    each: Mapping[str, float]
    workers: int = 1


def nodes() -> list[dict[str, float]]:
    """The resources of every living node."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def has_room(need: Need) -> bool:
    """Whether the cluster's nodes, were they idle, could hold it now."""
    return not _without_room([need], nodes())


def room_for(need: Need) -> int:
    """How many of `need`, with all its workers, the cluster's nodes, were they idle, could hold at
    once."""
    return _places(need, nodes()) // need.workers


def fits(needs: Sequence[Need]) -> bool:
    """Whether the cluster, were it idle, has as much in all as `needs` take together."""
    import ray

    have = ray.cluster_resources()
    return all(
        sum(need.each.get(kind, 0) * need.workers for need in needs) <= have.get(kind, 0.0) + 1e-3
        for kind in _SETTINGS
    )


def wait_for(
    needs: Sequence[Need],
    seconds: float,
    say: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Until the cluster, were it idle, could hold each of `needs`; returns early when stopped.

    Nodes may still be on their way, and an autoscaler starts some when it sees what is asked.

    Raises:
        UserError: after `seconds`, naming what has no room.
    """
    lacking = _without_room(needs, nodes())
    if not lacking:
        return
    if seconds > 0:
        say(f"waiting up to {seconds:g} s for nodes: {_why(lacking[0], nodes())}")
    deadline = time.monotonic() + seconds
    with _asked_for(lacking):
        while lacking and time.monotonic() < deadline and not should_stop():
            time.sleep(_POLL_S)
            lacking = _without_room(lacking, nodes())
    if lacking and not should_stop():
        raise UserError(f"{_why(lacking[0], nodes())}: {_remedy(lacking[0], nodes())}")


def _without_room(needs: Sequence[Need], there: Sequence[Mapping[str, float]]) -> list[Need]:
    return [need for need in needs if _places(need, there) < need.workers]


def _places(need: Need, there: Sequence[Mapping[str, float]]) -> int:
    """How many of its workers all nodes together hold at once."""
    return sum(_on(node, need.each) for node in there)


def _on(node: Mapping[str, float], each: Mapping[str, float]) -> int:
    asked = [(node.get(kind, 0.0), amount) for kind, amount in each.items() if amount]
    # Ray counts in ten-thousandths; a third of a GPU goes three times into one.
    return min((int(have / amount + 1e-3) for have, amount in asked), default=2**31)


def _why(need: Need, there: Sequence[Mapping[str, float]]) -> str:
    if not _places(need, there):
        short = {kind: most for kind, most in _most(there).items() if need.each.get(kind, 0) > most}
        for kind, most in short.items():
            asked = f"{need.each[kind]:g} {kind}" + (" for each worker" * (need.workers > 1))
            return f"{need.name} asks for {asked} and the largest node of the cluster has {most:g}"
    each = " and ".join(f"{amount:g} {kind}" for kind, amount in need.each.items() if amount)
    return (
        f"{need.name} asks for {need.workers} workers with {each} each and the cluster's nodes "
        f"have room for {_places(need, there)}"
    )


def _remedy(need: Need, there: Sequence[Mapping[str, float]]) -> str:
    most = _most(there)
    for kind, setting in _SETTINGS.items():
        if need.each.get(kind, 0) > most[kind]:
            return f"lower {setting}, or add a larger node"
    return "lower its `workers`, or add nodes"


def _most(there: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: max((n.get(kind, 0.0) for n in there), default=0.0) for kind in _SETTINGS}


@contextmanager
def _asked_for(needs: Sequence[Need]) -> Iterator[None]:
    """Tasks that do nothing wait for the same resources meanwhile, for an autoscaler to see."""
    import ray

    task: Any = ray.remote(_nothing)
    waiting = [
        task.options(
            num_cpus=need.each.get("CPU", 0), num_gpus=need.each.get("GPU", 0), name=need.name
        ).remote()
        for need in needs
        for _ in range(need.workers)
    ]
    try:
        yield
    finally:
        for ref in waiting:
            ray.cancel(ref)


def _nothing() -> None:
    pass
