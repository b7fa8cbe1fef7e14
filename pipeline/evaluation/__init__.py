"""Scores, image grids and the report. No score is judged by the stack's own encoder E."""
