"""A short go of `make chaos`: one stage on nodes that share no files, killed at seeded moments."""

import subprocess
import sys

import pytest

from tests.cluster_rig import end_tree, why_not
from tests.project import ROOT

# `make chaos` does the same, longer.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.slow]


@pytest.mark.skipif(why_not() != "", reason=why_not() or "-")
def test_levels_end_as_if_nothing_had_died(project, tmp_path):
    """The same bits as from this machine's own Ray, where nothing died."""
    project.edit(runtime={"checkpoint_seconds": 0.5, "progress": "plain"})
    command = [sys.executable, "-m", "tests.chaos", "--seed", "3", "--kills", "3"]
    command += ["--only", "worker", "hub", "Ctrl-C", "--storage", "disk", "--pause", "0.5", "2"]
    command += ["--gone", "45"]  # beside other tests; 10 s are for an idle machine
    command += ["--base", str(project.root), "--target=--force --single-item levels"]
    command += ["--report", str(tmp_path / "report.md")]
    log = tmp_path / "chaos.log"
    with open(log, "w") as out:
        chaos = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        assert chaos.wait() == 0, log.read_text()
    finally:
        end_tree(chaos)
    report = (tmp_path / "report.md").read_text()
    assert "3 kills" in report.splitlines()[0]
    assert "Everything held." in report
