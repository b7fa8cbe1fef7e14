"""What surrounds a stage's own work: parameters, lock, signals, MLflow run, paths.

What may not live here: what a stage does.
"""
