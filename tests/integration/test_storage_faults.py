"""Storage that fails: S3 down, in error, slow, cut, wrong; disks that are full; two at one part."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.cluster.driver_disk import Keeper
from pipeline.errors import UserError
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.turns import LEASE
from pipeline.storage import s3, s3_client
from pipeline.storage.store import Storage
from tests.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CONTENT = os.urandom(2_000_000)
FOLDER = "level0/0123"


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    """The port of an S3 server in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def proxy(moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What this process and its children take for S3."""
    with FaultProxy(moto) as proxy:
        for name, value in {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SGAN_STORAGE_WAIT": "30",
        }.items():
            monkeypatch.setenv(name, value)
        s3.client().create_bucket(Bucket=f"bucket{proxy.port}")
        yield proxy


@pytest.fixture
def storage(proxy: FaultProxy) -> Storage:
    return Storage(f"s3://bucket{proxy.port}/runs")


FAULTS = [
    ("error", {"times": 5}),
    ("slow", {"times": 1, "seconds": 1}),
    ("cut answer", {"times": 2, "after": 900_000}),
    ("wrong bytes", {"times": 2}),
    ("lost answer", {"times": 1}),
]


@pytest.mark.parametrize(("kind", "fields"), FAULTS)
def test_reading_outlives_a_fault(proxy, storage, kind, fields):
    storage.write("a", CONTENT)
    proxy.inject(kind, only="GET", **fields)
    assert storage.read("a")[0] == CONTENT
    assert proxy.hits == fields["times"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("error", {"times": 5, "status": 503}), ("cut request", {"times": 1})],
)
def test_writing_outlives_a_fault(proxy, storage, kind, fields):
    proxy.inject(kind, only="PUT", **fields)
    storage.write("a", CONTENT)
    assert proxy.hits == fields["times"]
    assert storage.read("a")[0] == CONTENT


@pytest.mark.parametrize("write", ["create", "replace_if"])
def test_a_conditional_write_whose_answer_was_lost_is_still_the_writers(proxy, storage, write):
    storage.write("other", b"asked whether conditions are kept")
    assert storage.create("first", b"1")
    arguments = () if write == "create" else (storage.read("first")[1],)
    proxy.inject("lost answer", only="PUT", times=1)
    key = "second" if write == "create" else "first"
    assert getattr(storage, write)(key, b"mine", *arguments)
    assert proxy.hits == 1
    assert not storage.create(key, b"another's")


def test_a_server_away_for_seconds_costs_only_these(proxy, storage, capsys):
    storage.write("a", CONTENT)
    proxy.down()
    back = threading.Thread(target=_back_when_missed, args=(proxy,))
    back.start()
    storage.write("b", CONTENT)
    back.join()
    assert storage.read("b")[0] == CONTENT
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2, said
    assert "Could not connect" in said[0] and said[0].endswith("Waiting up to 30 s for it.")
    assert said[1].startswith("S3 answers again, after ")


def _back_when_missed(proxy: FaultProxy) -> None:
    """However long boto3's own retries take on a busy machine."""
    deadline = time.monotonic() + 60
    while s3_client._outage._since is None and time.monotonic() < deadline:
        time.sleep(0.1)
    proxy.up()


def test_a_server_away_for_too_long_is_one_clear_error(proxy, storage, monkeypatch):
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "1")
    proxy.down()
    with pytest.raises(UserError, match=r"runs/a: Could not connect .*AWS_ENDPOINT_URL .* waited"):
        storage.write("a", CONTENT)
    proxy.up()


def state(value: int) -> dict:
    return {"task": {"w": [value] * 1000}, "curve": {"rows": []}, "seconds": value}


def test_a_checkpoint_cut_in_the_middle_leaves_the_older_one(proxy, storage, monkeypatch):
    """The tests' server keeps what arrived, as none of the real ones does."""
    checkpoints = Checkpoints(storage, FOLDER)
    checkpoints.save(10, state(10))
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "0.1")
    proxy.inject("cut request", only="PUT .*step-", after=500)
    with pytest.raises(UserError, match="step-0000000020"):
        checkpoints.save(20, state(20))
    proxy.heal()
    step, loaded = checkpoints.load("cpu")
    assert (step, loaded) == (10, state(10))
    checkpoints.save(20, state(20))
    assert checkpoints.load("cpu")[0] == 20


