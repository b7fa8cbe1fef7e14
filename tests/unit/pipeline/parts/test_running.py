"""Parts on Ray, as far as it needs no Ray. Training: tests/integration/test_cluster.py."""

from pipeline.parts import running


def test_a_person_reads_the_last_line_of_a_traceback() -> None:
    error = RuntimeError("Traceback (most recent call last):\n  File ...\nOSError: disk full\n")
    assert running._last_line(error) == "OSError: disk full"
