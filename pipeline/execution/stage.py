"""What every stage does around its own work: params, lock, MLflow run, the nets' configuration."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.cluster import connection
from pipeline.errors import UserError
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.guard import Guard, guarded
from pipeline.parts.supplying import file_sha256
from pipeline.storage.store import Storage
from pipeline.tracking.lineage import Lineage, experiment_label, lineage

if TYPE_CHECKING:
    from pipeline.cluster.errand import Told, Work
    from pipeline.cluster.session import Session
    from pipeline.cluster.supply import Bundle
    from pipeline.data.manifest import Manifest
    from pipeline.params.loading import Params
    from pipeline.parts.part import Identity, Part
    from pipeline.parts.training import Meanwhile
    from pipeline.storage.backend import Backend
    from pipeline.tracking.run import StageRun
    from pipeline.tracking.tracker import Tracker
    from sgan.config import JointConfig, StackConfig


@dataclass
class Stage:
    """An open stage.

    Attributes:
        name: as in dvc.yaml.
        root: the project's folder.
        params: the validated parameters.
        guard: whether to stop.
        lineage: which execution of the pipeline this belongs to.
        tracker: MLflow; opened on first use.
        began: monotonic seconds.
    """

    name: str
    root: Path
    params: "Params"
    guard: Guard
    lineage: Lineage
    began: float = field(default_factory=time.monotonic)
    _tracker: "Tracker | None" = None
    _session: "Session | None" = None
    _precision: str = ""
    _ending: ExitStack = field(default_factory=ExitStack)

    @property
    def tracker(self) -> "Tracker":
        """The only MLflow client of this process."""
        if self._tracker is None:
            from pipeline.tracking.experiment import experiment_name
            from pipeline.tracking.tracker import Tracker

            self._tracker = Tracker(self.root, experiment_name())
            if self.lineage.note:
                print(f"{self.name}: {self.lineage.note}", flush=True)
            self._ending.push(self._tracker.end_with)
            # The report shows an execution that has ended; it belongs to that one.
            self._tracker.parent(self.lineage, self.params.raw, again=self.name == "report")
        return self._tracker

    def run(
        self,
        section: str | None,
        tags: Mapping[str, Any] | None = None,
        part_key: str | None = None,
    ) -> "StageRun":
        """This stage's MLflow run, which began when the stage did.

        It carries `section` of the parameters, or all of them for None: then it stands for the
        whole execution, and its name says which one that is.
        """
        raw = self.params.raw
        params = raw if section is None else {section: raw.get(section, {})}
        began = time.time() - (time.monotonic() - self.began)
        label = "" if section is not None else self._label()
        return self.tracker.stage(self.lineage, self.name, params, tags, part_key, began, label)

    def _label(self) -> str:
        """What tells this execution from others where their runs stand side by side."""
        from pipeline.params.compose import compose
        from pipeline.params.loading import from_values

        if self.lineage.dvc_exp_name:
            return experiment_label(self.lineage, {}, None)
        try:
            defaults = from_values(compose([], conf=self.root / "conf")).raw
        except UserError:  # a project without conf/, or in the middle of a change there
            defaults = None
        return experiment_label(self.lineage, self.params.raw, defaults)

    def path(self, relative: Path) -> Path:
        """A workspace path made absolute."""
        return self.root / relative

    def kept(self, name: str) -> Path:
        """A folder or file beside the checkpoints, which outlives DVC's outputs and is shared by
        the temporary workspaces of `dvc exp run`."""
        return paths.in_project(paths.STORAGE / name, self.root)

    def manifest(self) -> "Manifest":
        """The prepared data's manifest. Raises UserError where it is missing."""
        from pipeline.data.manifest import Manifest

        return Manifest.load(self.path(paths.DATA))

    def stack_config(self) -> "StackConfig":
        """The nets' configuration for the prepared data, with every `precision: auto` resolved.

        Raises UserError where they do not fit.
        """
        manifest = self.manifest()
        image = self.params.image_config(manifest.image_shape, len(manifest.classes))
        config = self.params.stack_config(image)
        levels = tuple(self._resolved(level) for level in config.levels)
        return replace(config, encoder=self._resolved(config.encoder), levels=levels)

    def joint_config(self) -> "JointConfig":
        """Joint training's settings, with `precision: auto` resolved."""
        return self._resolved(self.params.joint)

    def _resolved(self, settings: Any) -> Any:
        auto = settings.precision == "auto"
        return replace(settings, precision=self.precision()) if auto else settings

    def precision(self) -> str:
        """What `precision: auto` is here, or for all nodes of the cluster: once for all parts, so
        that their keys say it."""
        from pipeline.parts.device import precision_here, precision_of_nodes

        if not self._precision:
            runtime, session = self.params.runtime, self.session()
            self._precision = (
                precision_here(runtime.device)
                if session is None
                else precision_of_nodes(runtime.device, runtime.gpus_per_worker)
            )
        return self._precision

    def session(self) -> "Session | None":
        """The cluster that RAY_ADDRESS names, connected until the stage ends; None without one."""
        from pipeline.cluster.session import session

        if self._session is None and connection.wanted():
            runtime = self.params.runtime
            opening = session(self.storage(), runtime.object_limit, runtime.wait_seconds)
            self._session = self._ending.enter_context(opening)
        return self._session

    def data_inputs(self) -> dict[str, str]:
        """What a part's key says of the data: its digest, and the shards, which fix the order."""
        manifest = self.manifest()
        return {"data": manifest.data_digest, "shards": str(manifest.shard_sizes("train"))}

    def encoder_inputs(self) -> dict[str, str]:
        """What a key says of the data, and of E that was trained on it."""
        return {**self.data_inputs(), "encoder": file_sha256(self.path(paths.ENCODER_WEIGHTS))}

    def level_inputs(self) -> dict[str, str]:
        """What a level's key says of its inputs: the data, E, and what E made of the images."""
        features = file_sha256(self.path(paths.FEATURES_FILE))
        return {**self.encoder_inputs(), "features": features}

    def part(self, identity: "Identity", **placed: Any) -> "Part":
        """A part where this environment runs and stores it.

        Args:
            identity: what it is.
            placed: fields of `Placement` that differ from one part to another.
        """
        from pipeline.parts.part import Part, Placement

        runtime = self.params.runtime
        where = {
            "data": str(self.path(paths.DATA)),
            "encoder": str(self.path(paths.ENCODER_WEIGHTS)),
            "features": str(self.path(paths.FEATURES_FILE)),
        }
        where |= {f"level{i}": str(self.path(paths.level_weights(i))) for i in self.params.levels}
        placement = Placement(
            where,
            self.storage().uri,
            threads=runtime.threads_of(identity.kind),
            cpus=runtime.cpus_per_worker,
            gpus=runtime.gpus_per_worker,
            device=runtime.device,
            checkpoint_seconds=runtime.checkpoint_seconds,
            **placed,
        )
        return Part(identity, placement)

    def storage(self) -> Storage:
        """Where checkpoints and results are kept."""
        return Storage(self.params.runtime.storage_uri(), self.root)

    def fetch_weights(self, part: "Part", target: Path) -> None:
        """A finished part's weights, into the workspace."""
        Checkpoints(Storage(part.placement.storage), part.folder).fetch_weights(target)

    def heavy(
        self,
        work: "Work",
        inputs: "Mapping[str, Bundle]",
        out: Path,
        *,
        kind: str,
        told: "Told" = lambda what, done, total: None,
        **settings: Any,
    ) -> Any:
        """Do a stage's heavy work in this process, or on the cluster that RAY_ADDRESS names.

        Args:
            work: `pipeline.cluster.errand.Work`, which reads `inputs`; its files come into `out`.
            kind: whose threads it has (`runtime.threads`).
            told: hears its progress.
            settings: its further arguments.

        Raises UserError as `errand.run_there`, and SystemExit where the stage was asked to stop.
        """
        from pipeline.cluster import errand

        runtime, session = self.params.runtime, self.session()
        task = errand.Errand(self.name, work, settings, runtime.threads_of(kind))
        if session is None:
            return errand.run_here(task, inputs, out, told)
        try:
            return errand.run_there(
                errand.with_need(
                    task, runtime.device, runtime.cpus_per_worker, runtime.gpus_per_worker
                ),
                inputs,
                out,
                told,
                session=session,
                should_stop=self.guard.should_stop,
                wait_seconds=runtime.wait_seconds,
            )
        except errand.Stopped:
            raise SystemExit(128 + self.guard.signal_number) from None

    def reach(self) -> "str | Backend":
        """Storage as whoever does the heavy work opens it."""
        session = self.session()
        return self.storage().uri if session is None else session.storage

    def train(
        self,
        parts: "Sequence[Part]",
        runs: "Mapping[str, StageRun]",
        *,
        fan_out: bool = False,
        beside: "Meanwhile | None" = None,
    ) -> dict[str, dict[str, Any]]:
        """`pipeline.parts.training.train_parts` as this environment wants it shown."""
        from pipeline.parts.training import train_parts

        runtime = self.params.runtime
        return train_parts(
            parts,
            runs,
            self.guard,
            fan_out=fan_out,
            progress_style=runtime.progress,
            wait_seconds=runtime.wait_seconds,
            session=self.session,
            beside=beside,
        )

    def seconds(self) -> float:
        """Seconds since the stage was opened."""
        return round(time.monotonic() - self.began, 1)


@contextmanager
def opened(name: str, root: Path | None = None) -> Iterator[Stage]:
    """A stage: validated params, its lock, signals. Raises UserError."""
    from pipeline.params.loading import load

    root = root or paths.project_root()
    params = load(root / paths.PARAMS)
    with guarded(name, root) as guard:
        stage = Stage(name, root, params, guard, lineage(params.raw, root))
        with stage._ending:
            yield stage


def part_metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a part's result contributes to a metrics file."""
    shown = {key.split("/")[-1]: round(value, 6) for key, value in result["metrics"].items()}
    return {
        **shown,
        "images_seen": result["images_seen"],
        "seconds": result["seconds"],
    }
