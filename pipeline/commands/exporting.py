"""`sgan export`: the stack for programs without torch."""

import argparse
from pathlib import Path
from typing import Any

from pipeline import options


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "export",
        help="write the stack as an ONNX file",
        **options.taught(
            "Write sampling as ONNX: `label` int64 [batch] and z_{N-1} … z_0 float32 [batch, "
            "length], each uniform in [0, 1), become `images` uint8 [batch, height, width, "
            "channels]. The file's metadata names the classes and the z's.",
            "sgan export --onnx stack.onnx",
        ),
    )
    command.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="file to write")
    options.add_weights(command)
    command.set_defaults(handler=_export)


def _export(arguments: argparse.Namespace) -> None:
    options.ends_in("onnx", arguments.onnx, ".onnx")
    from pipeline.export.onnx_model import export, input_names, metadata
    from pipeline.parts.supplying import file_sha256
    from pipeline.scores.trained import trained

    model = trained(arguments.weights)
    about = metadata(model.stack, model.classes, file_sha256(arguments.weights))
    export(arguments.onnx, model.stack, about)
    size = arguments.onnx.stat().st_size / 1e6
    inputs = ", ".join(input_names(model.stack))
    print(f"wrote {arguments.onnx} ({size:.1f} MB): {inputs} -> images uint8")
