"""What an evaluation needs of the real images alone, done while E and the levels train."""

from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.stage import Stage
from pipeline.parts.training import Meanwhile
from pipeline.scores.shown import ShownBeside

if TYPE_CHECKING:
    from pipeline.cluster.beside import Aside

# Images of the judge's training from which a local Ray's start, some 5 s, is soon made up for.
_MANY = 20_000


def beside_training(stage: Stage, kind: str) -> Meanwhile:
    """It trains the judge and takes its features, floors and ceilings where a part leaves a core
    idle. A warm cache, and no result: what it does not come to is left to `evaluate`.

    Args:
        stage: which trains.
        kind: of its parts, whose threads say what they leave.
    """
    cpus = _cores(stage, "reference")
    return Meanwhile(
        lambda: of_real_images(stage), cpus, ShownBeside, lambda: _worth_a_ray(stage, kind)
    )


def _cores(stage: Stage, kind: str) -> float:
    runtime = stage.params.runtime
    return runtime.cpus_per_worker or float(runtime.threads_of(kind))


def _worth_a_ray(stage: Stage, kind: str) -> bool:
    from pipeline.cluster.local import cores
    from pipeline.parts.device import device_of

    params = stage.params
    return (
        cores() >= _cores(stage, kind) + _cores(stage, "reference")
        and device_of(params.runtime.device).type == "cpu"
        and params.evaluate.judge == "cnn"
        and stage.manifest().rows("train") * params.evaluate.judge_epochs >= _MANY
        and of_real_images(stage) is not None
    )


def of_real_images(stage: Stage) -> "Aside | None":
    """The work, None where storage has all of it. Raises UserError where data is missing."""
    from pipeline.cluster.beside import Aside
    from pipeline.cluster.errand import Errand
    from pipeline.execution.judging import done_beforehand, place
    from pipeline.parts.supplying import data_bundle
    from pipeline.scores.beforehand import is_done
    from pipeline.scores.inputs import identity_of
    from pipeline.scores.protocol import SPLITS_TOLD

    settings, manifest, where = stage.params.evaluate, stage.manifest(), place(stage)
    identity = identity_of(manifest.data_digest, manifest.rows("train"), manifest.rows("test"))
    if is_done(stage.storage(), identity, settings, where["precision"]):
        return None
    work = Errand("real images", done_beforehand, {"settings": settings, **where}, where["threads"])
    inputs = {"data": data_bundle(stage.path(paths.DATA), ["train", "test"])}
    return Aside(work, inputs, "evaluate", in_portions=SPLITS_TOLD)
