"""What only a stack has: a score per level, and which input varies the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.scores.asked import some_classes
from pipeline.scores.diversity import RealDiversity, diversity
from pipeline.scores.extractor import weights_digest
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.naming import scored
from pipeline.scores.score import Score

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sgan.stack import Stack

_GROUPS_PER_CLASS = 4
_DRAWS = 25
_STUDIED_CLASSES = 100  # at most, of those whose diversity by one z is looked at
_SHARES_DRAWS = 8  # of each z below a node, fewer in a deep stack: 8^N for each of some classes
_SHARES_IMAGES, _SHARES_CLASSES = 2**14, 10  # about as many at most; and not fewer of many classes
AT_ONCE = 100  # sampled at once on a CPU, in whose cache their maps then stay
SELF = "E, Q of the stack itself (self-consistency only)"


def level_scores(
    stack: Stack, real: RealImages, judge: Judge, count: int, seed: int = 0
) -> list[Score]:
    """Per level i: the Fréchet distance between E's h_i and ĥ_i, Q_i's recovery of z_i, and the
    conditional term, each on the test split's conditions.

    'independent': G_i fed with the encoder's h_{i+1}; 'joint': with ĥ_{i+1} from above. At the top
    the two are one. Level 0 is the image, so its Fréchet distance is taken in the judge's features.

    Args:
        count: test images used, at most what there is.
    """
    import torch

    from sgan.metrics.frechet import level_distance

    device = stack.encoder.mean_image.device
    pixels = torch.from_numpy(real.test_images[:count]).permute(0, 3, 1, 2)
    y = torch.from_numpy(real.test_labels[:count]).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    h = _encode(stack, pixels)
    sampled = _above(stack, y, generator)
    other = _encode(stack, torch.from_numpy(real.train_images[: len(y)]).permute(0, 3, 1, 2))
    seen = [judge.features(x) for x in (real.test_images[:count], real.train_images[: len(y)])]
    h_judge, other_judge = (torch.from_numpy(features) for features in seen)
    sizes = {"n_real": len(y), "n_fake": len(y), "reference": "test"}
    facts: dict[str, Any] = {"judge": SELF, **sizes}
    by_e = {**facts, "judge_sha256": weights_digest(stack.encoder.state_dict())}
    scores = []
    for i in reversed(stack.active):
        conditions = {"independent": y if stack.level(i).is_top else h[i + 1]}
        if not stack.level(i).is_top:
            conditions["joint"] = sampled[i + 1]
        for source, cond in conditions.items():
            z = stack.level(i).draw_z(len(y), generator)
            fake = _by_parts(stack.level(i).generate, cond, z)
            scores += _recovered(stack, i, source, cond, z, fake, h, facts, by_e)
            if i > 0:
                sets, by, said, space = (h[i], other[i], fake), SELF, by_e, ""
            else:
                sampled_judge = torch.from_numpy(judge.features(_pixels(stack, fake)))
                sets, by = (h_judge, other_judge, sampled_judge), judge.name
                said, space = {**judge.protocol(), **sizes}, "features"
            floor, value = (level_distance(sets[0], each) for each in sets[1:])
            place: dict[str, Any] = {
                "level": i,
                "given": source,
                "judge": by,
                "n": len(y),
                "space": space,
            }
            scores.append(scored("frechet", value, real=floor, protocol=said, **place))
    return scores


def _above(stack: Stack, y: Tensor, generator: torch.Generator) -> dict[int, Tensor]:
    """ĥ_i of every level above the lowest, from the top down."""
    sampled: dict[int, Tensor] = {}
    cond = y
    for i in sorted(stack.active, reverse=True)[:-1]:
        z = stack.level(i).draw_z(len(y), generator)
        sampled[i] = cond = _by_parts(stack.level(i).generate, cond, z)
    return sampled


def _by_parts(work: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """`work` of the rows, so many at once that their maps stay in a processor's cache."""
    import torch

    with torch.no_grad():
        parts = zip(*(each.split(AT_ONCE) for each in rows), strict=True)
        return torch.cat([work(*part) for part in parts])


def _pixels(stack: Stack, h0: Tensor) -> np.ndarray:
    images: np.ndarray = stack.encoder.to_pixels(h0).permute(0, 2, 3, 1).cpu().numpy()
    return images


def _recovered(
    stack: Stack,
    i: int,
    source: str,
    cond: Tensor,
    z: Tensor,
    fake: Tensor,
    h: list[Tensor],
    facts: dict[str, Any],
    by_e: dict[str, Any],
) -> list[Score]:
    """Q_i's recovery of z_i, and E_i's of the condition; beside the latter E_i's on real h_i."""
    from sgan.metrics.recovery import label_recovery, recovery_error

    z_recovered = _by_parts(lambda x: stack.level(i).discriminator(x)[1], fake)
    recovered, of_real = (_by_parts(stack.encoder.blocks[i], x) for x in (fake, h[i]))
    place: dict[str, Any] = {"level": i, "given": source, "judge": SELF, "n": len(z)}
    explained = recovery_error(z_recovered, z).explained
    if stack.level(i).is_top:
        metric = "cond_nats"
        value = label_recovery(recovered, cond).cross_entropy
        real = label_recovery(of_real, cond).cross_entropy
    else:
        metric = "cond_explained"
        value = recovery_error(recovered, cond).explained
        real = recovery_error(of_real, h[i + 1]).explained
    return [
        scored("q_explained", explained, protocol=facts, **place),
        scored(metric, value, real=real, protocol=by_e, **place),
    ]


