"""Ray as such: connecting to it, its nodes, what travels to them.

What may not live here: parts, stages, scores. This room knows tasks and bytes, not what they are.
"""
