"""`make chaos`: one `dvc repro` after another on nodes that share no files, while things die.

What may not live here: tests of pytest. `__main__` is the program, `world` what can break and is
mended, `faults` what breaks, `checks` what has to hold afterwards, `record` what is told of it.
"""
