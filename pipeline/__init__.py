"""The workflow around the method: data, tracking, cluster, stages and the command line.

Arrows run one way: stages -> {cluster, worker, tracking, data, params} -> sgan.
"""
