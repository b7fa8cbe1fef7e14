"""`sgan retrain`: what is stale trained, kept, and put before people as a branch with its verdict.

What may not live here: stages, training, conditions of the gate, a registry of its own.
"""
