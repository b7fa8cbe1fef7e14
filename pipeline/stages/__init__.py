"""One module per DVC stage, in the order of the DAG.

What may not live here: anything that two stages share, and anything that decides a number.
"""

# What decides a stage's results: the entry modules whose import closure dvc.yaml watches. The rest
# of what a stage imports moves, stores, tracks or places.
DECIDED_BY = {
    "prepare": ("pipeline.data.sources", "pipeline.data.shard_writer"),
    "encoder": ("pipeline.parts.recipes.encoder",),
    "features": ("pipeline.data.encoding", "sgan.encoder"),
    "levels": ("pipeline.parts.recipes.level",),
    "joint": ("pipeline.parts.recipes.joint",),
    "evaluate": (
        "pipeline.scores.evaluation",
        "pipeline.scores.prepared",
        "pipeline.report.sheets",
    ),
    "report": ("pipeline.report.pages", "pipeline.report.gather"),
    "promote": ("pipeline.scores.gate",),
}
ORDER = tuple(DECIDED_BY)
