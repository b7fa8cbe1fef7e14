"""`sgan tune`: a level's settings searched in this project, with its MLflow runs and files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.cluster import connection
from pipeline.code import closure_digest
from pipeline.errors import UserError
from pipeline.execution.stage import Stage
from pipeline.execution.trials import Say, Trials
from pipeline.params.sections import line
from pipeline.params.tuning import TuneConfig
from pipeline.parts import running
from pipeline.parts.part import Identity, Part
from pipeline.parts.progress import console_for
from pipeline.parts.supplying import data_bundle, file_bundle, supplied
from pipeline.scores.shown import Shown
from pipeline.storage.atomic import write_bytes, write_json
from pipeline.tuning import records, search
from pipeline.tuning.outcome import Outcome, Tried
from pipeline.tuning.picture import draw
from pipeline.tuning.records import Look, Records
from pipeline.tuning.space import Setting, drawn
from pipeline.tuning.yardstick import Yardstick, yardstick
from sgan.config import ConfigError

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun

_YARDSTICK = "pipeline.tuning.yardstick"
_OTHER_SAMPLES = 1_000_003  # added to the seed of what was not chosen by


@dataclass(frozen=True)
class Job:
    """One level to be tuned, here.

    Attributes:
        stage: the project.
        level: i.
        settings: how.
        say: takes a line for a person.
    """

    stage: Stage
    level: int
    settings: TuneConfig
    say: Say

    def outcome(self, resume: bool = False) -> Outcome:
        """Search; returns what came of it, which lies in artifacts/tune as well.

        Args:
            resume: go on with the search of these settings that was stopped.

        Raises:
            UserError: a level that is not there, or has no space; nothing trained yet; nothing to
                resume.
            SystemExit: the stage was asked to stop (128 + signal); every trial has saved.
        """
        settings, parts, key = self._plan
        folder = self._folder(key)
        self._prepare(folder, resume)
        own = self._yardstick(self.settings.seed)
        tags = {"sgan.data_digest": self.stage.manifest().data_digest}
        logged = {
            "tune": {**asdict(self.settings), "space": dict(self._space()), "level": self.level}
        }
        with self.stage.tracker.stage(
            self.stage.lineage, "tune", logged, tags, part_key=key, label=f"level {self.level}"
        ) as run:
            with Trials(run, self.name, settings, parts, self.say) as trials:
                self._run(search.Search(folder, parts, own, self.settings), trials, resume)
                found = self._ended(folder, own, settings, parts, trials)
            self._write(found, run)
        return found

    def can_go_on(self) -> bool:
        """Whether a search of these settings was begun here. Raises UserError as `outcome`."""
        return self._is_begun(self._folder(self._plan[2]))

    @cached_property
    def _plan(self) -> tuple[list[Setting], list[Part], str]:
        """The settings that are tried, what each trial trains, and the search's key."""
        settings = self._drawn()
        parts = self._parts(settings)
        return settings, parts, self._key(parts)

    @property
    def name(self) -> str:
        """Of the level's part."""
        return f"level{self.level}"

    def _folder(self, key: str) -> Path:
        return self.stage.kept("tune") / f"{self.name}-{key[:12]}"

    def _is_begun(self, folder: Path) -> bool:
        return search.Search(folder, (), None, self.settings).can_go_on  # type: ignore[arg-type]

    def _space(self) -> Mapping[str, Mapping[str, Any]]:
        params = self.stage.params
        if self.level not in params.levels:
            known = ", ".join(map(str, params.levels))
            raise UserError(f"level {self.level}: this stack has none; its levels: {known}")
        key, space = self.settings.space_of(self.level, params.encoder)
        if not space:
            raise UserError(
                f"{params.shown}: tune.space.{key}: level {self.level} has no space to search; "
                f"write one there (or at tune.space.{self.level}), such as "
                "{lr_g: {loguniform: [1e-4, 1e-3]}}"
            )
        return space

    def _drawn(self) -> list[Setting]:
        space, settings = self._space(), self.settings
        present = self.stage.stack_config().levels[self.level]
        found = drawn(space, present, settings.trials, settings.seed)
        if len(found) < settings.trials:
            self.say(f"tune.space has no more than {len(found)} settings: as many trials")
        if len(found) < 2:
            raise UserError(f"tune.space holds nothing but level {self.level}'s present settings")
        return found

    def _parts(self, settings: Sequence[Setting]) -> list[Part]:
        """What each trial trains."""
        stage = self.stage
        config, inputs, parts = stage.stack_config(), stage.level_inputs(), []
        for one in settings:
            levels = {**dict(enumerate(config.levels)), self.level: one.config}
            try:
                tuned = replace(config, levels=tuple(levels.values()))
            except ConfigError as error:
                raise self._unfit(error) from None
            parts.append(stage.part(Identity.of_level(tuned, self.level, inputs)))
        return parts

    def _unfit(self, error: ConfigError) -> UserError:
        """A draw that this level cannot have among the others."""
        params = self.stage.params
        key, _ = self.settings.space_of(self.level, params.encoder)
        name = error.field_name.rpartition(".")[2]
        own = ConfigError(name, error.value, f"{error.allowed}; take it out of the space")
        return UserError(line(f"{params.shown}: tune.space.{key}", own))

    def _key(self, parts: Sequence[Part]) -> str:
        meaning = {
            "parts": [part.key for part in parts],
            "settings": asdict(self.settings),
            "judge": asdict(self.stage.params.evaluate) if self.level == 0 else None,
            "yardstick": closure_digest(_YARDSTICK),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:20]

    def _prepare(self, folder: Path, resume: bool) -> None:
        if resume and not self._is_begun(folder):
            raise UserError(
                f"--resume: no search of level {self.level} with these settings was begun here "
                f"({folder} is not there); without --resume one begins, and what it has in common "
                "with earlier ones is not trained again"
            )
        if not resume and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def _yardstick(self, seed: int) -> Yardstick:
        stage = self.stage
        inputs = {"features": file_bundle(stage.path(paths.FEATURES_FILE))}
        if self.level == 0:
            inputs["data"] = data_bundle(stage.path(paths.DATA), ["train", "test"])
        with Shown(console_for(stage.params.runtime.progress)) as told:
            made: Yardstick = stage.heavy(
                yardstick,
                inputs,
                stage.kept("tune"),
                kind="judge",
                told=told,
                level=self.level,
                levels=len(stage.params.levels),
                samples=self.settings.samples,
                seed=seed,
                settings=stage.params.evaluate,
                storage=stage.reach(),
                device=stage.params.runtime.device,
                precision=stage.precision(),
                threads=stage.params.runtime.threads_of("reference"),
            )
        return made

    def _run(self, wanted: search.Search, trials: Trials, resume: bool) -> None:
        stage, session = self.stage, self.stage.session()
        ears = search.Ears(trials.on_look, trials.on_report, stage.guard.should_stop)
        with (
            stage.guard.checkpointing(),
            nullcontext() if session else connection.connected(),
        ):
            wait = stage.params.runtime.wait_seconds if session else 0.0
            try:
                (ready,) = running.preflight(
                    wanted.parts[:1], self.say, wait, stage.guard.should_stop
                )
            except running.Stopped:
                raise self._stopped(wanted.can_go_on) from None
            place = {"cpus": ready.placement.cpus, "gpus": ready.placement.gpus}
            parts = [part.placed(**place) for part in wanted.parts]
            if session:
                parts = [
                    supplied(part, session.supply).placed(storage=session.storage) for part in parts
                ]
            if not search.run(replace(wanted, parts=parts), ears, go_on=resume):
                raise self._stopped(True)

    def _stopped(self, begun: bool) -> SystemExit:
        """What a stage ends with that was asked to stop; `begun`: --resume goes on."""
        self.say(
            "Stopped: every trial is kept where it is. Go on with the same command and --resume"
            if begun
            else "Stopped before the first trial. Begin again with the same command"
        )
        return SystemExit(128 + self.stage.guard.signal_number)

    def _ended(
        self,
        folder: Path,
        own: Yardstick,
        settings: Sequence[Setting],
        parts: Sequence[Part],
        trials: Trials,
    ) -> Outcome:
        """The outcome, once the best trial has been trained to its end."""
        kept = Records(folder / search.RECORDS)
        best = records.best(kept.looks)
        if best is None and (far := records.furthest(kept.looks)) is not None:
            best = self._to_its_end(kept, own, parts[far.trial], far.trial, trials)
        confirmed = None
        if best is not None and any(look.final for look in kept.of(0)):
            other = self._yardstick(self.settings.seed + _OTHER_SAMPLES)
            confirmed = (
                self._measured(parts[best.trial], other),
                self._measured(parts[0], other),
            )
        tried = tuple(
            Tried(number, setting, parts[number].key, tuple(kept.of(number)))
            for number, setting in enumerate(settings)
        )
        return Outcome(
            self.level,
            self.settings,
            parts[0].identity.total_images,
            own.floor,
            tried,
            None if best is None else best.trial,
            confirmed,
        )

    def _to_its_end(
        self, kept: Records, own: Yardstick, part: Part, number: int, trials: Trials
    ) -> Look | None:
        """Train a trial that got furthest to its end, as a stage trains a part."""
        from pipeline.tuning.trial import look_at, measure_part

        self.say(f"no trial came to a sound end; trial {number}, the best of the rest, goes on")
        trials.ended.discard(number)
        result = self.stage.train([part], {part.name: trials.run_of(number)})[part.name]
        least = self.settings.min_diversity
        look = look_at(number, result["images_seen"], measure_part(part, own), least, final=True)
        kept.add(look)
        trials.on_look(look, True)
        return records.best(kept.looks)

    def _measured(self, part: Part, other: Yardstick) -> float:
        from pipeline.tuning.trial import measure_part

        return measure_part(part, other).frechet

    def _write(self, found: Outcome, run: StageRun) -> None:
        folder = self.stage.path(paths.TUNE)
        files = {end: folder / f"{self.name}.{end}" for end in ("json", "svg", "yaml")}
        write_json(files["json"], found.as_dict())
        draw(found, files["svg"])
        write_bytes(files["yaml"], found.patch().encode())
        step = found.total_images
        values = {"floor": found.floor}
        if found.winner and found.winner.last and found.winner.last.frechet is not None:
            values["best_frechet"] = found.winner.last.frechet
            values["best_diversity"] = found.winner.last.diversity
        if found.confirmed:
            values |= {"confirmed_best": found.confirmed[0], "confirmed_start": found.confirmed[1]}
        run.log_metrics([(f"tune/{name}", value, step) for name, value in values.items()])
        for file in files.values():
            run.log_artifact(file, "tune")
