"""`dvc repro` as a child: its environment, and a stop that waits for the stages."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.execution import repro

ENTRYPOINT = """\
import sys
from pathlib import Path
from pipeline.execution import repro
with repro.stoppable() as stop:
    folder = Path(sys.argv[1])
    print(repro.repro(folder, [], stop), flush=True)
"""
# Stands for DVC, which dies of the signal at once, and for its stage, which saves first.
DVC = """\
import subprocess, sys
stage = "import signal, time, sys, pathlib\\n" \\
    "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), saved.touch(), sys.exit(143)))\\n" \\
    "saved = pathlib.Path('saved'); pathlib.Path('began').touch(); time.sleep(60)"
subprocess.run([sys.executable, "-c", stage])
"""


def test_the_stages_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sgan"
    (folder / "infra").mkdir(parents=True)
    (folder / "infra" / "engines.env").write_text(
        "# why\nDVC_NO_ANALYTICS=1\nRAY_AUTH_MODE=token\n"
    )
    monkeypatch.setenv("RAY_AUTH_MODE", "k8s")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("DVC_NO_ANALYTICS", raising=False)
    found = repro.environment_of(folder)
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert (found["DVC_NO_ANALYTICS"], found["RAY_AUTH_MODE"]) == ("1", "k8s")
    assert "PYTHONDONTWRITEBYTECODE" not in found


@pytest.fixture
def running(tmp_path: Path):
    """`_repro` in a process of its own, with a stage that saves when it is told to stop."""
    (tmp_path / "dvc.py").write_text(DVC)  # `python -m dvc` takes the one that lies here
    environment = {**os.environ, "PYTHONPATH": str(Path(repro.__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRYPOINT, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="orphans stay below the job on Linux only")
def test_a_stop_waits_until_the_stages_have_saved(running, tmp_path: Path) -> None:
    import psutil

    below = psutil.Process(running.pid).children(recursive=True)
    for process in [*below, running]:  # as Ray does it
        os.kill(process.pid, signal.SIGTERM)
    assert running.communicate(timeout=30)[0] == "143\n"
    assert (tmp_path / "saved").exists()
    assert not [process for process in below if process.is_running()]  # nor as a zombie


@pytest.mark.skipif(sys.platform != "linux", reason="who adopts orphans is a setting of Linux")
def test_orphans_are_adopted_inside_only() -> None:
    def adopts() -> bool:
        found = ctypes.c_int()
        ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
        return bool(found.value)

    with repro.stoppable():
        assert adopts()
    assert not adopts()
