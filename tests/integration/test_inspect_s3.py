"""`sgan inspect` and `prepare` of what lies in S3, against a real server over HTTP: the same."""

import json
import re
from pathlib import Path

import boto3
import pytest

from pipeline.cli import main
from pipeline.data.manifest import Manifest
from pipeline.data.preparing import prepare
from pipeline.params.compose import compose
from pipeline.params.loading import from_values
from tests.fuzz_corpus import Files, pack, seeds
from tests.servers import S3Server

pytestmark = pytest.mark.integration
SEEDS = seeds()
BUCKET = "people"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = S3Server(tmp_path_factory.mktemp("s3"))
    running.start()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=running.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        for prefix, files in objects().items():
            for name, content in files.items():
                client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=content)
        yield running
    finally:
        running.kill()


def objects() -> dict[str, Files]:
    """What lies below each prefix."""
    odd = {"cat": "kočka 1+1=2 & 100%", "dog": "猫"}
    folder = {f"{odd[path[:3]]}/{path[4:]}": one for path, one in SEEDS["folder"].files.items()}
    shard = pack("a.tar", SEEDS["shard"].files)
    packed = pack("a.tar.gz", SEEDS["shard-names"].files)
    return {
        "folder": folder | {"README.md": b"text", f"{odd['cat']}/": b""},
        "splits": dict(SEEDS["splits"].files),
        "csv": SEEDS["csv"].files,
        "tars": {"pets.tar": pack("a.tar", SEEDS["tar"].files), "notes.txt": b"text"},
        "shards": {f"train-{n:03}.tar": shard for n in range(3)} | {"other.tar": b"damaged"},
        "packed": {"train-0.tar.gz": packed},
        "tables": {"data/train-0.parquet": SEEDS["parquet-features"].files["train.parquet"]},
        "npz": {"set.npz": pack("a.npz", SEEDS["npz"].files)},
        "empty": {"README.md": b"text"},
    }


@pytest.fixture(autouse=True)
def environment(monkeypatch, server, tmp_path: Path) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))


CASES = {
    "folder": ("folder", "s3", ["kočka 1+1=2 & 100%", "猫"], 6),
    "splits": ("folder", "s3", ["cat", "dog"], 12),
    "csv": ("folder", "s3", ["cat", "dog"], 6),
    "tars/pets.tar": ("folder", "tar", ["cat", "dog"], 6),
    "shards/train-{000..001}.tar": ("webdataset", "folder", ["0", "1"], 12),
    "shards/train-*.tar": ("webdataset", "folder", ["0", "1"], 18),
    "packed": ("webdataset", "s3", ["cat", "dog"], 6),
    "tables": ("parquet", "s3", ["cat", "dog"], 6),
    "npz/set.npz": ("npz", "file", ["cat", "dog"], 6),
}


@pytest.mark.parametrize("key", CASES)
def test_what_is_inspected_is_prepared(capsys, tmp_path: Path, key: str) -> None:
    source = f"s3://{BUCKET}/{key}"
    assert main(["inspect", source, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    form, place, classes, images = CASES[key]
    assert (said["form"], said["place"], said["classes"]) == (form, place, classes)
    assert said["images_read"] == images
    if place == "s3":
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert main(["inspect", source, "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    params = from_values(compose(["data=custom", "data.source=x", "nets=pyramid", "budget=smoke"]))
    lines: list[str] = []
    prepare(params, tmp_path / "out", source, lines.append)
    assert source in lines[0]  # and not where it was fetched to
    manifest = Manifest.load(tmp_path / "out")
    assert list(manifest.classes) == classes
    assert manifest.rows("train") + manifest.rows("test") == images


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("nowhere", r"nothing at s3://people/nowhere"),
        ("empty", r"s3://people/empty has no known format"),
        ("shards/other.tar", r"error: s3://people/shards/other\.tar: truncated"),
        ("shards/train-{000..004}.tar", r"names 5 files, of which 3 are there"),
    ],
)
def test_what_cannot_be_read_is_one_line(capsys, key: str, said: str) -> None:
    assert main(["inspect", f"s3://{BUCKET}/{key}"]) == 2
    *_, told = capsys.readouterr().err.splitlines()  # behind what was fetched
    assert told.startswith("error: ") and len(told) < 620
    assert re.search(said, told), told
