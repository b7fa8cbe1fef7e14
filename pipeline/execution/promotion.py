"""Whether the challenger becomes the champion: what is looked at, and what is written of it.

The conditions on scores are `pipeline.scores.gate`'s; here stand those on the project, and where
scores come from. A version whose scores were taken by another protocol, or with fewer sampling
seeds than the test needs, is scored again, once for the same weights, settings and code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution import dvc_remote, judging
from pipeline.execution.registration import model_name
from pipeline.execution.stage import Stage, file_sha256
from pipeline.report.record import SCORES, read_scores
from pipeline.scores import gate
from pipeline.scores.gate import LEAST_SEEDS, Row, Verdict
from pipeline.scores.headline import FID
from pipeline.scores.score import Score
from pipeline.scores.version import evaluation_version, stamped
from pipeline.storage.atomic import write_json
from pipeline.tracking.experiment import experiment_name
from pipeline.tracking.lineage import leaves
from pipeline.tracking.registry import CHALLENGER, CHAMPION, WEIGHTS_TAG, Registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.params.settings import EvaluateConfig
    from pipeline.tracking.tracker import Tracker

_RULES = {True: "holds", False: "does not hold", None: "could not be told"}


@dataclass(frozen=True)
class Decision:
    """What a promotion came to.

    Attributes:
        verdict: every condition.
        model: the registered model.
        challenger: its version.
        champion: the version it was compared with, None where there was none.
    """

    verdict: Verdict
    model: str
    challenger: str
    champion: str | None

    @property
    def status(self) -> int:
        """The exit status: 0 promoted, 3 kept, 2 could not be decided."""
        return {"promoted": 0, "kept": 3, "undecided": 2}[self.verdict.outcome]

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        who = f"{self.model} version {self.challenger}"
        over = f" over version {self.champion}" if self.champion else ", the first champion"
        if self.verdict.outcome == "promoted":
            return f"promoted: {who}{over}"
        beside = f"version {self.champion} stays champion" if self.champion else "no champion"
        return f"{self.verdict.outcome}: {who} is not promoted ({self.verdict.why}); {beside}"

    def as_dict(self) -> dict[str, Any]:
        """JSON types: what metrics/promote.json holds."""
        return {
            "outcome": self.verdict.outcome,
            "model": self.model,
            "challenger": self.challenger,
            "champion": self.champion,
            "rows": [asdict(row) for row in self.verdict.rows],
        }

    def markdown(self) -> str:
        """For a pull request."""
        lines = [f"**{self.sentence}**", "", "| | champion | challenger | needed | |"]
        lines.append("|---|---|---|---|---|")
        for row in self.verdict.rows:
            mark = {True: "✓", False: "✗", None: "?"}[row.holds]
            cells = (row.what, *row.sides, row.needed, mark)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines) + "\n"

    def tags(self) -> dict[str, str]:
        """For the version: the outcome, and each condition."""
        tags = {"sgan.verdict": self.verdict.outcome, "sgan.compared_with": self.champion or ""}
        for row in self.verdict.rows:
            told = f"{_RULES[row.holds]}: {row.sides[1]} beside {row.sides[0]}; {row.needed}"
            tags[f"sgan.verdict.{row.what}"] = told
        return tags


def tracker_of(stage: Stage) -> Tracker:
    """MLflow, without a run of the execution that is under way. Raises UserError."""
    from pipeline.tracking.tracker import Tracker

    return Tracker(stage.root, experiment_name())


def registry_of(stage: Stage) -> Registry:
    """The registered model of the project's data, without a run of MLflow. Raises UserError."""
    return Registry(tracker_of(stage), model_name(stage))


def decide(stage: Stage, which: str = CHALLENGER, *, dry: bool = False) -> Decision:
    """Compare a version with the champion, and promote it unless `dry` or a condition fails.

    Args:
        stage: open, of the project.
        which: alias or number of the version.
        dry: change nothing in the registry.

    Raises:
        UserError: no such version, MLflow does not answer, or another promotion is under way.
    """
    registry = registry_of(stage)
    challenger, champion = registry.version(which), registry.version(CHAMPION)
    if challenger is None:
        raise UserError(
            f"{registry.name}: no version {which!r} in the registry; `dvc repro` registers what "
            "it evaluates (evaluate.log_model)"
        )
    over = None if champion is None else str(champion.version)
    verdict = _verdict(stage, registry, challenger, champion)
    decision = Decision(verdict, registry.name, str(challenger.version), over)
    if not dry:
        if verdict.outcome == "promoted":
            registry.promote(decision.challenger, over, decision.tags())
        elif decision.challenger != over:
            registry.tag(decision.challenger, decision.tags())
    return decision


def _verdict(
    stage: Stage, registry: Registry, challenger: ModelVersion, champion: ModelVersion | None
) -> Verdict:
    if champion is not None and _same(challenger, champion):
        return Verdict((Row("model", ("the same weights", "the same weights"), "another", False),))
    new = _scores(stage, registry, challenger)
    if champion is None:
        return gate.alone(new).with_rows(*_project_rows(stage))
    old = _scores(stage, registry, champion)
    # Both by one code may still be by two judges: another's was trained on the data of its day.
    if not _one_protocol(old, new):
        old = _scores(stage, registry, champion, again=True)
    if not _one_protocol(old, new):
        new = _scores(stage, registry, challenger, again=True)
    found = gate.compare(old, new, stage.params.promote)
    return found.with_rows(*_project_rows(stage))


