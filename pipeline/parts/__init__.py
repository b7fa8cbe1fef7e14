"""A trained part of the stack: its identity and key, its checkpoints, its worker, where it runs.

What may not live here: stages, scores, drawing; and the method itself, which is in `sgan`.
"""
