"""Random numbers that depend on (seed, step, rank) only: resuming needs no generator state."""

from __future__ import annotations


def mix(seed: int, index: int, rank: int) -> int:
    """One 63-bit seed of three numbers (splitmix64's finaliser), so that steps do not correlate."""
    golden, first, second = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
    value = (seed * golden + index * first + rank * second) % (1 << 64)
    for shift, factor in ((30, first), (27, second)):
        value = ((value ^ (value >> shift)) * factor) % (1 << 64)
    return (value ^ (value >> 31)) >> 1
