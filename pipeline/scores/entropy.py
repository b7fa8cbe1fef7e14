"""The entropy budget: how many bits y and every z_i bring to the image, at least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.scores.levelwise import AT_ONCE, SELF
from pipeline.scores.naming import scored
from pipeline.scores.score import Score

if TYPE_CHECKING:
    from torch import Tensor

    from sgan.stack import Stack


def entropy_scores(stack: Stack, seed: int, count: int) -> list[Score]:
    """Of y, z_{N-1}, …, z_0 the bits that are left in the image (x̂ in whole grey values, through E,
    to the Q of every level), and of each z_i with i > 0 the bits in its own ĥ_i.

    Bounds by the stack's own E and Q: bits that these cannot read are not counted.

    Args:
        stack: all of its levels.
        seed: of the noise.
        count: samples, classes in turn; half of them fit Q's variances.
    """
    import torch

    from sgan.metrics.entropy import label_bits, noise_bits

    device, top_down = stack.encoder.mean_image.device, list(reversed(stack.active))
    generator = torch.Generator(device).manual_seed(seed)
    # Labels change every other row, so that both halves of `noise_bits` have all of them.
    y = (torch.arange(count) // 2 % stack.config.image.num_classes).to(device)
    z = {i: stack.level(i).draw_z(count, generator) for i in top_down}
    parts = []
    for start in range(0, count, AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        parts.append(_read(stack, y[rows], {i: noise[rows] for i, noise in z.items()}))
    read = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    facts: dict[str, Any] = {"judge": SELF, "n": count}
    facts["protocol"] = {"judge": SELF, "n_fake": count}
    scores = [scored("entropy", label_bits(read["y"], y), varies="y", **facts)]
    for i in top_down:
        if i > 0:
            bits = float(noise_bits(read[f"ĥ_{i}"], z[i]).sum())
            scores.append(scored("entropy_level", bits, level=i, given="joint", **facts))
        bits = float(noise_bits(read[f"z_{i}"], z[i]).sum())
        scores.append(scored("entropy", bits, varies=f"z_{i}", **facts))
    return scores


def _read(stack: Stack, y: Tensor, z: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """What E and every Q_i read back: "y" and "z_i" of the finished images, "ĥ_i" is z_i of its own
    ĥ_i."""
    import torch

    encoder = stack.encoder
    with torch.no_grad():
        hidden = stack.sample_hidden(y, z)
        seen = encoder.encode(encoder.to_h0(encoder.to_pixels(hidden[0])))
        found = {"y": seen[-1]}
        for i in z:
            recovery = stack.level(i).discriminator
            found[f"z_{i}"] = recovery(seen[i])[1]
            if i > 0:
                found[f"ĥ_{i}"] = recovery(hidden[i])[1]
    return found
