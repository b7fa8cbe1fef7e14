"""README's commands for two machines, typed as they stand there."""

import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.machines import Machine, two_machines, why_not
from tests.project import ROOT, Project

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.slow]
INSTALLS = ("make setup", "python3 -m venv", ".venv/bin/pip", ".venv/bin/uv")


def blocks() -> list[str]:
    """The three blocks of commands, for the first machine, the second, and the first again."""
    text = (ROOT / "README.md").read_text()
    part = text[text.index("Two machines that reach each other") :]
    found = re.findall(r"\n\n((?:    .*\n)+)", part)[:3]
    return [re.sub(r"\s*\\\n\s*", " ", block) for block in found]


def lines(block: str) -> tuple[str, str]:
    """Its lines that install, which need a registry, and the others."""
    each = [line.strip() for line in block.splitlines()]
    return (
        "\n".join(line for line in each if line.startswith(INSTALLS)),
        "\n".join(line for line in each if not line.startswith(INSTALLS)),
    )


def test_the_readme_s_two_machines_train_a_level_each(tmp_path):
    """From two bare machines to a trained stack; Ray's processes are those of each machine."""
    if reason := why_not():
        pytest.skip(reason)
    on_first, on_second, again = blocks()
    repro, stop = again.splitlines()
    project = Project.create(tmp_path / "sgan")
    for name in (
        "Makefile",
        "README.md",
        "LICENSE",
        "requirements.in",
        "requirements.lock",
        "infra",
    ):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project.root / name)
    project.sgan("compose", "data=mnist_small", "budget=smoke")
    with two_machines(project.root) as (first, second):
        install, start = lines(on_first)
        first.run(install, outside=True)
        token = re.search(r"\b[0-9a-f]{64}\b", first.run(start))[0]
        for name in ("requirements.in", "requirements.lock"):
            shutil.copy(ROOT / name, f"/proc/{second.pid()}/root{second.home}")
        install, join = lines(on_second)
        second.run(install, outside=True)
        second.run(join.replace("…", token))
        typed = f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN={token}\n{repro}"
        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(first.run, typed)
            seen = watched(first, second, until=going.done)
        for machine in (first, second):
            machine.run(stop)
            assert "raylet" not in machine.run("ps -eo stat=,comm= | grep -v ^Z")
    assert "levels: 2 levels, reused: none" in going.result()
    assert seen["second"] & {"level0", "level1"}, f"what trained where: {seen}"


def watched(*machines: Machine, until: Callable[[], bool]) -> dict[str, set[str]]:
    """The parts that were seen to train on each machine."""
    seen: dict[str, set[str]] = {machine.name: set() for machine in machines}
    while not until():
        for machine in machines:
            seen[machine.name] |= set(re.findall(r"ray::(\w+)", machine.run("ps -eo args=")))
        time.sleep(0.5)
    return seen
