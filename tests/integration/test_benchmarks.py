"""Every benchmark runs, at the tiniest size: so that none rots. Their figures say nothing here."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import ROOT
from benchmarks.suite import SET, Entry

pytestmark = pytest.mark.integration

RECIPE_AB = ["--images", "200", "--seeds", "1", "--samples", "100", "--level", "1"]
RECIPE_AB += ["--only", "base"]


@pytest.fixture(autouse=True)
def _as_from_a_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the checkout, as `python -m benchmarks.…` is; what a benchmark sets for its own process
    (addresses of servers, threads) does not reach the next test."""
    import torch

    monkeypatch.chdir(ROOT)
    environment, threads = dict(os.environ), torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    """Scores over few pairs, subsets and draws: they are not the subject."""
    from tests import lighter

    with pytest.MonkeyPatch.context() as patch:
        lighter.few_pairs(patch)
        lighter.few_subsets(patch, 5)
        lighter.few_draws(patch)
        yield


@pytest.mark.parametrize("entry", SET, ids=lambda entry: entry.name)
def test_one_of_the_set_gives_its_rows(entry: Entry) -> None:
    if entry.cores > len(os.sched_getaffinity(0)):
        pytest.skip(f"{entry.cores} cores are needed")
    rows = entry.rows(entry.tiny)
    assert rows
    for row in rows:
        assert row.benchmark == entry.name
        assert row.ours is not None and np.isfinite(row.ours)
        assert bool(row.opponent) == (row.theirs is not None)
        assert row.cells()


@pytest.fixture(scope="module")
def judged(material: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the small set, E, its features and the levels, none of them trained, whose
    judge and figures of real images are kept."""
    from benchmarks import recipe_ab
    from pipeline import paths
    from pipeline.params.compose import compose
    from pipeline.params.loading import from_values
    from sgan.training.assembly import independent
    from sgan.weights import load_encoder

    root = tmp_path_factory.mktemp("judged") / "project"
    shutil.copytree(material["data"], root / paths.DATA)
    for target, name in ((paths.ENCODER_WEIGHTS, "encoder"), (paths.FEATURES_FILE, "features")):
        (root / target).parent.mkdir(parents=True)
        shutil.copy(material[name], root / target)
    small = ["data=mnist_small", "budget=smoke", "evaluate.judge_epochs=0.5"]
    small += ["runtime.threads.judge=1"]
    params = from_values(compose(small, root / paths.PARAMS, ROOT / "conf"))
    encoder = load_encoder(root / paths.ENCODER_WEIGHTS)
    config = params.stack_config(encoder.image)
    (root / paths.level_weights(0)).parent.mkdir(parents=True)
    for i in range(2):
        task = independent(config, i, encoder.state_dict())
        task.save(root / paths.level_weights(i), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        recipe_ab.main([*RECIPE_AB, "--out", str(root / "ab.jsonl")])
    return root


@pytest.fixture
def untrained(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(judged, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_recipe_ab_trains_a_level_and_keeps_its_row(untrained: Path) -> None:
    from benchmarks import recipe_ab

    out = untrained / "ab.jsonl"
    (line,) = out.read_text().splitlines()
    assert '"fid_judge"' in line
    recipe_ab.main([*RECIPE_AB, "--out", str(out)])
    assert out.read_text().splitlines() == [line]


@pytest.mark.usefixtures("untrained")
def test_joint_ab_pairs_a_variant_with_levels_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import joint_ab

    out, half = tmp_path / "ab.jsonl", "half of h_{i+1} the encoder's"
    size = ["--images", "100", "200", "--joint", "100", "--seeds", "1", "--samples", "100"]
    arguments = [*size, "--only", half, "--out", str(out)]
    joint_ab.main(arguments)
    lines = out.read_text().splitlines()
    assert [json.loads(line)["variant"] for line in lines] == [joint_ab.ALONE, half]
    capsys.readouterr()
    joint_ab.main(arguments)
    assert out.read_text().splitlines() == lines
    head, _, *table = capsys.readouterr().out.splitlines()
    assert head.startswith("| variant | seeds |") and len(table) == 2


@pytest.mark.usefixtures("untrained")
def test_joint_ab_trains_only_the_levels_that_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import joint_ab

    trained = []
    fit = joint_ab.fit
    monkeypatch.setattr(joint_ab, "fit", lambda *a: (trained.append(a[1].stack.active), fit(*a))[1])
    common = ["--joint", "100", "--seeds", "1", "--samples", "100", "--only", joint_ab.START]
    common += ["--keep", str(tmp_path / "kept"), "--out", str(tmp_path / "ab.jsonl")]
    joint_ab.main(["--images", "100", "200", *common])
    assert sorted(trained) == [(0,), (0,), (1,), (1,)]
    trained.clear()
    joint_ab.main(["--images", "100", "250", *common])  # level 1 with 250, and 250 + 100
    assert sorted(trained) == [(1,), (1,)]
    found = [json.loads(line) for line in (tmp_path / "ab.jsonl").read_text().splitlines()]
    assert [row["variant"] for row in found] == 2 * [joint_ab.ALONE, joint_ab.START]


@pytest.fixture
def small_dcgan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The DCGAN of time_to_quality and those of tune_dcgan, of a step that takes milliseconds."""
    from benchmarks import contenders, dcgan, tune_dcgan

    def small(settings: dcgan.Settings) -> dcgan.Settings:
        return replace(settings, batch=16, features=8)

    tuned = partial(contenders.dcgan, settings=small(dcgan.TUNED))
    contender = replace(contenders.CONTENDERS["dcgan"], train=tuned)
    monkeypatch.setitem(contenders.CONTENDERS, "dcgan", contender)
    monkeypatch.setattr(tune_dcgan, "CANDIDATES", tuple(map(small, tune_dcgan.CANDIDATES)))


@pytest.mark.usefixtures("untrained", "small_dcgan")
def test_time_to_quality_measures_each_method_once(tmp_path: Path) -> None:
    from benchmarks import time_to_quality, tune_dcgan

    arguments = ["--seeds", "1", "--samples", "200", "--threads", "1", "--out", str(tmp_path)]
    rows = time_to_quality.main([*arguments, "--minutes", "0.02"])
    rows = time_to_quality.main([*arguments, "--minutes", "0.01", "0.02", "--methods", "dcgan"])
    assert [row["method"] for row in rows] == ["stack", "authors", "one-gan", "dcgan", "dcgan"]
    for row in rows:
        assert row["seconds"] >= 60 * row["minutes"] > 0
        assert sum(row["images"].values()) > 0
        assert all(np.isfinite(row["values"][name]) for name in time_to_quality.SHOWN)
        assert row["real"]["fid"] < row["values"]["fid"]
    kept = (tmp_path / "rows.jsonl").read_text()
    assert time_to_quality.main([*arguments, "--minutes", "0.02"]) == rows

    tries = ["--minutes", "0.002", "0.004", "--samples", "100", "--candidates", "2"]
    tries += ["--out", str(tmp_path / "tried.jsonl")]
    tried = tune_dcgan.main(tries)
    assert [row["minutes"] for row in tried] == [0.002, 0.002, 0.004, 0.004]
    assert tune_dcgan.main(tries) == tried
    assert (tmp_path / "rows.jsonl").read_text() == kept
    assert (tmp_path / "plot.png").is_file()
