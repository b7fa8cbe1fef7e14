"""Scores, image grids and the report of a trained stack: never judged by the stack's own encoder."""
