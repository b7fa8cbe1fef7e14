"""Where weights come from; a registry's versions are in tests/integration/test_serve.py."""

import os

import pytest

from pipeline.errors import UserError
from pipeline.serving.sources import RegisteredModel, WeightsFile, source


def test_a_file_written_again_is_another_version(tmp_path):
    path = tmp_path / "s.safetensors"
    path.write_bytes(b"a")
    file = WeightsFile(path)
    first = file.version()
    assert file.version() == first
    os.utime(path, ns=(1, 1))
    assert file.version() != first
    with file.weights(first) as found:
        assert found == path


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"no\.safetensors: No such file or directory; train first"):
        WeightsFile(tmp_path / "no.safetensors").version()


def test_what_names_the_weights_to_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    own = source(None, None)
    assert own.told("1") == ""
    assert WeightsFile(tmp_path / "a b").told("1") == f"--weights '{tmp_path}/a b'"


@pytest.mark.parametrize("address", ["sgan-mnist", "models:/a", "models:/a/b/3", "runs:/1/x"])
def test_what_is_no_address(address):
    with pytest.raises(UserError, match="must be models:/NAME@ALIAS or models:/NAME/VERSION"):
        RegisteredModel(address)
