"""Images in, batches out: sources, readers, shards, features.

What may not live here: training, scores, MLflow. The readers of shards and features decide what is
learnt, and so import nothing that only moves bytes.
"""
