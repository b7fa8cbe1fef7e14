"""joint: fine-tune all levels together, each fed by the generator above (paper, section 3.3)."""

from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.execution.stage import Stage, opened, part_metrics
from pipeline.parts.curve import write_curve
from pipeline.parts.part import Part
from pipeline.parts.supplying import file_sha256
from pipeline.storage.atomic import write_json


def main() -> None:
    """Writes artifacts/joint/stack.safetensors, metrics/joint.json and plots/joint.csv.

    With joint.enabled = false the levels are stacked as they are, untrained further.
    """
    from pipeline.execution.beforehand import beside_training

    with opened("joint") as stage:
        part = joint_part(stage)
        target = stage.path(paths.STACK_WEIGHTS)
        tags = {"sgan.data_digest": part.identity.inputs["data"]}
        with stage.run("joint", tags, part.key) as run:
            if stage.params.joint.enabled:
                beside = beside_training(stage, "joint")
                result = stage.train([part], {"joint": run}, beside=beside)["joint"]
                stage.fetch_weights(part, target)
                metrics, curve = _by_level(result), result["curve"]
            else:
                _stack_levels(stage, part, target)
                metrics = {"images_seen": 0, "seconds": stage.seconds()}
                curve = [{"images_seen": 0}]
            write_curve(stage.path(paths.PLOTS / "joint.csv"), curve)
            write_json(stage.path(paths.metrics_file("joint")), metrics)
            run.log_artifact(target, "weights")
        print(f"joint: {'trained' if curve[-1]['images_seen'] else 'off'}, {stage.seconds()} s")


def joint_part(stage: Stage) -> Part:
    """The joint training, keyed by the levels that it starts from; and by the features, unless it
    is off and nothing is trained on them."""
    from pipeline.parts.part import Identity

    trained = stage.params.joint.enabled
    config = stage.stack_config()
    inputs = stage.level_inputs() if trained else stage.encoder_inputs()
    for i in range(len(config.levels)):
        inputs[f"level{i}"] = file_sha256(stage.path(paths.level_weights(i)))
    return stage.part(Identity.of_joint(config, stage.joint_config(), inputs))


def _stack_levels(stage: Stage, part: Part, target: Path) -> None:
    from sgan.stack import Stack
    from sgan.weights import load_encoder, load_levels_into, save_stack

    encoder = load_encoder(stage.path(paths.ENCODER_WEIGHTS))
    stack = Stack(stage.stack_config()).set_encoder(encoder.state_dict())
    for i in stack.active:
        load_levels_into(stack, stage.path(paths.level_weights(i)))
    about = {"part": "joint", "key": part.key, "inputs": dict(part.identity.inputs)}
    save_stack(target, stack, about)


def _by_level(result: dict[str, Any]) -> dict[str, Any]:
    """`level0/loss_g` … as nested metrics, beside images seen and seconds."""
    nested: dict[str, Any] = {}
    for key, value in result["metrics"].items():
        level, name = key.split("/", 1)
        nested.setdefault(level, {})[name] = round(value, 6)
    return nested | {k: part_metrics(result)[k] for k in ("images_seen", "seconds")}
