"""A trained stack behind HTTP, and the page to explore it with.

What may not live here: training, scoring, promoting; whatever is drawn comes from `sgan.drawing`.
"""
