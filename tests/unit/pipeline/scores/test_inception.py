"""The Inception trunk without its weights: shape, resize, folding, and rows when it is missing."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.scores import standard, wheels
from pipeline.scores.cifar10_networks import ResNet56, Vgg16, vgg16_names
from pipeline.scores.distribution import LABELS
from pipeline.scores.inception import Inception, load_inception, resize
from pipeline.scores.inception_network import (
    LAST_LAYER,
    InceptionTrunk,
    fidelity_name,
    fold,
    from_frozen_graph,
)
from pipeline.scores.indomain import RealImages, Samples


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return InceptionTrunk().state_dict()


def test_the_trunk_has_the_published_size(state: dict[str, torch.Tensor]) -> None:
    # 21,785,568 as published without the last layer; folding saves one of batch norm's vectors
    assert sum(value.numel() for value in state.values()) == 21_785_568 - 17_216
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    seen: list[tuple[int, int]] = []
    inception = Inception(state, "test")
    features = inception.features(images, lambda *said: seen.append(said))
    assert features.shape == (2, 2048) and np.isfinite(features).all() and seen == [(2, 2)]
    assert inception.logits(features) is None
    assert inception.protocol()["judge_sha256"] == inception.digest


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3)])
def test_the_resize_is_tensorflow_1s(shape: tuple[int, int, int]) -> None:
    """Against sampling with an affine grid shifted by half a pixel less, as NVIDIA's FID does."""
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    theta = torch.eye(2, 3)
    theta[0, 2] = 1 / shape[1] - 1 / 299
    theta[1, 2] = 1 / shape[0] - 1 / 299
    where = functional.affine_grid(
        theta[None].repeat(2, 1, 1), [2, shape[2], 299, 299], align_corners=False
    )
    expected = functional.grid_sample(pixels, where, padding_mode="border", align_corners=False)
    expected = ((expected - 128) / 128).expand(-1, 3, -1, -1)
    torch.testing.assert_close(resize(images, torch.device("cpu")), expected, atol=1e-4, rtol=0)


def test_folding_is_batch_norm() -> None:
    torch.manual_seed(0)
    weight, mean, beta = torch.randn(4, 3, 3, 3), torch.randn(4), torch.randn(4)
    variance, gamma, x = torch.rand(4) + 0.1, torch.rand(4), torch.randn(2, 3, 8, 8)
    plain = functional.batch_norm(
        functional.conv2d(x, weight), mean, variance, gamma, beta, eps=1e-3
    )
    folded = functional.conv2d(x, *fold(weight, mean, variance, beta, gamma))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-5)


def test_names_of_other_files_are_read(state: dict[str, torch.Tensor]) -> None:
    units = [name.removesuffix(".conv.weight") for name in state if name.endswith("weight")]
    assert len(units) == 94 == len({fidelity_name(unit) for unit in units})
    assert fidelity_name("mixed_9.tower_1_mixed_conv_1") == "Mixed_7b.branch3x3dbl_3b"
    assert fidelity_name("mixed_8.tower_1.conv_3") == "Mixed_7a.branch7x7x3_4"
    frozen = {}
    for unit in units:
        outputs = len(state[f"{unit}.conv.weight"])
        frozen[f"net.layers.{unit}.weight"] = state[f"{unit}.conv.weight"]
        frozen[f"net.layers.{unit}.mean"] = torch.zeros(outputs)
        frozen[f"net.layers.{unit}.var"] = torch.full((outputs,), 1 - 1e-3)
        frozen[f"net.layers.{unit}.beta"] = state[f"{unit}.conv.bias"]
    ours = from_frozen_graph(frozen | {"output.weight": torch.zeros(1008, 2048)})
    assert set(ours) == set(state)  # a last layer of zeros counts as missing
    torch.testing.assert_close(
        ours["mixed_4.tower.conv_1.conv.weight"], state["mixed_4.tower.conv_1.conv.weight"]
    )
    last = torch.ones(1008, 2048)
    assert LAST_LAYER in from_frozen_graph(frozen | {"output.weight": last})


def test_without_weights_every_row_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UserError("no source answered")

    monkeypatch.setattr(standard, "load_inception", refuse)
    images = np.zeros((2000, 8, 8, 1), np.uint8)
    one = Samples(images, np.zeros(2000, np.int64), 1)
    rows = standard.standard_scores([one], None, "unused")  # type: ignore[arg-type]
    assert [row.key for row in rows] == [f"{key}_2k" for key in (*LABELS, "is")]
    assert {row.text() for row in rows} == {"not measured: no source answered"}


