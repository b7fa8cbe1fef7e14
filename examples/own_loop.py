"""A Stacked GAN without the workflow: images in an .npz, a grid of samples out.

    python examples/own_loop.py mnist.npz samples.png

The .npz holds x (uint8 [N, 28, 28]) and y (integers [N], 0 to 9). With the defaults two cores take
some ten minutes; the third argument is the images that each training sees.
"""

import sys

import numpy as np
import torch
from PIL import Image

from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig
from sgan.training.assembly import independent, joint
from sgan.training.batches import TensorBatches
from sgan.training.classifier import pretraining
from sgan.training.loop import Hooks, train


def main(data: str, out: str, images: int = 80_000) -> None:
    arrays = np.load(data)
    pixels = torch.from_numpy(arrays["x"])[:, None]  # uint8 [N, 1, 28, 28]
    y = torch.from_numpy(arrays["y"].astype(np.int64))
    ours = {"total_images": images, "z_gain": 2.0, "d_init": "he", "lr_g": 5e-4, "lr_d": 5e-4}
    config = StackConfig(
        image=ImageConfig(channels=1, height=28, width=28, num_classes=10),
        encoder=EncoderConfig(architecture="mnist", cut=("fc",), total_images=images),
        levels=(LevelConfig(lambda_ent=30, **ours), LevelConfig(lambda_ent=10, **ours)),
    )

    def fit(name, task, columns):
        def shown(seen, terms):
            print(
                f"{name}: {seen:,} images, " + ", ".join(f"{k} {v:.3f}" for k, v in terms.items())
            )

        needed = {i: columns[i] for i in task.hidden_needed}
        train(
            task,
            TensorBatches(needed, y, task.to_h0, task.batch_size, task.seed),
            Hooks(report=shown, report_every=200),
        )
        return task

    # E, a classifier; frozen, it gives h_1 of every image
    encoder = fit("E", pretraining(config.image, config.encoder), {0: pixels}).encoder.freeze()
    with torch.no_grad():
        h1 = torch.cat([encoder.encode(encoder.to_h0(part))[1] for part in pixels.split(1000)])
    columns, e = {0: pixels, 1: h1}, encoder.state_dict()

    # each level alone: G_1(y, z_1) -> h_1 and G_0(h_1, z_0) -> x; then both together
    alone = [fit(f"level {i}", independent(config, i, e), columns).stack for i in (0, 1)]
    levels = {i: stack.level(i).state_dict() for i, stack in enumerate(alone)}
    together = JointConfig(total_images=max(100, images // 4), lr_g=3e-5, lr_d=3e-5)
    stack = fit("joint", joint(config, together, e, levels), columns).stack.eval()

    grid = stack.sample_uint8(torch.arange(10).repeat_interleave(10))  # [100, 28, 28, 1]
    rows = grid.reshape(10, 10, 28, 28).permute(0, 2, 1, 3).reshape(280, 280)
    Image.fromarray(rows.numpy()).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
