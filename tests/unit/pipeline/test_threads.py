"""Threads of the numerics: set for a block, and put back whatever happens in it."""

import pytest
import torch

from pipeline.threads import on_threads


def test_a_block_has_its_threads() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError), on_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError
    assert torch.get_num_threads() == before
