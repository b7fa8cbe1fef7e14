"""An S3 prefix as storage: what is its own beside what every place does (test_backend.py)."""

from pipeline.storage.prefix import Prefix


def test_a_whole_bucket_is_a_place_too(bucket: str) -> None:
    place = Prefix(f"s3://{bucket}/")
    assert place.uri == f"s3://{bucket}"
    place.write("a/b", b"x")
    assert place.list("") == place.list("a") == ["a/b"]
    assert Prefix(f"s3://{bucket}/a").list("") == ["b"]


def test_a_condition_that_the_lost_answer_fulfilled_counts(bucket: str) -> None:
    """Sent twice, as boto3 does where the first answer was lost."""
    place = Prefix(f"s3://{bucket}")
    assert place.create("a", b"mine alone")
    assert place.create("a", b"mine alone")
    _, version = place.read("a")
    assert place.replace_if("a", b"mine again", version)
    assert place.replace_if("a", b"mine again", version)
    assert not place.replace_if("a", b"another's", version)
