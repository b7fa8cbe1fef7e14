"""The device that params.yaml asks for, on this machine, and the record of what ran on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cluster.nodes import on_each_node
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> "torch.device":
    """The torch device of `runtime.device`. Raises UserError where this machine has none such."""
    from sgan.device import choose_device
    from sgan.errors import DeviceError

    try:
        return choose_device(name)
    except DeviceError as error:
        raise UserError(f"runtime.device = {error}") from None


def precision_here(name: str) -> str:
    """What `precision: auto` is on this machine's device of `runtime.device`: bfloat16 where the
    hardware multiplies it, else float32. Raises UserError where there is no such device."""
    from sgan.training.precision import resolve

    return str(resolve("auto", device_of(name))).removeprefix("torch.")


def precision_of_nodes(name: str, gpus: float | None) -> str:
    """What `precision: auto` is for every node of the connected cluster that may run a part:
    bfloat16 only where all of them multiply it in hardware.

    Args:
        name: `runtime.device`.
        gpus: `runtime.gpus_per_worker`.
    """
    import ray

    if name != "cpu" and gpus != 0 and ray.cluster_resources().get("GPU"):
        found = on_each_node(precision_here, name, having="GPU", num_gpus=0.01)
    else:
        found = on_each_node(precision_here, name, having="CPU")
    return "bfloat16" if set(found) == {"bfloat16"} else "float32"


def record_of(device: "torch.device", threads: int, precision: str) -> dict[str, Any]:
    """What decides a result's last bits beside its recipe: device, processor, the instructions that
    torch uses of it, threads, torch's version, and the number format (`precision`, of torch).

    The same recipe with the same record gives the same bits.
    """
    import torch

    record: dict[str, Any] = {"device": device.type, "torch": str(torch.__version__)}
    record["precision"] = precision.removeprefix("torch.")
    if device.type == "cpu":
        return record | {"processor": _processor(), "threads": threads, **_instructions()}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return record | {"processor": name}


def _instructions() -> dict[str, str]:
    import torch

    probes = {"bfloat16": "_is_avx512_bf16_supported", "AMX": "_is_amx_tile_supported"}
    more = [name for name, probe in probes.items() if getattr(torch.cpu, probe, lambda: False)()]
    return {"instructions": " ".join([torch.backends.cpu.get_cpu_capability(), *more])}


def _processor() -> str:
    """As Linux names it; elsewhere as Python does."""
    import platform

    file = Path("/proc/cpuinfo")
    for line in file.read_text().splitlines() if file.is_file() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
