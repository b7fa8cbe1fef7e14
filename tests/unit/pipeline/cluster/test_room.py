"""Whether nodes have room, told of nodes as Ray describes them. Waiting: with real nodes, in
tests/integration/test_cluster.py."""

import pytest

from pipeline.cluster import room
from pipeline.cluster.room import Need
from pipeline.errors import UserError

TWO_SMALL = [{"CPU": 1.0}, {"CPU": 1.0}]


def lacking(need: Need, nodes: list[dict[str, float]], monkeypatch) -> str:
    """What is told of a need after no waiting; "" where there is room."""
    monkeypatch.setattr(room, "nodes", lambda: nodes)
    monkeypatch.setattr(room, "_asked_for", lambda needs: room.contextmanager(lambda: iter([0]))())
    try:
        room.wait_for([need], 0, pytest.fail)
    except UserError as error:
        return str(error)
    return ""


def test_cores_count_by_the_node_and_not_in_all(monkeypatch) -> None:
    assert lacking(Need("level0", {"CPU": 1.0}), TWO_SMALL, monkeypatch) == ""
    assert lacking(Need("level0", {"CPU": 2.0, "GPU": 0.0}), TWO_SMALL, monkeypatch) == (
        "level0 asks for 2 CPU and the largest node of the cluster has 1: lower "
        "runtime.cpus_per_worker, or add a larger node"
    )


def test_workers_may_be_on_several_nodes(monkeypatch) -> None:
    assert lacking(Need("joint", {"CPU": 1.0}, 2), TWO_SMALL, monkeypatch) == ""
    assert lacking(Need("joint", {"CPU": 1.0}, 3), TWO_SMALL, monkeypatch) == (
        "joint asks for 3 workers with 1 CPU each and the cluster's nodes have room for 2: lower "
        "its `workers`, or add nodes"
    )


def test_as_many_at_once_as_fit_with_all_their_workers(monkeypatch) -> None:
    monkeypatch.setattr(room, "nodes", lambda: [{"CPU": 3.0}, {"CPU": 2.0, "GPU": 1.0}])
    assert room.room_for(Need("level0", {"CPU": 1.0, "GPU": 0.0})) == 5
    assert room.room_for(Need("level0", {"CPU": 2.0}, 2)) == 1
    assert room.room_for(Need("level0", {"CPU": 1.0, "GPU": 0.5})) == 2
    assert room.room_for(Need("level0", {"CPU": 4.0})) == 0


def test_cores_and_gpus_must_be_on_one_node(monkeypatch) -> None:
    nodes = [{"CPU": 8.0}, {"CPU": 1.0, "GPU": 1.0}]
    assert lacking(Need("level0", {"CPU": 1.0, "GPU": 1 / 3}, 3), [nodes[1]], monkeypatch) != ""
    assert lacking(Need("level0", {"CPU": 0.3, "GPU": 1 / 3}, 3), nodes, monkeypatch) == ""
    told = lacking(Need("level0", {"CPU": 2.0, "GPU": 1.0}), nodes, monkeypatch)
    assert told.startswith("level0 asks for 1 workers with 2 CPU and 1 GPU each")
    none = lacking(Need("level0", {"CPU": 1.0, "GPU": 1.0}), TWO_SMALL, monkeypatch)
    assert none.startswith("level0 asks for 1 GPU and the largest node of the cluster has 0: lower")


def test_a_cluster_without_nodes(monkeypatch) -> None:
    told = lacking(Need("encoder", {"CPU": 1.0}), [], monkeypatch)
    assert told.startswith("encoder asks for 1 CPU and the largest node of the cluster has 0")
