"""Searching a level's settings: trials on Ray Tune, what they are measured by, what came of them.

What may not live here: stages, and anything that decides a part's numbers. A trial is a part like
any other; measuring it leaves it as it is.
"""
