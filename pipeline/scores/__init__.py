"""Measuring: protocols, judges, and one Score type that says how a number came about.

What may not live here: drawing, MLflow, stages. E never judges.
"""
