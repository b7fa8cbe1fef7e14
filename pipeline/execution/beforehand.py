"""What an evaluation needs of the real images alone, done while levels train."""

from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.stage import Stage
from pipeline.parts.training import Meanwhile
from pipeline.scores.shown import ShownBeside

if TYPE_CHECKING:
    from pipeline.cluster.beside import Aside


def beside_levels(stage: Stage) -> Meanwhile:
    """It trains the judge and takes its features, floors and ceilings where a level has left a
    core idle. A warm cache, and no result: what it does not come to is left to `evaluate`."""
    runtime = stage.params.runtime
    cpus = runtime.cpus_per_worker or float(runtime.threads_of("reference"))
    return Meanwhile(lambda: of_real_images(stage), cpus, ShownBeside)


def of_real_images(stage: Stage) -> "Aside | None":
    """The work, None where storage has all of it. Raises UserError where data is missing."""
    from pipeline.cluster.beside import Aside
    from pipeline.cluster.errand import Errand
    from pipeline.execution.judging import done_beforehand, place
    from pipeline.parts.supplying import data_bundle
    from pipeline.scores.beforehand import is_done
    from pipeline.scores.inputs import identity_of

    settings, manifest, where = stage.params.evaluate, stage.manifest(), place(stage)
    identity = identity_of(manifest.data_digest, manifest.rows("train"), manifest.rows("test"))
    if is_done(stage.storage(), identity, settings, where["precision"]):
        return None
    work = Errand("real images", done_beforehand, {"settings": settings, **where}, where["threads"])
    inputs = {"data": data_bundle(stage.path(paths.DATA), ["train", "test"])}
    return Aside(work, inputs, "evaluate")
