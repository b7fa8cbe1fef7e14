"""What a sentence may hold of a request."""

from pipeline.serving.errors import Refused, shown


def test_a_value_is_shown_in_ascii_and_short():
    assert shown("drei") == "'drei'"
    assert shown("\ud800é\n") == "'\\ud800\\xe9\\n'"
    assert len(shown("x" * 1000)) == 61


def test_a_refusal_has_its_status():
    error = Refused(422, "count 0: must be 1 or more")
    assert (error.status, str(error)) == (422, "count 0: must be 1 or more")
