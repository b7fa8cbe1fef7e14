"""The stage is off unless asked for, and then touches nothing but its own file."""

import json
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.errors import UserError
from pipeline.stages import promote


def test_it_is_off_by_default(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promote.main()
    written = json.loads((project / paths.metrics_file("promote")).read_text())
    assert written == {"outcome": "off"}
    assert capsys.readouterr().out == "promote: off (promote.enabled)\n"


def test_asked_for_it_needs_a_registered_stack(project: Path, edit) -> None:
    edit("promote", enabled=True)
    with pytest.raises(UserError, match="sgan-custom: no version 'challenger' in the registry"):
        promote.main()
    assert not (project / paths.metrics_file("promote")).exists()
