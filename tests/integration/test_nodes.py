"""Nodes that share nothing: every stage there gives the bits that it gives here, by content."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest

from pipeline.cluster.session import Session, session
from pipeline.cluster.supply import Bundle
from pipeline.errors import UserError
from pipeline.parts import running
from pipeline.parts.supplying import supplied
from pipeline.parts.worker import train_part
from pipeline.storage.store import Storage
from tests.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def scores(root: Path) -> dict[str, tuple[float | None, str | None]]:
    """Every score's value, and the digest of its judge."""
    found = json.loads((root / "artifacts/evaluate/scores.json").read_text())
    return {s["key"]: (s["value"], s["protocol"].get("judge_sha256")) for s in found}


@pytest.mark.slow  # a whole `dvc repro` on three nodes of one core
def test_the_whole_pipeline_with_storage_on_the_driver_s_disk(
    trained, nodes_apart, project, monkeypatch
):
    """No S3, no common folder: inputs, checkpoints, features, judge and sheets all travel."""
    for name in ("artifacts", ".runs", "metrics", "plots", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project.root / name, ignore_errors=True)
    (project.root / "dvc.lock").unlink()
    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    assert project.repro() == trained.ran
    assert project.records() == trained.records()
    assert project.digests() == trained.digests()
    assert scores(project.root) == scores(trained.root)
    assert len(list((project.root / ".runs/judge").iterdir())) == 1, "brought to the driver's disk"
    assert not list((project.root / ".runs").glob(".tmp-*-*"))


@pytest.fixture
def connected(nodes_apart, tmp_path, monkeypatch) -> Iterator[Session]:
    """A session with storage on this test's disk, through which 100 kB of inputs fit."""
    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    with session(Storage(tmp_path / "runs"), object_limit=100_000) as found:
        yield found


def test_what_is_above_the_limit_needs_s3_or_a_path_that_every_node_has(
    connected, make_part, tmp_path
):
    with pytest.raises(UserError, match=r"does not fit .*not every node has it"):
        supplied(make_part(0, total_images=100), connected.supply)
    common = Path(np.__file__)
    large = tmp_path / "large"
    shutil.copy(common, large)
    everywhere = Bundle(common, hashlib.sha256(common.read_bytes()).hexdigest())
    connected.supply._limit = 0
    connected.supply.send([everywhere])
    assert connected.supply.address(everywhere) == str(common)


def test_a_part_on_s3_alone_has_the_weights_that_it_has_here(
    nodes_apart, make_part, tmp_path, monkeypatch
):
    server = S3Server(tmp_path)
    server.start()
    try:
        here = train_part(make_part(0, total_images=200), lambda *report: None)
        for name, value in {**nodes_apart.environment(), **server.environment()}.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="runs")
        with session(Storage("s3://runs/there"), object_limit=0) as connected:
            part = make_part(0, total_images=200, storage="s3://runs/there")
            part = supplied(part, connected.supply).placed(storage=connected.storage)
            assert part.placement.inputs["data"].startswith("s3://runs/there/inputs/")
            ready = running.preflight([part], lambda text: None)
            there = running.train(ready, lambda r: None, lambda *_: None, lambda: False)["level0"]
            assert there["weights_sha256"] == here["weights_sha256"]
            assert there["record"] == here["record"]
            assert not there["reused"]
            # Another's bytes under the digest that the address names.
            (encoder,) = (k for k in Storage("s3://runs/there").list("inputs") if "encoder" in k)
            boto3.client("s3").put_object(Bucket="runs", Key=f"there/{encoder}", Body=b"others'")
            again = make_part(1, total_images=100, storage="s3://runs/there")
            again = supplied(again, connected.supply).placed(storage=connected.storage)
            with pytest.raises(UserError, match="which is not the one in its address"):
                running.train(
                    running.preflight([again], lambda text: None),
                    *(lambda r: None, lambda *_: None, lambda: False),
                )
    finally:
        server.kill()
    assert os.environ["RAY_ADDRESS"]
