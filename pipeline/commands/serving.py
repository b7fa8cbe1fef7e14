"""`sgan serve`: the trained stack behind HTTP, with a page to explore it."""

import argparse
from pathlib import Path
from typing import Any

from pipeline import options, paths


def add(commands: Any) -> None:
    """Add the subcommand."""
    serve = commands.add_parser(
        "serve",
        help="images over HTTP, and a page to explore the stack's noise",
        **options.taught(
            "Open the address that it prints: pick a class, move along z_1 and z_0, walk between "
            "samples. Programs ask POST /v1/samples; /docs describes the rest. Other weights in "
            "the file, or another version behind the alias, are taken up without a pause.",
            "sgan serve --model models:/sgan-mnist@champion",
        ),
    )
    which = serve.add_mutually_exclusive_group()
    options.add_model(which)
    which.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help=f"trained stack (default: {paths.STACK_WEIGHTS})",
    )
    serve.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    serve.add_argument("--port", type=int, default=8000, help="0: any (default: 8000)")
    serve.add_argument(
        "--poll", type=float, default=5.0, metavar="SECONDS", help="look for other weights (5)"
    )
    serve.set_defaults(handler=_serve)


def _serve(arguments: argparse.Namespace) -> None:
    from pipeline.errors import UserError
    from pipeline.serving.server import serve
    from pipeline.serving.sources import source

    if not 0.1 <= arguments.poll <= 86400:
        raise UserError(f"--poll {arguments.poll}: must be 0.1 to 86400 seconds")
    given = source(arguments.model, arguments.weights)
    serve(given, arguments.host, arguments.port, arguments.poll)
