"""The nodes of the Ray cluster that is connected."""

from collections.abc import Callable
from typing import Any


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

    `options` are those of a Ray task; no core is set aside by default.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(**{"num_cpus": 0, **options})(function)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    chosen = [n["NodeID"] for n in nodes if having == "node" or n["Resources"].get(having)]
    places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in chosen]
    return ray.get([task.options(scheduling_strategy=p).remote(*arguments) for p in places])
