"""`sgan summary` and `sgan compose`: where the project stands, and how params.yaml is made."""

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.stages import ORDER


def add(commands: Any) -> None:
    """Add the subcommands."""
    summary = commands.add_parser(
        "summary",
        help="what the last `dvc repro` made, and what to try next",
        description="Print the newest results of this project and where they lie.",
    )
    summary.set_defaults(run=_summary)
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
    compose.set_defaults(run=_compose)


def _compose(arguments: argparse.Namespace) -> None:
    from pipeline.compose import compose

    compose(arguments.overrides, arguments.out)
    print(f"wrote {arguments.out}")


def _summary(_: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    root = paths.project_root()
    metrics = {stage: _read(root / paths.metrics_file(stage)) for stage in ORDER}
    if not metrics["evaluate"]:
        raise UserError("nothing has been evaluated here yet; run `dvc repro` first")
    console = Console(highlight=False, soft_wrap=True)
    table = Table(title="Trained: a stack of GANs", title_justify="left", show_header=False)
    for label, value in _headline(metrics):
        table.add_row(label, value)
    console.print(table)
    made = {
        "samples": paths.EVALUATE / "samples.png",
        "report": paths.EVALUATE / "report.html",
        "weights": paths.STACK_WEIGHTS,
    }
    for label, path in made.items():
        if (root / path).exists():
            console.print(f"  {label:8} {path}")
    console.print(
        "\nTry next:\n"
        "  sgan sample --label 3 --n 64 --out threes.png   (in .venv/bin)\n"
        "  make ui                                         runs side by side in MLflow\n"
        "  dvc metrics show                                every number\n"
        "  edit params.yaml (levels.1.lambda_ent, say) and `make repro`: only level 1 on retrains\n"
        "  dvc exp run -S budget=paper                     the paper's 200 epochs"
    )


def _headline(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    evaluate = metrics["evaluate"]
    rows = [
        ("samples read as asked", f"{evaluate['gan_test']:.2%}  (independent judge)"),
        (
            "diversity within a class",
            f"{evaluate['diversity_ratio']:.2f} of the real images'",
        ),
    ]
    if metrics["encoder"]:
        rows.append(("encoder's test accuracy", f"{metrics['encoder']['test_accuracy']:.2%}"))
    seconds = {n: m["seconds"] for n, m in (metrics["levels"] or {}).items() if "seconds" in m}
    if seconds:
        spent = ", ".join(f"{name} {s:.0f} s" for name, s in seconds.items())
        rows.append(("training of the levels", spent))
    return rows


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON ({error}); run `dvc repro`") from error
