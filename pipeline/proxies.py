"""Which proxy the environment puts between this machine and an address, for messages."""

import os
from urllib.parse import urlsplit


def in_between(url: str, *, general: bool = True) -> str:
    """A sentence that names the variable by which requests for `url` go to a proxy, with a space
    before it; "" where none does.

    Args:
        url: http:// or https://; the scheme alone where a program chooses the host.
        general: whether the client heeds all_proxy too (requests and pip do, boto3 does not).
    """
    from requests.utils import get_environ_proxies, getproxies

    parts = urlsplit(url)
    # Without those where no_proxy names the host.
    found = get_environ_proxies(url) if parts.hostname else getproxies()
    for scheme in (parts.scheme, "all") if general else (parts.scheme,):
        proxy = found.get(scheme)
        if proxy:
            names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
            name = next((one for one in names if os.environ.get(one) == proxy), "a proxy")
            host = parts.hostname or "its host"
            return (
                f" It is asked for by way of {name}={_plain(proxy)}: correct or unset that, or "
                f"add {host} to no_proxy."
            )
    return ""


def _plain(proxy: str) -> str:
    """The proxy's address, which may have no scheme, without a user and a password."""
    before, at, after = proxy.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return f"{scheme + slashes if slashes else ''}***@{after}" if at else proxy
