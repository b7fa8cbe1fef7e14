"""`sgan submit` and `sgan job`: the pipeline as a job of a Ray cluster, outside and inside."""

import argparse
from typing import Any

from pipeline import paths

_SUBMIT_HELP = """\
Run `dvc repro` as a job of a Ray cluster. The checkout travels: what git does not ignore, without
.git and without data (except small data that params.yaml names). What the job makes stays in
storage, from which the next job reuses it and `--fetch` brings it here.

The job has a name made of what was submitted, so submitting the same again attaches to it. Ctrl-C
asks whether to stop the job or to leave it running. The exit status is the job's.

Credentials (AWS_*, MLFLOW_*) are handed over apart from the job's settings: `ray job list`, the
dashboard and the log do not show them. The cluster's own token is RAY_AUTH_TOKEN.
"""
_SUBMIT_EXAMPLES = """\
examples:
  sgan submit --address http://head:8265 --storage s3://bucket/mnist
  sgan submit --address http://head:8265 --storage /srv/sgan -- levels    up to that stage
  sgan submit --fetch --storage s3://bucket/mnist                         then: dvc repro

environment:
  RAY_API_SERVER_ADDRESS, RAY_ADDRESS   the job server, where --address is not given
  SGAN_STORAGE                          where things stay, where --storage is not given
  MLFLOW_TRACKING_URI                   an MLflow server that the cluster reaches
"""


def add(commands: Any) -> None:
    """Add the subcommands."""
    submit = commands.add_parser(
        "submit",
        help="run the pipeline as a job of a Ray cluster, or fetch what one made",
        description=_SUBMIT_HELP,
        epilog=_SUBMIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    submit.add_argument("--address", metavar="URL", help="the job server: http://host:8265")
    _add_storage(submit)
    submit.add_argument(
        "--data",
        choices=("travels", "there"),
        default="",
        help="a local data.source outside the project: send it along, or the head has it too",
    )
    _add_new_data(submit)
    submit.add_argument("--no-wait", action="store_true", help="do not follow the job")
    submit.add_argument("--python", default="python", help="the head's Python (default: python)")
    submit.add_argument(
        "--fetch",
        nargs="?",
        const="",
        metavar="JOB",
        help="bring what a job made into this checkout (default: the job of this checkout)",
    )
    submit.add_argument("arguments", nargs="*", metavar="-- DVC", help="arguments of `dvc repro`")
    submit.set_defaults(handler=_submit)
    job = commands.add_parser(
        "job",
        help="what runs inside a Ray job",
        description="Run `dvc repro` inside a Ray job and keep what it made. `sgan submit` "
        "starts it; so does `ray job submit --working-dir . -- python -m pipeline job …`.",
    )
    _add_storage(job)
    _add_new_data(job)
    job.add_argument("--name", default="", help="keep the results under this name")
    job.add_argument("--handed", help=argparse.SUPPRESS)
    job.add_argument("arguments", nargs="*", metavar="-- DVC", help="arguments of `dvc repro`")
    job.set_defaults(handler=_job)


def _add_storage(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--storage",
        metavar="WHERE",
        help="s3://bucket/prefix, or an absolute folder of the head (default: SGAN_STORAGE)",
    )


def _add_new_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--new-data",
        action="store_true",
        help="look at data.source again, which DVC does not watch: `prepare` runs in any case",
    )


def _submit(arguments: argparse.Namespace) -> None:
    from pipeline.execution import submitting

    root = paths.project_root()
    if arguments.fetch is not None:
        submitting.fetch(
            root,
            arguments.fetch,
            arguments.storage,
            arguments.arguments,
            arguments.data,
            arguments.new_data,
        )
        return
    status = submitting.submit(
        root,
        address=submitting.address_of(arguments.address),
        storage=arguments.storage,
        arguments=arguments.arguments,
        data=arguments.data,
        python=arguments.python,
        wait=not arguments.no_wait,
        new_data=arguments.new_data,
    )
    if status:
        raise SystemExit(status)


def _job(arguments: argparse.Namespace) -> None:
    from pipeline.execution import job

    status = job.run(
        arguments.storage,
        arguments.arguments,
        arguments.handed,
        arguments.name,
        new_data=arguments.new_data,
    )
    if status:
        raise SystemExit(status)
