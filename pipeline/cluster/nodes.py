"""The nodes of the Ray cluster that is connected."""

from typing import Any


def pinned_here() -> dict[str, Any]:
    """Options of a Ray task or actor that must run on the driver's own node, or not at all.

    Use as `ray.remote(Class).options(**pinned_here())`, in the driver.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}
