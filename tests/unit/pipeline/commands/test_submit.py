"""`sgan submit` and `sgan job`: their options reach what they start."""

import pytest

from pipeline.cli import main, parser
from pipeline.execution import job, submitting


def test_everything_after_the_dashes_is_dvcs() -> None:
    found = parser().parse_args(["submit", "--no-wait", "--", "-f", "levels"])
    assert (found.no_wait, found.fetch, found.arguments) == (True, None, ["-f", "levels"])
    found = parser().parse_args(["submit", "--fetch", "--", "levels"])
    assert (found.fetch, found.arguments) == ("", ["levels"])
    assert parser().parse_args(["submit", "--fetch", "sgan-a"]).fetch == "sgan-a"


def test_the_exit_status_is_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "submit", lambda root, **options: len(options["arguments"]))
    assert main(["submit", "--address", "http://head:8265"]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["submit", "--address", "http://head:8265", "--", "-f", "levels"])
    assert ended.value.code == 2
    monkeypatch.setattr(job, "run", lambda *arguments, **options: 143)
    with pytest.raises(SystemExit) as ended:
        main(["job", "--storage", "/srv/sgan"])
    assert ended.value.code == 143


def test_the_help_teaches(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["submit", "--help"])
    told = capsys.readouterr().out
    assert "sgan submit --address http://head:8265 --storage s3://bucket/mnist" in told
    assert "credentials" in told.lower()


def test_what_is_missing_is_one_line(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert main(["submit"]) == 2
    assert capsys.readouterr().err.startswith("error: which cluster? Give --address")