def test_a_checkpoint_of_wrong_bytes_is_passed_over(proxy, storage, capsys):
    checkpoints = Checkpoints(storage, FOLDER)
    for step in (10, 20):
        checkpoints.save(step, state(step))
    proxy.inject("wrong bytes", only="GET .*step-0000000020")
    assert checkpoints.load("cpu")[0] == 10
    assert "step-0000000020.pt cannot be read (its digest is another)" in capsys.readouterr().out


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_below_storage_is_told_and_the_older_checkpoint_stays(tiny_disk):
    checkpoints = Checkpoints(Storage(tiny_disk), FOLDER)
    big = {**state(20), "task": CONTENT}
    checkpoints.save(10, state(10))
    with pytest.raises(UserError) as told:
        checkpoints.save(20, big)
    assert str(told.value).startswith(f"{tiny_disk / FOLDER}/step-0000000020.pt cannot be written")
    assert "No space left on device (" in str(told.value)
    assert [path.name for path in (tiny_disk / FOLDER).iterdir()] == ["step-0000000010.pt"]
    assert checkpoints.load("cpu") == (10, state(10))


def test_a_full_disk_of_the_driver_is_named_to_the_worker(tiny_disk):
    keeper = Keeper(str(tiny_disk))
    with pytest.raises(UserError, match=f"^{tiny_disk}/.*-upload cannot be written: No space left"):
        keeper.take("a-upload", 0, bytes(2_000_000))


def test_a_full_disk_while_training_ends_in_one_line_and_the_next_run_goes_on(
    tiny_disk, make_part, monkeypatch
):
    from pipeline.parts.worker import train_part

    part = make_part(1, 2000, tiny_disk, checkpoint_seconds=0.0)
    (tiny_disk / "ballast").write_bytes(bytes(1_000_000))
    with pytest.raises(UserError, match=r"/step-\d+\.pt cannot be written: No space left"):
        train_part(part, lambda *_: None)
    monkeypatch.setattr("tempfile.tempdir", str(tiny_disk))
    with pytest.raises(UserError, match=rf"below {tiny_disk} \(TMPDIR\) cannot be written: No sp"):
        train_part(make_part(1, 500, checkpoint_seconds=9.0), lambda *_: None)


# Forks an execution for each line of its input, or tells how one has ended: the imports would take
# three seconds in each process.
EXECUTIONS = """
import json, os, pickle, sys, time
from pathlib import Path
import boto3, torch
from pipeline.parts.turns import Turns
from pipeline.parts.worker import train_part

for line in sys.stdin:
    asked = json.loads(line)
    if "ended" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["ended"], 0)[1]), flush=True)
    elif child := os.fork():
        print(child, flush=True)
    else:
        break
else:
    sys.exit()
os.environ.update(asked["environment"])
log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT)
os.dup2(log, 1), os.dup2(log, 2)
part, go = pickle.loads(Path(asked["part"]).read_bytes()), Path(asked["go"])
done = lambda name, result: print("reused", result["reused"], flush=True)
with Turns([part], done, lambda line: print(line, flush=True), lambda: False) as turns:
    for mine in turns:
        print("trains", flush=True)
        while not go.exists():
            time.sleep(0.05)
        train_part(mine[0], lambda *_: None)
print("end", flush=True)
"""


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[..., int]]:
    """`ask(environment=…, log=…, part=…, go=…)` starts an execution and gives its process's
    number; `ask(ended=number)` waits for its end and gives its exit status."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", EXECUTIONS]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:

        def ask(**asked: object) -> int:
            print(json.dumps(asked), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield ask


@pytest.mark.parametrize("ending", ["to its end", "killed"])
def test_the_second_execution_waits_and_reuses_or_takes_over(
    proxy, storage, make_part, tmp_path, until: Callable[..., object], ask, ending
):
    part = make_part(1, 500).placed(storage=storage.uri)
    (tmp_path / "part").write_bytes(pickle.dumps(part))
    go = tmp_path / "go"
    files = {"part": str(tmp_path / "part"), "go": str(go)}
    logs = [tmp_path / "first", tmp_path / "second"]
    running = []
    for log in logs:
        log.touch()
        running.append(ask(environment=dict(os.environ), log=str(log), **files))
        until(lambda log=log: log.read_text(), 60, "a first line")
    assert logs[0].read_text() == "trains\n"
    held = json.loads(storage.read(lease(part))[0])
    told = f"level1 is being trained by {held['who']}, since {held['since']}; waiting for its"
    assert logs[1].read_text().startswith(told)
    if ending == "killed":
        os.kill(running[0], signal.SIGKILL)
    go.touch()
    exits = [ask(ended=process) for process in running]
    assert exits == [-signal.SIGKILL if ending == "killed" else 0, 0]
    last = "trains" if ending == "killed" else "reused True"
    assert logs[1].read_text().splitlines()[-2:] == [last, "end"]
    assert not storage.exists(lease(part))


def lease(part) -> str:
    return f"{part.folder}/{LEASE}"
