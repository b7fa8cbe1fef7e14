"""promote: make the newly evaluated stack the champion, if it is better beyond seed noise."""

from pipeline import paths
from pipeline.execution.stage import opened
from pipeline.storage.atomic import write_json


def main() -> None:
    """Writes metrics/promote.json; with promote.enabled = false that says "off" and no more.

    Raises UserError where the registry cannot be asked. A stack that is kept is no error.
    """
    with opened("promote") as stage:
        target = stage.path(paths.metrics_file("promote"))
        if not stage.params.promote.enabled:
            write_json(target, {"outcome": "off"})
            print("promote: off (promote.enabled)")
            return
        from pipeline.execution.promotion import decide

        decision = decide(stage)
        write_json(target, decision.as_dict())
        print(f"promote: {decision.sentence}, {stage.seconds()} s")
