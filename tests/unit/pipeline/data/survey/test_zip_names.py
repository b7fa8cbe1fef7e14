"""The names of a zip's members, in whatever code page they are."""

from pathlib import Path

import pytest

from pipeline.data.survey import archive_listing as archives
from pipeline.errors import UserError


def paths(listing) -> list[str]:
    return [entry.path for entry in listing.entries]


def test_names_are_utf8_where_all_are_else_of_one_code_page(tmp_path, zipped):
    def unflagged(name: str, encodings: dict[str, str]) -> Path:
        plain = {
            str(n) * len(text.encode(e)): text.encode(e)
            for n, (text, e) in enumerate(encodings.items())
        }
        path = zipped(tmp_path / name, [f"{held}/1.png" for held in plain])
        content = path.read_bytes()
        for held, raw in plain.items():
            content = content.replace(f"{held}/1.png".encode(), raw + b"/1.png")
        path.write_bytes(content)
        return path

    utf8 = archives.of_zip(unflagged("utf8.zip", {"猫": "utf-8", "é": "utf-8"}))
    assert paths(utf8) == ["é/1.png", "猫/1.png"] and utf8.notes == []
    path = unflagged("gbk.zip", {"猫": "gbk", "狗": "gbk"})
    legacy = archives.of_zip(path)
    assert paths(legacy) == ["├¿/1.png", "╣╖/1.png"] and "data.names_encoding" in legacy.notes[0]
    assert paths(archives.of_zip(path, "gbk")) == ["狗/1.png", "猫/1.png"]
    with pytest.raises(UserError, match=r"names_encoding = 'ascii' does not fit the name"):
        archives.of_zip(path, "ascii")
    with pytest.raises(UserError, match=r"names_encoding = 'klingon'"):
        archives.of_zip(path, "klingon")
