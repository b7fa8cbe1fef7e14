"""MLflow: which execution this is, its runs, its models. The only code that talks to MLflow.

What may not live here: anything that decides a number, or that a worker runs.
"""
