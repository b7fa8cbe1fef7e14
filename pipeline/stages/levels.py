"""levels: train every level's GAN independently, side by side on Ray (paper, section 3.2)."""

from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.execution.stage import Stage, opened, part_metrics
from pipeline.parts.curve import write_curve
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from pipeline.parts.part import Part


def main() -> None:
    """Writes artifacts/levels, metrics/levels.json and plots/levels/; reuses finished levels."""
    from pipeline.execution.beforehand import beside_training
    from sgan.config import to_dict

    with opened("levels") as stage:
        parts = {part.name: part for part in level_parts(stage)}
        tags = {"sgan.data_digest": stage.manifest().data_digest}
        with stage.run("levels", tags) as run:
            runs = {
                name: run.child(f"levels/{name}", part.key, {name: to_dict(part.identity.settings)})
                for name, part in parts.items()
            }
            beside = beside_training(stage, "level")
            results = stage.train(list(parts.values()), runs, fan_out=True, beside=beside)
            for name, part in parts.items():
                assert part.identity.level is not None
                weights = stage.path(paths.level_weights(part.identity.level))
                stage.fetch_weights(part, weights)
                write_curve(
                    stage.path(paths.PLOTS / "levels" / f"{name}.csv"), _curve(results[name])
                )
                runs[name].log_artifact(weights, "weights")
                runs[name].finish()
            metrics: dict[str, Any] = {name: part_metrics(results[name]) for name in parts}
            metrics["seconds"] = stage.seconds()
            write_json(stage.path(paths.metrics_file("levels")), metrics)
        reused = [name for name in parts if results[name]["reused"]]
        print(
            f"levels: {len(parts)} levels, reused: {', '.join(reused) or 'none'}, "
            f"{stage.seconds()} s"
        )


def level_parts(stage: Stage) -> "list[Part]":
    """One part per level."""
    from pipeline.parts.part import Identity

    config, inputs = stage.stack_config(), stage.level_inputs()
    each = range(len(config.levels))
    return [stage.part(Identity.of_level(config, i, inputs)) for i in each]


def _curve(result: dict[str, Any]) -> list[dict[str, float]]:
    """The level's curve under the same column names for every level, so that plots overlay."""
    return [{k.split("/")[-1]: v for k, v in row.items()} for row in result["curve"]]
