"""The variable that puts a proxy in between is found as the clients find it."""

import pytest

from pipeline.proxies import in_between

DEAD = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("variables", "url", "named"),
    [
        ({"http_proxy": DEAD}, "http://a.example/b", f"http_proxy={DEAD}"),
        ({"HTTPS_PROXY": DEAD}, "https://a.example/b", f"HTTPS_PROXY={DEAD}"),
        ({"ALL_PROXY": DEAD}, "https://a.example/b", f"ALL_PROXY={DEAD}"),
        ({"http_proxy": DEAD, "all_proxy": "socks5://b"}, "http://a.example", "http_proxy"),
        ({"https_proxy": DEAD}, "https:", f"https_proxy={DEAD}"),
    ],
)
def test_the_variable_is_named(no_proxies, variables, url, named) -> None:
    for name, value in variables.items():
        no_proxies.setenv(name, value)
    assert f" It is asked for by way of {named}" in in_between(url)
    assert in_between(url).endswith("to no_proxy.")


def test_what_goes_straight_is_not_told_of(no_proxies) -> None:
    assert in_between("http://a.example") == ""
    no_proxies.setenv("https_proxy", DEAD)
    assert in_between("http://a.example") == ""
    no_proxies.setenv("no_proxy", "a.example")
    assert in_between("https://a.example/x") == ""
    assert "add b.example to no_proxy" in in_between("https://b.example/x")


def test_boto3_does_not_heed_all_proxy(no_proxies) -> None:
    no_proxies.setenv("all_proxy", DEAD)
    assert in_between("https://a.example", general=False) == ""


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_s_password_is_not_shown(no_proxies, scheme) -> None:
    no_proxies.setenv("http_proxy", f"{scheme}me:p@ss@127.0.0.1:9")
    assert f"http_proxy={scheme}***@127.0.0.1:9:" in in_between("http://a.example")
