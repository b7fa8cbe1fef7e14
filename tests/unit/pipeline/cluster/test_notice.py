"""A node's end in the right order: what trains is told, and waited for; nothing else is."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from pipeline.cluster import notice

SAVES = """
import signal, sys, time
def save(*_):
    time.sleep(0.3)
    sys.exit(7)
signal.signal(signal.SIGTERM, {handler})
print("ready", flush=True)
time.sleep(60)
"""
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def titled() -> Iterator[Start]:
    """Starts a process with a title as Ray gives its workers."""
    started: list[subprocess.Popen] = []

    def start(title: str, handler: str = "save") -> subprocess.Popen:
        process = subprocess.Popen(
            [title, "-c", SAVES.format(handler=handler)],
            executable=sys.executable,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def only_these(titled: Start, monkeypatch) -> Start:
    """As `titled`; other tests' trainings on this machine are not seen."""
    own: set[int] = set()
    found = notice.training

    def start(*arguments: str) -> subprocess.Popen:
        process = titled(*arguments)
        own.add(process.pid)
        return process

    monkeypatch.setattr(
        notice, "training", lambda: {pid: part for pid, part in found().items() if pid in own}
    )
    return start


def test_what_trains_has_saved_when_it_returns_and_others_live(only_these: Start) -> None:
    level, idle = only_these("ray::level12"), only_these("ray::IDLE")
    rank = only_these("ray::RayTrainWorker.run_train_fn")
    assert notice.main([]) == 0
    assert level.wait(5) == 7
    assert idle.poll() is None and rank.poll() is None


def test_who_does_not_end_is_named_after_the_limit(only_these: Start, capsys) -> None:
    stubborn = only_these("ray::joint", "signal.SIG_IGN")
    assert notice.main(["--seconds", "0.3"]) == 1
    assert capsys.readouterr().err == "not saved after 0.3 s: joint\n"
    assert stubborn.poll() is None


def test_nothing_trains_and_nothing_is_waited_for(only_these: Start) -> None:
    assert notice.let_save(60.0) == []


def test_aws_is_asked_until_it_gives_notice(monkeypatch) -> None:
    asked: list[tuple[str, str, str | None]] = []

    class Metadata(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            token = self.headers.get("X-aws-ec2-metadata-token")
            asked.append((self.command, self.path, token))
            known = self.command == "PUT" or len(asked) > 3
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(b"sesame" if known else b"")

        do_GET = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(notice, "_METADATA", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(notice, "_ASK_AGAIN_S", 0.01)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not for this machine's metadata
    notice.wait_for_aws()
    server.shutdown()
    server.server_close()
    action = ("GET", "/meta-data/spot/instance-action", "sesame")
    assert asked == [("PUT", "/api/token", None), action] * 2
