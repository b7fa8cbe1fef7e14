"""One module per DVC stage, in the order of the DAG."""

ORDER = ("prepare", "encoder", "features", "levels", "joint", "evaluate", "report")
