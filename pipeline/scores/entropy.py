"""The entropy budget: how many bits y and every z_i bring to the image, at least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.scores.levelwise import SELF
from pipeline.scores.naming import scored
from pipeline.scores.score import Score

if TYPE_CHECKING:
    from sgan.stack import Stack

_SAMPLES = 4000


def entropy_scores(stack: Stack, seed: int = 0, count: int = _SAMPLES) -> list[Score]:
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

    encoder, top_down = stack.encoder, list(reversed(stack.active))
    device = encoder.mean_image.device
    generator = torch.Generator(device).manual_seed(seed)
    # Labels change every other row, so that both halves of `noise_bits` have all of them.
    y = (torch.arange(count) // 2 % stack.config.image.num_classes).to(device)
    z = {i: stack.level(i).draw_z(count, generator) for i in top_down}
    facts: dict[str, Any] = {"judge": SELF, "n": count}
    with torch.no_grad():
        hidden = stack.sample_hidden(y, z)
        image = encoder.to_h0(encoder.to_pixels(hidden[0]))
        read = encoder.encode(image)
        scores = [scored("entropy", label_bits(read[-1], y), varies="y", **facts)]
        for i in top_down:
            recovery = stack.level(i).discriminator
            if i > 0:
                own = float(noise_bits(recovery(hidden[i])[1], z[i]).sum())
                scores.append(scored("entropy_level", own, level=i, given="joint", **facts))
            left = float(noise_bits(recovery(read[i])[1], z[i]).sum())
            scores.append(scored("entropy", left, varies=f"z_{i}", **facts))
    said = {"judge": SELF, "n_fake": count}
    return [score.with_protocol(**said) for score in scores]
