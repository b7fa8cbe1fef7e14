"""`sgan summary` and `sgan compose`: where the project stands, and how params.yaml is made."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.stages import ORDER

_DIVERSITY = (
    ("diversity", "diversity within a class"),
    ("diversity_z0", "of which by z_0 alone"),
)


def add(commands: Any) -> None:
    """Add the subcommands."""
    summary = commands.add_parser(
        "summary",
        help="what the last `dvc repro` made, and what to try next",
        description="Print the newest results of this project and where they lie.",
    )
    summary.set_defaults(handler=_summary)
    compose = commands.add_parser(
        "compose",
        help="write params.yaml from the groups in conf/",
        description="Compose conf/ into params.yaml, as `dvc exp run -S …` does for one "
        "experiment. Without overrides this restores the committed defaults.",
    )
    compose.add_argument(
        "overrides", nargs="*", help="Hydra overrides: budget=paper levels.1.z_dim=32"
    )
    compose.add_argument("--out", type=Path, default=paths.PARAMS, help="default: params.yaml")
    compose.set_defaults(handler=_compose)


def _compose(arguments: argparse.Namespace) -> None:
    from pipeline.params.compose import compose

    compose(arguments.overrides, arguments.out)
    print(f"wrote {arguments.out}")


def _summary(_: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    root = paths.project_root()
    metrics = {stage: _read(root / paths.metrics_file(stage)) for stage in ORDER}
    metrics["report"] = {} if (root / paths.REPORT_PAGE).is_file() else None  # it measures nothing
    if not any(metrics.values()):
        raise UserError("nothing has run here yet; run `dvc repro`, which trains and evaluates")
    console = Console(highlight=False, soft_wrap=True)
    title = "Trained: a stack of GANs" if metrics["evaluate"] else "Not all stages have run yet"
    table = Table(title=title, title_justify="left", show_header=False)
    for label, value in headline(metrics):
        table.add_row(label, value)
    console.print(table)
    made = {
        "samples": paths.EVALUATE / "samples.png",
        "report": paths.REPORT_PAGE,
        "weights": paths.STACK_WEIGHTS,
    }
    for label, path in made.items():
        if (root / path).exists():
            console.print(f"  {label:8} {path}")
    if not metrics["evaluate"]:
        console.print("\nNext: `dvc repro` runs what is missing and reuses the rest.")
        return
    console.print(
        "\nTry next:\n"
        "  sgan sample --label 1 --n 64 --out ones.png     (in .venv/bin)\n"
        "  sgan vary --level 0 --out strokes.png           what z_0 decides\n"
        "  sgan serve                                      move through its noise in a browser\n"
        "  make ui                                         runs side by side in MLflow\n"
        "  dvc metrics show                                what runs are compared by\n"
        "  edit params.yaml (levels.1.lambda_ent, say) and `make repro`: only level 1 on retrains\n"
        "  dvc exp run -S budget=paper                     the paper's 200 epochs"
    )


def headline(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the table says: (label, text), from each stage's metrics or None where it has none."""
    stages = {name: value for name, value in metrics.items() if isinstance(value, dict)}
    evaluate, encoder = stages.get("evaluate", {}), stages.get("encoder", {})
    rows = []
    if "gan_test" in evaluate:
        rows.append(("samples read as asked", f"{evaluate['gan_test']:.2%}  (independent judge)"))
    for key, label in _DIVERSITY:
        if key in evaluate:
            rows.append((label, f"{evaluate[key]:.2f} of the real images'"))
    if "test_accuracy" in encoder:
        rows.append(("encoder's test accuracy", f"{encoder['test_accuracy']:.2%}"))
    seconds = {
        name: value["seconds"]
        for name, value in stages.get("levels", {}).items()
        if isinstance(value, dict) and "seconds" in value
    }
    if seconds:
        spent = ", ".join(f"{name} {s:.0f} s" for name, s in seconds.items())
        rows.append(("training of the levels", spent))
    missing = [name for name in ORDER if name not in stages]
    if missing:
        rows.append(("not run yet", ", ".join(missing)))
    return rows


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON ({error}); run `dvc repro`") from error
