"""Measures that only a stack has, as pure functions on tensors; the caller samples."""
