"""The nodes of the Ray cluster that is connected."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipeline.cluster import travel
from pipeline.errors import UserError

_ANSWER_S = 90.0  # a worker's start, with the code that it gets
_BUSY_S = 15.0  # what is asked for less time is not worth a line


def pinned_here() -> dict[str, Any]:
    """Options of a Ray task or actor that must run on the driver's own node, or not at all.

    Use as `ray.remote(Class).options(**pinned_here())`, in the driver.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}


def on_each_node(
    function: Callable[..., Any], *arguments: Any, having: str = "node", **options: Any
) -> list[Any]:
    """What a function of a module gives on every living node that has a resource (`CPU`, `GPU`).

    `options` are those of a Ray task; no core is set aside by default. A node that dies before it
    has answered is left out.

    Raises UserError where all have died, and the function's own, which names the node.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(**{"num_cpus": 0, **options})(function)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    chosen = [node for node in nodes if having == "node" or node["Resources"].get(having)]
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in chosen]
    asked = [task.options(scheduling_strategy=place).remote(*arguments) for place in places]
    if any(options.get(each) for each in ("num_cpus", "num_gpus")):
        _tell_of_busy(asked, [_named(node) for node in chosen])
    found = []
    for answer, node in zip(asked, chosen, strict=True):
        with suppress(*_lost_with_a_node()):
            found.append(_given(answer, _named(node)))
    if asked and not found:
        raise UserError("every node of the Ray cluster died while it was asked: run again")
    return found


def _tell_of_busy(asked: Sequence[Any], names: Sequence[str]) -> None:
    """A line about nodes whose resource is taken, for as long as what trains there takes."""
    import ray

    if asked:
        done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_BUSY_S)
        busy = [name for answer, name in zip(asked, names, strict=True) if answer not in done]
        if busy:
            print(f"waiting for {', '.join(busy)}: all that it has is taken", flush=True)


def _given(answer: Any, where: str) -> Any:
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):  # its own text holds the trace of there
            raise UserError(f"the node {where}: {error.cause}") from None
        raise


def _named(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _lost_with_a_node() -> tuple[type[Exception], ...]:
    """What Ray raises for a task that has to run on a node which is gone."""
    from ray import exceptions

    return (
        exceptions.TaskUnschedulableError,
        exceptions.NodeDiedError,
        exceptions.WorkerCrashedError,
    )


def check() -> None:
    """Whether every node can run this project's code.

    Raises UserError, naming the first node that lacks a package or has another version of Python,
    Ray or torch than this process.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0, max_retries=0)(travel.found_fault)
    expected = travel.expected_versions()
    there = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
    asked = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote(
            expected
        ): _named(node)
        for name, node in there.items()
    }
    ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S)
    for ref, where in asked.items():
        faults = _answer(ref, where)
        if faults:
            raise UserError(travel.told(faults, where))


def _answer(ref: Any, where: str) -> list[str]:
    import ray

    try:
        return ray.get(ref, timeout=0)
    except ray.exceptions.GetTimeoutError:
        raise UserError(f"the node {where} does not answer within {_ANSWER_S:g} s") from None
    except ray.exceptions.RuntimeEnvSetupError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the node {where} could not unpack this project's code: {reason}"
        ) from None
    except ray.exceptions.RayTaskError as error:
        last = str(error).strip().splitlines()[-1]
        raise UserError(
            f"the node {where} does not run this project's code ({last}): with "
            "SGAN_RUNTIME_ENV=image its image has to hold it; unset that, and the code travels"
        ) from error
    except ray.exceptions.RayError:
        return []  # the node has gone since
