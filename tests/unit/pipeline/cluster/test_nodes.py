"""What is told of a node that cannot do what it was asked.

On nodes that answer: tests/integration/test_cluster.py.
"""

from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import RayTaskError

from pipeline.cluster import nodes
from pipeline.errors import UserError

NODE = {"NodeID": "ab" * 28, "NodeManagerHostname": "far", "NodeManagerAddress": "10.0.0.7"}


def test_what_a_person_can_mend_is_one_line_that_names_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's own error has the whole trace of there for its text."""
    cause = UserError("runtime.device = cuda: there is no GPU")
    error = RayTaskError("f", "Traceback (most recent …", cause, "ray::f", 1, "10.0.0.7")

    def get(_: object) -> None:
        raise error.as_instanceof_cause()

    task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: "answer"))
    monkeypatch.setattr(ray, "nodes", lambda: [{**NODE, "Alive": True, "Resources": {"CPU": 2.0}}])
    monkeypatch.setattr(ray, "remote", lambda **_: lambda function: task)
    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(UserError) as told:
        nodes.on_each_node(print, having="CPU")
    assert str(told.value) == "the node far (10.0.0.7): runtime.device = cuda: there is no GPU"
