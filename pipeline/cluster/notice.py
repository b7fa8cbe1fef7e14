"""On a node of a cluster that is about to end: what trains there saves first.

    python -m pipeline.cluster.notice           # at once: Kubernetes' preStop
    python notice.py --aws                      # on a spot machine of AWS: waits for its notice

Ray's raylet ends its workers within a tenth of a second of its own SIGTERM, less than a checkpoint
takes; so the tasks that train a part are told before it is. A rank of Ray Train and a trial of Ray
Tune would end at the signal and save nothing: they are left alone. Needs psutil alone: this file
may be copied to nodes that have no more than Ray. Exit status 1 where something trains on after the
limit.
"""

import argparse
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress

import psutil

_TRAINING = re.compile(r"ray::(encoder|level\d+|joint)\b")
_POLL_S = 0.05
_METADATA = "http://169.254.169.254/latest"
_ASK_AGAIN_S = 5.0


def part_of(process: psutil.Process) -> str:
    """The part that a process trains, by the title that Ray gives it; "" for none."""
    with suppress(psutil.Error, IndexError):
        if title := _TRAINING.match(process.cmdline()[0]):
            return title[1]
    return ""


def training() -> dict[int, str]:
    """The parts that train on this node, by process id."""
    return {process.pid: part for process in psutil.process_iter() if (part := part_of(process))}


def let_save(seconds: float) -> list[str]:
    """Tell what trains here to save and end; the parts that have not after so many seconds."""
    told, until = training(), time.monotonic() + seconds
    for pid in told:
        with suppress(psutil.Error):
            psutil.Process(pid).send_signal(signal.SIGTERM)
    # A process that has saved is idle, or gone; its part may begin again in it.
    while told and time.monotonic() < until:
        time.sleep(_POLL_S)
        told = {pid: part for pid, part in training().items() if told.get(pid) == part}
    return sorted(told.values())


def wait_for_aws() -> None:
    """Return once this machine's metadata say that it will be taken away (two minutes ahead)."""
    while True:
        with suppress(OSError):  # 404 until then; slow or away for a moment
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            token = _asked("/api/token", lifetime, "PUT")
            _asked("/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token})
            return
        time.sleep(_ASK_AGAIN_S)


def _asked(path: str, headers: dict[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(f"{_METADATA}{path}", headers=headers, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=2) as answer:
        return answer.read(1000).decode()


def main(argv: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--aws", action="store_true", help="wait for AWS's notice first")
    parser.add_argument("--seconds", type=float, default=9.0, help="that saving may take")
    options = parser.parse_args(argv)
    if options.aws:
        wait_for_aws()
    left = let_save(options.seconds)
    if left:
        print(f"not saved after {options.seconds:g} s: {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
