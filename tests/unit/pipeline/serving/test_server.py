"""The socket, and who may ask. The process is started in tests/integration/test_serve.py."""

import socket

import pytest

from pipeline.errors import UserError
from pipeline.serving.server import _hosts, _listening


def test_a_port_that_is_free():
    with _listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(UserError, match=f"--port {port}: Address already in use; give another"):
            _listening("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 65536, "--port 65536: must be 0 to 65535"),
        ("127.0.0.1", -1, "--port -1: must be"),
        ("no.such.host.invalid", 0, "--host no.such.host.invalid: .+; 127.0.0.1 is this machine"),
    ],
)
def test_an_address_that_is_none(host, port, message):
    with pytest.raises(UserError, match=message):
        _listening(host, port)


def test_on_this_machine_only_its_own_names_are_answered():
    assert "localhost" in _hosts("127.0.0.1")
    assert "*" not in _hosts("127.0.0.1")
    assert _hosts("10.0.0.7") == ("*",)
