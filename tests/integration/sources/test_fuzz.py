"""Whatever a source holds, the readers end well or with one line, and cost no more than it.

2,000 sources, each damaged in one to three places by a fixed seed (`tests/fuzz_corpus.py`), and
those of `tests/hostile.py`, each through `prepare`; a third also through `inspect --out` and
`evaluate --images`.
"""

import random
import re
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.inspecting import look_closely
from pipeline.data.manifest import FILE
from pipeline.data.preparing import prepare
from pipeline.data.sample_sets import sample_set
from pipeline.data.survey.damage import MOST_CHARACTERS
from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages
from tests import fuzz_corpus, hostile
from tests.params import params_of

pytestmark = pytest.mark.integration

CASES, GROUPS = 2000, 8
MOST_KIB, MOST_SECONDS = 400 << 10, 20  # of memory beyond what there was, and of this process
BLANK = np.zeros((2, fuzz_corpus.SIDE, fuzz_corpus.SIDE, 1), np.uint8)
REAL = RealImages(BLANK, np.arange(2), BLANK, np.arange(2), ("cat", "dog"), "digest")
SEEDS = fuzz_corpus.seeds()


class Doors:
    """The commands that read a source, each held to its promise."""

    def __init__(self, folder: Path, cache: Path) -> None:
        overrides = ("data=custom", "data.source=x", "nets=pyramid", "budget=smoke")
        self.params = params_of(*overrides, "evaluate.num_samples=100")
        self.folder, self.cache, self.out = folder / "data", cache, folder / "out"

    def fresh(self) -> Path:
        """An empty folder for a source."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.out, ignore_errors=True)
        self.folder.mkdir()
        return self.folder

    def held(self, door: str, source: Path, about: str) -> str:
        """What the command says of the source, "" where it reads it."""
        data = replace(self.params.data, source=str(source))
        actions = {
            "prepare": lambda: prepare(
                replace(self.params, data=data), self.out, told=lambda _: None
            ),
            "inspect": lambda: look_closely(str(source), data),
            "evaluate": lambda: sample_set(source, REAL),
        }
        before, started = _resident(reset=True), time.process_time()
        said = ""
        try:
            actions[door]()
        except UserError as error:
            said = str(error)
        about = f"{about}, {door}: {said}"
        assert said.isprintable() and len(said) <= MOST_CHARACTERS, about
        assert _resident() - before < MOST_KIB, about
        assert time.process_time() - started < MOST_SECONDS, about
        assert [path for path in self.cache.rglob("*") if path.is_file()] == [], about
        if door == "prepare":
            assert self.out.exists() == (self.out / FILE).exists() == (not said), about
        return said


def _resident(reset: bool = False) -> int:
    """KiB in use: the most since it was reset; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])


@pytest.fixture
def doors(tmp_path: Path, own_cache: Path) -> Doors:
    return Doors(tmp_path, own_cache)


@pytest.mark.parametrize("name", SEEDS)
def test_what_is_damaged_below_is_read_as_it_is(doors: Doors, name: str) -> None:
    seed = SEEDS[name]
    files = {seed.packed: fuzz_corpus.pack(seed.packed, seed.files)} if seed.packed else seed.files
    fuzz_corpus.write(files, doors.fresh())
    mixed = "mixed image sizes" if name == "formats" else ""
    assert re.match(mixed or "$", doors.held("prepare", doors.folder / seed.source, name))


@pytest.mark.parametrize("group", range(GROUPS))
def test_damaged_sources_end_well_or_in_one_line(doors: Doors, group: int) -> None:
    ended = Counter[bool]()
    for number in range(group, CASES, GROUPS):
        name = list(SEEDS)[number // GROUPS % len(SEEDS)]
        files = fuzz_corpus.damaged(SEEDS[name], random.Random(number))
        source = doors.fresh() / SEEDS[name].source
        fuzz_corpus.write(files, doors.folder)
        about = f"{name}, seed {number}"
        ended[bool(doors.held("prepare", source, about))] += 1
        if number % 3 == 0:
            doors.held("inspect", source, about)
            doors.held("evaluate", source, about)
    assert ended[True] > 100 and ended[False] > 10  # neither is all that happens


@pytest.mark.parametrize("name", hostile.CASES)
def test_hostile_sources_end_well_or_in_one_line(doors: Doors, name: str) -> None:
    case = hostile.CASES[name]
    source = case.make(doors.fresh()) or doors.folder
    said = doors.held("prepare", source, name)
    assert re.search(case.says, said) if case.says else said == "", said
    doors.held("inspect", source, name)
    doors.held("evaluate", source, name)
