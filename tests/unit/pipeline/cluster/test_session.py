"""What counts as the same files on another node; sessions: tests/integration/test_nodes.py."""

from pathlib import Path

from pipeline.cluster.session import _found


def test_the_first_file_s_digest_and_all_sizes(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("list", "a.tar")]
    assert _found(files) is None
    for file in files:
        Path(file).write_bytes(b"12")
    digest, sizes = _found(files)
    assert digest == "6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918"
    assert sizes == dict.fromkeys(files, 2)
    Path(files[1]).unlink()
    assert _found(files) is None
