"""The rig of nodes that share no files: what a task sees there, and that nothing is left of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.cluster_rig import cluster, why_not

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import json, os, ray, sys
ray.init(address=os.environ["RAY_ADDRESS"], logging_level="ERROR", log_to_driver=False)
@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def look(checkout, secret):
    import importlib.util, os, time
    time.sleep(1)  # one a node
    names = [os.path.expanduser("~"), "/tmp", checkout]
    return (
        ray.util.get_node_ip_address(),
        importlib.util.find_spec("pipeline") is not None,
        [name for folder in names for name in os.listdir(folder)],
        os.path.exists(secret),
        os.environ.get("SGAN_STORAGE"),
    )
here = ray.util.get_node_ip_address()
seen = ray.get([look.remote(*sys.argv[1:]) for _ in range(2)])
print(json.dumps({"here": here, "seen": seen}))
"""


@pytest.mark.alone
@pytest.mark.skipif(why_not() != "", reason=why_not() or "-")
def test_a_task_on_another_node_sees_neither_the_checkout_nor_a_file_of_the_driver(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the driver's")
    with cluster(nodes=2, cpus=1, driver="node") as nodes:
        head, own = nodes.nodes
        done = own.run(
            *(sys.executable, "-c", DRIVER, str(ROOT), str(secret)),
            env={**os.environ, **nodes.environment(), "SGAN_STORAGE": "s3://somewhere"},
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        found = {ip: rest for ip, *rest in told["seen"]}
        assert len(found) == 2
        installed, names, sees_secret, storage = found.pop(told["here"])
        assert (installed, sees_secret, storage) == (True, True, None)
        ((installed, names, sees_secret, storage),) = found.values()
        assert (installed, sees_secret, storage) == (False, False, None)
        python = {*Path(sys.prefix).parts, *Path(sys.base_prefix).resolve().parts}
        assert set(names) <= {*python, nodes.folder.name}
        assert head.run("ls", str(ROOT)).stdout.split() == []
        assert own.run("ls", str(ROOT / "tests")).stdout
        processes = [process for node in nodes.nodes for process in node.processes()]
        assert any(process.name() == "raylet" for process in processes)
        head.kill()
        assert head.processes() == []
    assert not any(process.is_running() for process in processes)
    assert not nodes.folder.exists()
