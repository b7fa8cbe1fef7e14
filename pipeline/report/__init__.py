"""Drawing: the report of a run, comparison pages, sheets and charts, from numbers that are there.

What may not live here: measuring or training; a page can be drawn again in seconds.
"""