def noise_diversity(
    stack: Stack, judge: Judge, reference: RealDiversity, seed: int = 0
) -> list[Score]:
    """Diversity with one z_i varied and everything else fixed, for each level: for z_0 the decisive
    test of the entropy term, since other figures miss a G_0 that ignores z_0. Of more than a
    hundred classes so many are looked at, and the protocol says so (`classes`)."""
    import torch

    scores = []
    classes = some_classes(len(reference.classes), _STUDIED_CLASSES)
    facts = _of(len(classes), len(reference.classes))
    y = torch.from_numpy(classes).repeat(_GROUPS_PER_CLASS)
    for i in stack.active:
        images, groups = hierarchy(stack, y, i, _DRAWS, seed)
        labels = y.repeat_interleave(_DRAWS).numpy()
        scores += diversity(
            images, labels, judge, reference, groups=groups, varies=f"z_{i}", seed=seed, **facts
        )
    return scores


def _of(some: int, all_of_them: int) -> dict[str, Any]:
    """What a protocol says of the classes where some stand for all."""
    return {} if some == all_of_them else {"classes": f"{some} of {all_of_them}, spread evenly"}


def shares_shape(classes: int, levels: int) -> tuple[int, int]:
    """Classes, and draws of each z below a node, that `variance_scores` looks at: all classes and
    eight draws where that is some 16,000 images at most."""
    few = min(classes, _SHARES_CLASSES)
    draws = _SHARES_DRAWS
    while draws > 2 and few * draws**levels > _SHARES_IMAGES:
        draws -= 1
    return min(classes, max(few, _SHARES_IMAGES // draws**levels)), draws


def hierarchy(
    stack: Stack, y: Tensor, level: int, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Samples in groups that share y and every z but one.

    Args:
        y: labels int64 [G], one per group.
        level: its z is drawn `count` times per group, all others once.
        seed: of every draw.

    Returns:
        (images uint8 [G * count, H, W, C], group of each int64 [G * count]).
    """
    import torch

    device = stack.encoder.mean_image.device
    generator = torch.Generator(device).manual_seed(seed)
    z = {}
    for i in stack.active:
        own = len(y) * count if i == level else len(y)
        drawn = stack.level(i).draw_z(own, generator)
        z[i] = drawn if i == level else drawn.repeat_interleave(count, dim=0)
    groups = torch.arange(len(y)).repeat_interleave(count)
    images = stack.sample_uint8(y.to(device).repeat_interleave(count), z, batch_size=AT_ONCE)
    return images.cpu().numpy(), groups.numpy()


def variance_scores(stack: Stack, real: RealImages, seed: int = 0) -> list[Score]:
    """Shares of the image's variance that y, z_{N-1}, …, z_0 explain (sum to 1).

    Beside y's stands the label's share in real test images. Of many classes some are looked at
    (`shares_shape`), and the protocol says so (`classes`)."""
    import torch

    from sgan.metrics.recovery import class_share
    from sgan.metrics.variance import draw_hierarchy, variance_shares

    device = stack.encoder.mean_image.device
    generator = torch.Generator(device).manual_seed(seed)
    top_down = list(reversed(stack.active))

    count = stack.config.image.num_classes
    some, draws = shares_shape(count, len(top_down))
    classes = torch.from_numpy(some_classes(count, some))

    def sample(nth: Tensor, noise: list[Tensor]) -> Tensor:
        z = dict(zip(top_down, noise, strict=True))
        images: torch.Tensor = stack.sample_hidden(classes[nth].to(device), z)[0]
        return images.cpu()

    def draw(level: int) -> Any:
        return lambda count: stack.level(level).draw_z(count, generator)

    images = draw_hierarchy(
        sample,
        [draw(i) for i in top_down],
        some,
        [draws] * len(top_down),
    )
    found = variance_shares(images, all_classes=some == count)
    drawn = math.prod(images.shape)
    facts = {"judge": "pixels", "resize": "none", "n_fake": drawn, **_of(some, count)}
    facts |= {"n_real": len(real.test_images), "reference": "test"}
    pixels, labels = (torch.from_numpy(x) for x in (real.test_images, real.test_labels))
    try:
        of_label = {"y": class_share(pixels, labels)}
    except ValueError:  # held-out images that are all alike, or of which no two share a class
        of_label = {}
    return [
        scored(
            "variance",
            share,
            varies=name,
            n=drawn,
            space="pixels",
            real=of_label.get(name),
            protocol=facts,
        )
        for name, share in zip(found.names, found.shares, strict=True)
    ]


def _encode(stack: Stack, pixels: Tensor, batch: int = 1000) -> list[Tensor]:
    import torch

    device = stack.encoder.mean_image.device
    parts = []
    with torch.no_grad():
        for start in range(0, len(pixels), batch):
            h0 = stack.encoder.to_h0(pixels[start : start + batch].to(device))
            parts.append(stack.encoder.encode(h0))
    return [torch.cat(column) for column in zip(*parts, strict=True)]
