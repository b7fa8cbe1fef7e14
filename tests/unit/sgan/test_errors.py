"""The errors of the method can be named without torch."""

import subprocess
import sys


def test_it_can_be_named_without_loading_torch() -> None:
    program = "import sys, sgan.errors, pipeline.errors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
