"""What lies at an address: a file, or what a registered scheme makes of it."""

import io
from pathlib import Path

import pytest

from pipeline.data import opening
from pipeline.data.opening import open_bytes, register
from pipeline.errors import UserError


@pytest.fixture(autouse=True)
def _no_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process in which nobody has registered any."""
    monkeypatch.setattr(opening, "_openers", {})


def test_a_file_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a:b").write_bytes(b"bytes")
    with open_bytes(str(tmp_path / "a:b")) as file:
        assert file.read() == b"bytes"
    with pytest.raises(FileNotFoundError):
        open_bytes(str(tmp_path / "none"))


def test_a_registered_scheme_gets_the_whole_address() -> None:
    register("mem", lambda address: io.BytesIO(address.encode()))
    with open_bytes("mem://bucket/a/b") as stream:
        assert stream.read() == b"mem://bucket/a/b"


def test_a_scheme_s_own_errors_pass() -> None:
    """Readers say what makes a file that is not there."""

    def nothing(address: str) -> io.BytesIO:
        raise FileNotFoundError(address)

    register("mem", nothing)
    with pytest.raises(FileNotFoundError, match="mem://none"):
        open_bytes("mem://none")


def test_another_scheme_is_told_what_is_allowed() -> None:
    with pytest.raises(UserError, match=r"^ftp://h/x: cannot be opened; allowed: a path$"):
        open_bytes("ftp://h/x")
    for scheme in ("s3", "mem"):
        register(scheme, lambda address: io.BytesIO())
    with pytest.raises(UserError, match=r"^ftp://h/x: .* allowed: a path, mem://, s3://$"):
        open_bytes("ftp://h/x")
