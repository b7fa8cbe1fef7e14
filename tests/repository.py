"""Git repositories that tests make."""

import subprocess
from pathlib import Path


def git(root: Path, *arguments: str) -> str:
    """What a git command in `root` prints, stripped; nothing of this machine's account counts.
    Raises CalledProcessError where it fails."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
