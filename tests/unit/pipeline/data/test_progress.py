import io
import sys

from pipeline.data import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(total):
    with progress.transfer("fetch it", total) as advance:
        for _ in range(4):
            advance(1_000_000)


def test_plain_lines_where_there_is_no_terminal(monkeypatch, capsys):
    run(4_000_000)
    assert capsys.readouterr().err.startswith("fetch it: 4.0 MB in 0.0 s")
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    run(4_000_000)
    assert capsys.readouterr().err.splitlines()[:2] == [
        "fetch it: 1.0 of 4.0 MB (25%)",
        "fetch it: 2.0 of 4.0 MB (50%)",
    ]
    run(None)
    assert capsys.readouterr().err.splitlines()[0] == "fetch it: 1.0 MB"


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    run(4_000_000)
    assert "fetch it" in terminal.getvalue() and "4.0/4.0 MB" in terminal.getvalue()
