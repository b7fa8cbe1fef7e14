"""`python -m pipeline`: the same as the console script `sgan`."""

from pipeline.cli import main

raise SystemExit(main())
