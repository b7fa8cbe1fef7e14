"""The workflow around the method, in rooms. A room imports only those below it, and `sgan`.

From the top: commands, stages, execution, experiments, report, scores, parts, tracking, data,
params, storage; the contract is in pyproject.toml. Each room's docstring says what lives in it.
"""
