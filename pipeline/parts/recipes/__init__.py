"""What decides a part's weights, a module per kind: its task and its batches.

Each module's import closure is the part's code version. What may not be imported here, at any
depth: storage, tracking, checkpoints, progress, the cluster; they only move and tell.
"""
