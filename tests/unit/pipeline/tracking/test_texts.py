"""The shapes in which settings and tags are logged."""

import dataclasses

from pipeline.tracking.texts import flatten, tag_values


def test_flatten():
    @dataclasses.dataclass
    class Level:
        rate: float = 1e-4
        cut: tuple[str, ...] = ("fc",)

    long = "x" * 7000
    flat = flatten(
        {"level": Level(), "none": None, "flag": True, "empty": {}, "text": long, "a*b": 1}
        | {"s3": {"password": "hunter22", "uri": "http://u:p@h/b"}}
    )
    assert flat.pop("text") == "x" * (6000 - 29) + "... [cut, 7000 characters]".rjust(29, "x")
    assert flat == {
        "level.rate": "0.0001",
        "level.cut": '["fc"]',
        "none": "null",
        "flag": "true",
        "empty": "{}",
        "a_b": "1",
        "s3.password": "***",
        "s3.uri": "http://***@h/b",
    }


def test_tags_are_redacted_strings():
    assert tag_values({"a": None, "b": True, "c": "http://u:p@h/"}) == {
        "b": "true",
        "c": "http://***@h/",
    }
