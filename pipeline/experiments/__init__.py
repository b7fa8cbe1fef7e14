"""Executions of the pipeline side by side: the paper's comparison, and what differs between runs.

What may not live here: stages, and the command line's own words.
"""
