"""How far a piece of work beside others is. On a Ray: tests/integration/test_beside.py."""

import time

import pytest

from pipeline.cluster.beside import _Piece


def test_a_piece_is_as_old_as_its_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    piece = _Piece()
    assert piece.seconds == 0 and not piece.is_mostly_done
    ages = []
    for seconds, done in ((0, 10), (5, 49), (2, 50)):
        clock[0] += seconds
        piece = piece.at("judge", done, 100)
        ages.append((piece.seconds, piece.is_mostly_done))
    assert ages == [(0, False), (5, False), (7, True)]
    clock[0] += 1
    assert piece.at("floors", 0, 0) == _Piece("floors", 18.0, 0, 0)


@pytest.mark.parametrize(("done", "total"), [(0, 0), (0, 10), (4, 10)])
def test_what_counts_nothing_or_little_is_not_mostly_done(done: int, total: int) -> None:
    assert not _Piece().at("piece", done, total).is_mostly_done
