"""Data and storage on S3, against a real server over HTTP, also where the wire breaks."""

import contextlib
import os
import re
import socket
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import opening, shard_writer, shards, sources
from pipeline.data.dataset import data_digest
from pipeline.errors import UserError
from pipeline.storage import s3
from pipeline.storage.store import Storage
from tests.servers import S3Server
from tests.sources import Settings as SourceSettings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MNIST_SMALL = ROOT / "tests" / "data" / "mnist-small"
CONTENT = np.random.default_rng(0).bytes(3_000_000)
PAGE = 100  # keys in a page of the server's listings; S3 itself puts a thousand there


Settings = partial(SourceSettings, shard_images=300, block_images=100)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of one whose listings have pages of PAGE keys."""
    made = S3Server(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
        made.start()
    yield made.port
    made.kill()


@pytest.fixture(autouse=True)
def environment(monkeypatch, server, tmp_path, request):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "1")


@pytest.fixture
def bucket(request):
    name = "b-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    s3.client().create_bucket(Bucket=name)
    return name


@dataclass
class CuttingProxy:
    """A TCP proxy that cuts the connection after ``after`` bytes of an answer, ``cuts`` times."""

    target: int
    after: int
    cuts: int
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> "CuttingProxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                upstream = socket.create_connection(("127.0.0.1", self.target))
                for work in (self._ask, self._answer):
                    threading.Thread(target=work, args=(client, upstream), daemon=True).start()

    def _ask(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := client.recv(65536):
                self.requests.append(content.decode("latin1"))
                upstream.sendall(content)
            upstream.shutdown(socket.SHUT_WR)

    def _answer(self, client: socket.socket, upstream: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while content := upstream.recv(16384):
                client.sendall(content)
                passed += len(content)
                if self.cuts > 0 and passed > self.after:
                    self.cuts -= 1
                    break
        for end in (client, upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def headers(self, name: str) -> list[str]:
        """The values of a header over all requests."""
        return re.findall(rf"(?im)^{name}: (.+?)\r$", "".join(self.requests))


@pytest.fixture
def cutting(server, monkeypatch):
    with contextlib.ExitStack() as stack:

        def start(after: int, cuts: int) -> CuttingProxy:
            proxy = stack.enter_context(CuttingProxy(server, after, cuts))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            return proxy

        yield start


def test_put_get_list_delete(bucket, tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    s3.put_file(tmp_path / "a", f"s3://{bucket}/x/a")
    s3.put_bytes(b"small", f"s3://{bucket}/x/b")
    assert s3.get_bytes(f"s3://{bucket}/x/b") == b"small"
    s3.get_file(f"s3://{bucket}/x/a", tmp_path / "deep" / "back")
    assert (tmp_path / "deep" / "back").read_bytes() == CONTENT
    listed = s3.list_objects(f"s3://{bucket}/x/")
    assert [(entry.key, entry.size) for entry in listed] == [("x/a", 3_000_000), ("x/b", 5)]
    assert s3.exists(f"s3://{bucket}/x/a")
    s3.delete(f"s3://{bucket}/x/a")
    assert not s3.exists(f"s3://{bucket}/x/a")
    with pytest.raises(FileNotFoundError, match="x/a does not exist"):
        s3.get_bytes(f"s3://{bucket}/x/a")


def test_empty_object(bucket, tmp_path):
    s3.put_bytes(b"", f"s3://{bucket}/empty")
    assert s3.get_bytes(f"s3://{bucket}/empty") == b""


def test_more_than_one_page_of_a_listing(bucket):
    for number in range(2 * PAGE + 5):
        s3.put_bytes(b"", f"s3://{bucket}/n/{number:05d}")
    assert len(s3.list_objects(f"s3://{bucket}/n/")) == 2 * PAGE + 5


def test_broken_body_resumes_with_range_and_if_match(bucket, cutting, tmp_path):
    uri = f"s3://{bucket}/a"
    s3.put_bytes(CONTENT, uri)
    etag = s3.list_objects(uri)[0].etag
    proxy = cutting(after=1_000_000, cuts=2)
    s3.get_file(uri, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert proxy.cuts == 0, "the proxy was to cut twice"
    starts = [int(value.removeprefix("bytes=").rstrip("-")) for value in proxy.headers("Range")]
    assert len(starts) == 2 and 0 < starts[0] < starts[1] < len(CONTENT)
    assert proxy.headers("If-Match") == [etag, etag]


def test_object_replaced_in_the_middle_is_an_error_not_a_mixture(bucket, cutting, monkeypatch):
    uri = f"s3://{bucket}/a"
    s3.put_bytes(CONTENT, uri)
    direct = os.environ["AWS_ENDPOINT_URL"]
    cutting(after=1_000_000, cuts=1)
    through = os.environ["AWS_ENDPOINT_URL"]
    with s3.open_stream(uri) as stream:
        assert stream.read(1000) == CONTENT[:1000]
        monkeypatch.setenv("AWS_ENDPOINT_URL", direct)
        s3.put_bytes(CONTENT[::-1], uri)
        monkeypatch.setenv("AWS_ENDPOINT_URL", through)
        with pytest.raises(UserError, match="replaced while it was being read"):
            stream.read()


def test_body_that_never_comes_is_an_error(bucket, cutting, monkeypatch, tmp_path):
    uri = f"s3://{bucket}/a"
    s3.put_bytes(CONTENT, uri)
    cutting(after=1_000_000, cuts=1)
    with s3.open_stream(uri) as stream:
        assert stream.read(1000) == CONTENT[:1000]
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(UserError, match="Check AWS_ENDPOINT_URL"):
            stream.read()


@pytest.mark.timeout(90)
def test_no_server_and_no_bucket(monkeypatch, bucket):
    with pytest.raises(UserError, match=r"s3://no-such-bucket/x.*NoSuchBucket"):
        s3.put_bytes(b"", "s3://no-such-bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"Check AWS_ENDPOINT_URL \(http://127\.0\.0\.1:9\)"):
        s3.get_bytes(f"s3://{bucket}/x")


def test_data_source_is_a_prefix_or_an_archive(bucket, tmp_path):
    expected, _ = sources.load(Settings(source=str(MNIST_SMALL)))
    for path in MNIST_SMALL.iterdir():
        s3.put_file(path, f"s3://{bucket}/sets/mnist/{path.name}")
    s3.put_bytes(b"another set", f"s3://{bucket}/sets/mnist-other/readme")
    for source in (f"s3://{bucket}/sets/mnist", f"s3://{bucket}/sets/mnist/"):
        dataset, provenance = sources.load(Settings(source=source))
        assert data_digest(dataset) == data_digest(expected) and provenance.origin == source
    np.savez(
        tmp_path / "a.npz", images=expected.train_images[:500], labels=expected.train_labels[:500]
    )
    s3.put_file(tmp_path / "a.npz", f"s3://{bucket}/a.npz")
    dataset, _ = sources.load(Settings(source=f"s3://{bucket}/a.npz"))
    assert len(dataset.train_images) + len(dataset.test_images) == 500
    with pytest.raises(UserError, match=rf"nothing at s3://{bucket}/set; correct"):
        sources.load(Settings(source=f"s3://{bucket}/set"))


def test_data_source_is_fetched_again_only_where_it_changed(bucket, cutting):
    uri = f"s3://{bucket}/set"
    for path in MNIST_SMALL.iterdir():
        s3.put_file(path, f"{uri}/{path.name}")
    first, _ = sources.load(Settings(source=uri))
    proxy = cutting(after=10**9, cuts=0)
    again, _ = sources.load(Settings(source=uri))
    assert data_digest(again) == data_digest(first)
    asked = [request.split("\r\n")[0] for request in proxy.requests]
    # Of this bucket: another test may still send to a port that it once had.
    assert [line for line in asked if bucket in line and "list-type=2" not in line] == []
    assert any(bucket in line for line in asked)
    labels = sorted(MNIST_SMALL.glob("t10k-labels*"))[0]
    s3.put_file(labels, f"{uri}/train-labels-idx1-ubyte.gz")
    with pytest.raises(UserError, match="2000 images but 500 labels"):
        sources.load(Settings(source=uri))


@pytest.fixture
def shards_in_bucket(bucket, tmp_path):
    opening.register("s3", s3.open_stream)
    dataset, _ = sources.load(Settings(source=str(MNIST_SMALL)))
    shard_writer.write(dataset, tmp_path / "data", Settings())
    for path in (tmp_path / "data").iterdir():
        s3.put_file(path, f"s3://{bucket}/data/{path.name}")
    return f"s3://{bucket}/data", tmp_path / "data", dataset


def test_shards_are_read_and_streamed_from_s3_as_from_disk(shards_in_bucket, cutting):
    remote, local, dataset = shards_in_bucket
    images, labels = shards.read_split(remote, "test")
    np.testing.assert_array_equal(images, dataset.test_images)
    np.testing.assert_array_equal(labels, dataset.test_labels)
    choices = {"window": 2, "seed": 7, "batch_size": 64, "start": 31, "stop": 62}
    proxy = cutting(after=150_000, cuts=3)
    there = list(shards.stream(remote, "train", **choices))
    here = list(shards.stream(local, "train", **choices))
    assert proxy.cuts == 0 and len(proxy.headers("Range")) == 3
    assert len(there) == len(here) == 31
    for one, other in zip(there, here, strict=True):
        for part in range(3):
            np.testing.assert_array_equal(one[part], other[part])


def test_corrupt_shard_in_s3_is_named(shards_in_bucket):
    remote, local, _ = shards_in_bucket
    content = bytearray((local / "train-00001.tar").read_bytes())
    content[70_000] ^= 1
    s3.put_bytes(bytes(content), f"{remote}/train-00001.tar")
    with pytest.raises(UserError, match=r"data/train-00001\.tar is corrupt"):
        shards.read_split(remote, "train")


def test_storage_on_s3_behaves_as_on_disk(bucket, tmp_path):
    (tmp_path / "local").write_bytes(CONTENT)
    seen = []
    for uri in (f"s3://{bucket}/runs", f"s3://{bucket}", str(tmp_path / "store")):
        storage = Storage(uri)
        storage.put_file(tmp_path / "local", "levels/level1/k/a.bin")
        storage.write_json("levels/level1/k/state.json", {"step": 7})
        storage.write_json("levels/level10/k/state.json", {"step": 8})
        storage.get_file("levels/level1/k/a.bin", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == CONTENT
        assert storage.read_json("levels/level1/k/state.json") == {"step": 7}
        assert storage.exists("levels/level1/k/a.bin") and not storage.exists("levels/level1")
        seen.append((storage.list("levels/level1"), storage.list("levels"), storage.list("none")))
        storage.delete("levels/level1/k/a.bin")
        storage.delete("levels/level1/k/a.bin")
        assert storage.list("levels/level1") == ["levels/level1/k/state.json"]
        for read in (storage.read_json, lambda key, s=storage: s.get_file(key, tmp_path / "x")):
            with pytest.raises(FileNotFoundError, match="nothing"):
                read("nothing")
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == ["levels/level1/k/a.bin", "levels/level1/k/state.json"]


def test_storage_put_of_a_missing_file(bucket, tmp_path):
    with pytest.raises(FileNotFoundError):
        Storage(f"s3://{bucket}").put_file(tmp_path / "nothing", "k")


def test_client_is_made_anew_in_a_forked_process(bucket):
    s3.put_bytes(b"1", f"s3://{bucket}/k")
    before = s3.client()
    child = os.fork()
    if child == 0:
        fresh = s3.client() is not before and s3.get_bytes(f"s3://{bucket}/k") == b"1"
        os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert s3.client() is before
