"""What is told of a node that cannot do what it was asked.

On nodes that answer: tests/integration/test_cluster.py.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import RayTaskError

from pipeline.cluster import nodes
from pipeline.errors import UserError

NODE = {"NodeID": "ab" * 28, "NodeManagerHostname": "far", "NodeManagerAddress": "10.0.0.7"}


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`far(get, done)`: a cluster of one node, what asking it gives, whether it answers soon."""

    def make(get: Callable[[object], Any], done: bool = True) -> None:
        there = {**NODE, "Alive": True, "Resources": {"CPU": 2.0}}
        task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: "answer"))
        monkeypatch.setattr(ray, "nodes", lambda: [there])
        monkeypatch.setattr(ray, "remote", lambda **_: lambda function: task)
        monkeypatch.setattr(ray, "wait", lambda asked, **_: (asked, []) if done else ([], asked))
        monkeypatch.setattr(ray, "get", get)

    return make


def test_what_a_person_can_mend_is_one_line_that_names_the_node(far: Any) -> None:
    """Ray's own error has the whole trace of there for its text."""
    cause = UserError("runtime.device = cuda: there is no GPU")
    error = RayTaskError("f", "Traceback (most recent …", cause, "ray::f", 1, "10.0.0.7")

    def get(_: object) -> None:
        raise error.as_instanceof_cause()

    far(get)
    with pytest.raises(UserError) as told:
        nodes.on_each_node(print, having="CPU")
    assert str(told.value) == "the node far (10.0.0.7): runtime.device = cuda: there is no GPU"


def test_a_node_whose_resource_is_taken_is_told_of(
    far: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    far(lambda answer: answer, done=False)
    assert nodes.on_each_node(print) == ["answer"]  # it asks for nothing that could be taken
    assert capsys.readouterr().out == ""
    assert nodes.on_each_node(print, num_gpus=0.01) == ["answer"]
    assert capsys.readouterr().out == "waiting for far (10.0.0.7): all that it has is taken\n"
