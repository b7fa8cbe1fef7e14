"""Bytes by key: a local folder or S3, atomic and verified. Knows no images and no training.

What may not live here: anything that knows what the bytes mean, or that decides a number.
"""