def _one_protocol(old: Sequence[Score], new: Sequence[Score]) -> bool:
    return gate.same_protocol(FID.find(old), FID.find(new)).holds is not False


def _same(one: ModelVersion, other: ModelVersion) -> bool:
    weights = one.tags.get(WEIGHTS_TAG)
    return one.version == other.version or bool(weights and weights == other.tags.get(WEIGHTS_TAG))


def _scores(
    stage: Stage, registry: Registry, version: ModelVersion, *, again: bool = False
) -> list[Score]:
    """The version's scores by today's code and with seeds enough: those that it was registered
    with, unless they are wanted again on the data that lie here."""
    settings = _settings(stage.params.evaluate)
    with TemporaryDirectory(prefix="sgan-") as folder:
        logged = [] if again else _logged(registry, version, Path(folder))
        fid = FID.find(logged)
        if fid is not None and _is_of_today(fid, settings):
            return logged
        return _scored_again(stage, registry, version, settings, Path(folder))


def _logged(registry: Registry, version: ModelVersion, folder: Path) -> list[Score]:
    """The scores that a version was registered with; [] where its run has none."""
    file = registry.run_file(version, f"evaluate/{SCORES}", folder)
    return read_scores(file) if file else []


def _is_of_today(fid: Score, settings: EvaluateConfig) -> bool:
    same = fid.protocol.get("evaluation") == evaluation_version() and fid.n == settings.num_samples
    return same and fid.repeats >= LEAST_SEEDS


def _settings(settings: EvaluateConfig) -> EvaluateConfig:
    """What a comparison is made by: the project's, with seeds enough and nothing that is slow and
    decides nothing."""
    seeds = settings.seeds
    if len(seeds) < LEAST_SEEDS:
        more = (seed for seed in range(1, 100) if seed not in seeds)
        seeds = (*seeds, *(next(more) for _ in range(LEAST_SEEDS - len(seeds))))
    return replace(settings, seeds=seeds, cas=False, lpips=False, inception=False)


def _scored_again(
    stage: Stage, registry: Registry, version: ModelVersion, settings: EvaluateConfig, folder: Path
) -> list[Score]:
    from pipeline.parts.progress import console_for
    from pipeline.parts.supplying import data_bundle, file_bundle
    from pipeline.scores.shown import Shown

    weights = registry.stack_file(version, folder)
    key = {
        "weights": file_sha256(weights),
        "data": stage.manifest().data_digest,
        "evaluation": evaluation_version(),
        "settings": asdict(settings),
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    kept = stage.kept("promote") / f"{name}.json"
    if kept.is_file():
        return read_scores(kept)
    print(f"promote: version {version.version} is scored with seeds {settings.seeds}", flush=True)
    inputs = {
        "stack": file_bundle(weights),
        "data": data_bundle(stage.path(paths.DATA), ["train", "test"]),
    }
    with Shown(console_for(stage.params.runtime.progress)) as told:
        scores = stamped(judging.scored(stage, inputs, folder, told, settings))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, [score.as_dict() for score in scores])
    return scores


def _project_rows(stage: Stage) -> list[Row]:
    """The conditions on the project that the challenger comes from."""
    dirty, unfinite = stage.lineage.git_dirty, _unfinite(stage)
    state = {True: "files differ from the commit", False: "clean", None: stage.lineage.note}[dirty]
    rows = [
        Row("losses", ("", unfinite or "all finite"), "finite", not unfinite),
        Row("git", ("", state), "clean", None if dirty is None else not dirty),
    ]
    # As a stage of `dvc repro` it runs before anybody can push what that made.
    return rows if os.environ.get("DVC_STAGE") else [*rows, *_pushed(stage.root)]


def _unfinite(stage: Stage) -> str:
    """The metrics of trainings that are no finite numbers, by name; "" where all are."""
    bad = []
    for name in ("encoder", "levels", "joint"):
        file = stage.path(paths.metrics_file(name))
        if not file.is_file():
            return f"{file.name} is missing"
        for path, value in leaves(json.loads(file.read_text(encoding="utf-8"))).items():
            if isinstance(value, float) and not math.isfinite(value):
                bad.append(".".join((name, *path)))
    return ", ".join(bad)


def _pushed(root: Path) -> list[Row]:
    """Whether DVC's remote holds the outputs; no row where no remote is set."""
    if not dvc_remote.is_set(root):
        return []
    status = _dvc(root, "status", "--cloud", "--json")
    if status.returncode != 0:
        told = (status.stderr.strip().splitlines() or ["dvc status failed"])[-1]
        return [Row("outputs", ("", told), "pushed", None)]
    # What only the remote has ("deleted" from the cache here) is pushed.
    states = json.loads(status.stdout or "{}").values()
    missing = [state for state in states if state != "deleted"]
    shown = f"{len(missing)} not pushed (dvc push)" if missing else "pushed"
    return [Row("outputs", ("", shown), "pushed", not missing)]


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = (sys.executable, "-m", "dvc", *arguments)
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
