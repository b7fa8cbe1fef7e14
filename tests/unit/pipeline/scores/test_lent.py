"""What an evaluation is lent, when nothing is said of it."""

from pathlib import Path

import pytest

from pipeline.scores.means import means
from pipeline.storage.store import Storage


def test_by_default_it_is_silent_on_the_cpu_and_keeps_judges_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lent = means(Storage(tmp_path), threads=1)
    lent.told("a step", 0, 0)
    assert capsys.readouterr().out == ""
    assert (lent.device, lent.precision) == ("cpu", "auto")
    assert lent.kept is not lent.judges
