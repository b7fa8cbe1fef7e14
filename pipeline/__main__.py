"""`python -m pipeline`: the same as the console script `sgan`."""

import sys

from pipeline.interpreter import remedy

try:
    from pipeline.cli import main
except ModuleNotFoundError as error:
    told = remedy(error)
    if told is None:
        raise
    print(f"error: {told}", file=sys.stderr)
    raise SystemExit(2) from None

raise SystemExit(main())
