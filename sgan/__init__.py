"""Stacked Generative Adversarial Networks (Huang et al., CVPR 2017, arXiv 1612.04357): the method.

This package knows torch, numpy, safetensors and the standard library, and nothing of the
pipeline that runs it.
"""
