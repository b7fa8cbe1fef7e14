"""Ray's address, token and signals, before there is any Ray.

Training on real clusters: tests/integration/test_cluster.py.
"""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from pipeline.cluster import connection
from pipeline.errors import UserError


@pytest.fixture
def listening():
    """host:port of a server that speaks gRPC."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_the_environment_says_whether_there_is_a_cluster(monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert not connection.wanted()
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert not connection.wanted()
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert connection.wanted()


def test_addresses_that_may_answer(listening) -> None:
    for address in (listening, "auto", "local"):
        connection._check_answers(address)


def test_a_local_ray_that_does_not_start_is_no_cluster_without_a_node() -> None:
    """Seen on a machine with twelve processes for two cores."""
    told = connection._refused(None, RuntimeError("Timed out waiting for the\nraylet to start"))
    assert told.startswith("a local Ray did not start: Timed out waiting for the raylet to start.")


def test_what_answers_and_is_no_head_is_called_so(serve, tmp_path, monkeypatch) -> None:
    address = serve(tmp_path).removeprefix("http://").rstrip("/")
    with pytest.raises(UserError, match=rf"RAY_ADDRESS={address} is no head of a Ray cluster"):
        connection._check_answers(address)
    monkeypatch.setenv("RAY_USE_TLS", "1")  # it may be one: nothing is said before a handshake
    connection._check_answers(address)


def test_what_accepts_and_says_nothing_does_not_answer(monkeypatch) -> None:
    monkeypatch.setattr(connection, "_ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"RAY_ADDRESS={address} does not answer \(timed out"):
            connection._check_answers(address)


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:port"])
def test_addresses_of_another_form(address) -> None:
    with pytest.raises(UserError, match=rf"RAY_ADDRESS={address}: must be host:port"):
        connection._check_answers(address)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://host:8265", r"this is the dashboard's address, to which `sgan submit`.*host:6379"),
        ("ray://host:10001", r"Ray Client does not serve here.*RAY_ADDRESS=host:6379"),
    ],
)
def test_addresses_of_another_service(address: str, told: str) -> None:
    with pytest.raises(UserError, match=rf"^RAY_ADDRESS={address}: {told}"):
        connection._check_answers(address)


def test_a_refusal_is_one_line_with_its_remedy() -> None:
    import ray

    why = ray.exceptions.AuthenticationError("no token\nwas found")
    told = connection._refused("auto", why)
    assert "\n" not in told and "into RAY_AUTH_TOKEN" in told
    wrong = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.60.0")
    assert connection._refused("host:1", wrong) == (
        "the Ray cluster at RAY_ADDRESS=host:1 runs other versions: Version mismatch: The cluster "
        "was started with: Ray: 2.60.0. Install the same here and there"
    )
    told = connection._refused(
        "host:1", RuntimeError("none of these match this node's IP 10.0.0.1")
    )
    assert "has no node on this machine" in told and "`ray start --address=host:1" in told


def test_a_head_that_is_away_for_long_is_lost(listening, monkeypatch) -> None:
    head = object.__new__(connection.Head)
    head.address, head._answered = listening, 0.0
    head.check()
    head.address = "127.0.0.1:1"
    head.check()  # for a moment only
    head._answered -= 20
    with pytest.raises(connection.ClusterLost, match=r"127\.0\.0\.1:1.*has not answered for 20 s"):
        head.check()


LOST = """
import time
from pipeline.cluster import connection
connection._LAST_WORD_S = 0.5
head = object.__new__(connection.Head)
head.address, head._answered = "127.0.0.1:1", time.monotonic()
with connection._last_word(head):
    time.sleep(60)
"""


def test_a_head_that_dies_while_nothing_asks_for_it_still_gets_a_word() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the head of the Ray cluster (127.0.0.1:1) has not answ")


def test_an_address_where_nobody_is(free_port) -> None:
    with pytest.raises(UserError, match=r"does not answer \(.*refused\)\. Start it, or unset"):
        connection._check_answers(f"[127.0.0.1]:{free_port}")


def test_signals_are_ours_again_after_ray_took_them() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with connection._own_signal_handlers():
        for number in before:
            signal.signal(number, signal.SIG_IGN)
    assert {number: signal.getsignal(number) for number in before} == before