def test_real_images_are_at_their_floor(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    labels = np.zeros(8, np.int64)
    real = RealImages(images[:8], labels, images[8:], labels, ("all",), "digest")
    last = torch.randn(1008, 2048, generator=torch.Generator().manual_seed(0))
    inception = Inception(state | {LAST_LAYER: last}, "test")
    found = standard.measure(images[8:], real, inception, tmp_path, ema=True)
    scores = {score.key: score for score in found}
    for key in LABELS:
        score = scores[f"{key}_8"]
        assert score.value == pytest.approx(score.real, rel=1e-6), key
        assert (score.protocol["n_real"], score.protocol["ema"]) == (8, True)
    assert scores["is_8"].why == "ten splits need ten images or more"
    logits = inception.logits(np.ones((1, 2048), np.float32))
    assert logits is not None
    np.testing.assert_allclose(logits[0], last.sum(1).numpy(), rtol=1e-3, atol=1e-3)


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_from_the_last_part(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard, "CHUNK", 2)
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    labels = np.zeros(5, np.int64)
    real = RealImages(images, labels, images, labels, ("all",), "digest")
    inception = Inception(state, "test")
    whole = inception.features(images)

    def stop(split: str, done: int, total: int) -> None:
        if done > 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        standard.real_features(images, "train", real, inception, tmp_path, stop)
    assert len(list(tmp_path.iterdir())) == 1
    said: list[tuple[str, int, int]] = []
    computed: list[int] = []
    features = inception.features
    monkeypatch.setattr(
        inception, "features", lambda part, told: computed.append(len(part)) or features(part, told)
    )
    found = standard.real_features(
        images, "train", real, inception, tmp_path, lambda *one: said.append(one)
    )
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert computed == [2, 1]  # not the first two images
    assert said[0] == ("train", 2, 5) and said[-1] == ("train", 5, 5)
    assert len(standard.real_features(images[:2], "train", real, inception, tmp_path)) == 2
    assert computed == [2, 1]


def test_several_sample_sets_are_combined(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    labels = np.zeros(8, np.int64)
    real = RealImages(images[:8], labels, images[8:16], labels, ("all",), "digest")
    monkeypatch.setattr(standard, "load_inception", lambda *_, **__: Inception(state, "test"))
    samples = [Samples(images[8:16], labels, 3), Samples(images[16:], labels, 4)]
    said: list[tuple[str, int, int]] = []
    rows = standard.standard_scores(
        samples, real, tmp_path, told=lambda *one: said.append(one), neighbours=2
    )
    assert rows[0].key == "fid_8" and rows[0].repeats == 2 and rows[0].sd is not None
    assert rows[0].protocol["seeds"] == [3, 4]
    assert [one for one in said if one[0] == "samples"] == [("samples", 8, 16), ("samples", 16, 16)]


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_inception(str(tmp_path / "none.pth"))
    for name in ("a.pth", "a.pt", "a.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(UserError, match="is no Inception 2015-12-05 file"):
            load_inception(str(tmp_path / name))


def test_a_pth_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save(Evil(), tmp_path / "evil.pth")
    with pytest.raises(UserError, match="is no Inception"):
        load_inception(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_published_networks_have_their_sizes() -> None:
    count = {type(net): sum(p.numel() for p in net.parameters()) for net in (ResNet56(), Vgg16())}
    assert count == {ResNet56: 855_770, Vgg16: 14_991_946}
    net = ResNet56().eval()
    assert net.classify(net.features(torch.zeros(1, 3, 32, 32))).shape == (1, 10)
    assert vgg16_names("classifier.5.bias") == "last.bias"
    assert vgg16_names("classifier.2.running_var") == "hidden.2.running_var"


def test_a_wheel_of_another_digest_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(wheel: wheels.Wheel, folder: Path) -> None:
        with zipfile.ZipFile(folder / "x-1-py3-none-any.whl", "w") as archive:
            archive.writestr("inside.txt", "content")

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(wheels, "_pip_download", pretend)
    wheel = wheels.Wheel("x", "1", "0" * 64)
    with pytest.raises(UserError, match="expected 0000"):
        wheels.fetch(wheel)
    assert not list(tmp_path.rglob("*.whl"))
    pretend(wheel, tmp_path)
    digest = wheels._sha256(tmp_path / "x-1-py3-none-any.whl")
    good = wheels.Wheel("x", "1", digest)
    assert wheels.member(good, "inside.txt", tmp_path / "out.txt").read_text() == "content"
    with pytest.raises(UserError, match=r"holds no file other\.txt"):
        wheels.member(good, "other.txt", tmp_path / "other.txt")
    assert not (tmp_path / "other.txt").exists()


def test_a_source_archive_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(wheel: wheels.Wheel, folder: Path) -> None:
        (folder / "inside.txt").write_text("content")
        with tarfile.open(folder / "x-1.tar.gz", "w:gz") as archive:
            archive.add(folder / "inside.txt", "x-1/inside.txt")
            archive.add(folder, "x-1/folder", recursive=False)

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(wheels, "_pip_download", pretend)
    pretend(wheels.Wheel("x", "1", ""), tmp_path)
    kept = tmp_path / "cache" / "wheels" / "x-1.tar.gz"
    kept.parent.mkdir(parents=True)
    (tmp_path / "x-1.tar.gz").rename(kept)
    wheel = wheels.Wheel("x", "1", wheels._sha256(kept), ".tar.gz")
    out = tmp_path / "out.txt"
    assert wheels.member(wheel, "x-1/inside.txt", out).read_text() == "content"
    for absent in ("x-1/other.txt", "x-1/folder"):
        with pytest.raises(UserError, match=f"holds no file {absent}"):
            wheels.member(wheel, absent, tmp_path / "none")


def test_pip_is_given_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses another file by itself, before it looks into it (a source archive has code)."""
    said: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        said[:] = command
        pinned = Path(command[command.index("--requirement") + 1]).read_text()
        assert pinned == f"x==1 --hash=sha256:{'0' * 64}\n"
        return subprocess.CompletedProcess(command, 1, "", "ERROR: THESE DO NOT MATCH THE HASHES")

    monkeypatch.setattr(wheels.subprocess, "run", run)
    for suffix, binary in ((".whl", True), (".tar.gz", False)):
        wheel = wheels.Wheel("x", "1", "0" * 64, suffix)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="x==1: ERROR: THESE DO NOT MATCH"):
            wheels._pip_download(wheel, tmp_path)
        assert "--require-hashes" in said and ("--only-binary" in said) == binary
