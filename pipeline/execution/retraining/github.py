"""A pull request on GitHub: opened, or brought up to date where the branch has one."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pipeline.errors import UserError
from pipeline.proxies import in_between

TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")

_API = "https://api.github.com"
_TIMEOUT_S = 30
_LONGEST_BODY = 65_000  # GitHub takes 65,536 characters


@dataclass(frozen=True)
class GitHub:
    """A repository, and the right to open pull requests in it.

    Attributes:
        repository: owner/name.
        token: sent in a header; it is in no message.
        api: the address of GitHub's REST interface.
    """

    repository: str
    token: str
    api: str = _API

    @classmethod
    def from_environment(cls, repository: str | None) -> GitHub | None:
        """As GH_TOKEN or GITHUB_TOKEN and GITHUB_API_URL say; None without token or repository."""
        token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), "")
        if not token or not repository:
            return None
        return cls(repository, token, os.environ.get("GITHUB_API_URL") or _API)

    def propose(self, branch: str, base: str, title: str, text: str) -> str:
        """Open the pull request of `branch` into `base`, or give it this title and text.

        Returns its address. Raises UserError where GitHub refuses or does not answer.
        """
        owner = self.repository.split("/")[0]
        wanted = urlencode({"head": f"{owner}:{branch}", "base": base, "state": "open"})
        content = {"title": title, "body": _cut(text)}
        opened = self._ask("GET", f"pulls?{wanted}")
        if opened:
            found = self._ask("PATCH", f"pulls/{opened[0]['number']}", content)
        else:
            found = self._ask("POST", "pulls", {**content, "head": branch, "base": base})
        return str(found["html_url"])

    def _ask(self, method: str, path: str, content: Any = None) -> Any:
        address = f"{self.api.rstrip('/')}/repos/{quote(self.repository)}/{path}"
        request = urllib.request.Request(
            address,
            data=None if content is None else json.dumps(content).encode(),
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "sgan-retrain",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read(500).decode(errors="replace").strip()
            raise UserError(
                f"GitHub: {method} {address}: {error.code} {error.reason} {told}. The branch is "
                "pushed; the token needs the permission `pull-requests: write`"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(
                f"GitHub: {method} {address}: {error}. The branch is pushed; the same command "
                f"again opens the pull request.{in_between(address)}"
            ) from None


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_BODY:
        return text
    return text[:_LONGEST_BODY] + "\n\n… cut here: the whole text is the workflow's summary.\n"
