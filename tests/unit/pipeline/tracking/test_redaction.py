import pytest

from pipeline.tracking.redaction import is_secret_name, redact, redact_tree


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:pa@ss@host:5000/x", "https://***@host:5000/x"),
        ("postgresql+psycopg2://u:p@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("s3://bucket/k?X-Amz-Signature=ab12&part=3", "s3://bucket/k?X-Amz-Signature=***&part=3"),
        ("http://host:5000/", "http://host:5000/"),
        ("mail ann@example.org", "mail ann@example.org"),
        ("see http://host/page?to=a@b", "see http://host/page?to=a@b"),
        ("proxy ann:secret@proxy.example.org:3128", "proxy ***@proxy.example.org:3128"),
        ("dsn='ann:s3:cret@db:5432/x'", "dsn='***@db:5432/x'"),
        ("image sgan:1.2@sha256:0fab", "image sgan:1.2@sha256:0fab"),
        ("mailto:ann@example.org", "mailto:ann@example.org"),
        ("git@example.org:ann/sgan.git at 12:30", "git@example.org:ann/sgan.git at 12:30"),
    ],
)
def test_uris(text, shown):
    assert redact(text) == shown


def test_values_of_the_environments_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")  # too short to be a secret
    assert redact("denied for wJalrXUtnFEMI in test") == "denied for *** in test"


@pytest.mark.parametrize("name", ["storage.secret_key", "password", "s3.access_key", "hf_token"])
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "levels.1.learning_rate", "part_key", "key", "author"])
def test_plain_names(name):
    assert not is_secret_name(name)


def test_tree():
    tree = {"s3": {"password": "abc", "bucket": "b"}, "uris": ["http://a:b@h/"], "token": None}
    assert redact_tree(tree) == {
        "s3": {"password": "***", "bucket": "b"},
        "uris": ["http://***@h/"],
        "token": None,
    }
