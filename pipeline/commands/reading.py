"""`sgan reconstruct` and `sgan neighbours`: what the stack keeps of images it has seen."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options

if TYPE_CHECKING:
    import numpy as np

    from pipeline.scores.trained import Trained


def add(commands: Any) -> None:
    """Add the subcommands."""
    reconstruct = commands.add_parser(
        "reconstruct",
        help="rebuild real images from their own h_i",
        **options.taught(
            "Encode real images to h_i and generate from that, with the noise below drawn "
            "anew for each row: what h_i keeps of an image, and what is left to z.",
            "sgan reconstruct --images photos/ --resize --out rebuilt.png",
        ),
    )
    reconstruct.add_argument(
        "--images",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="image files or folders; default: the test split's first",
    )
    reconstruct.add_argument(
        "--resize", action="store_true", help="crop and resize images of another size"
    )
    reconstruct.add_argument("--level", type=int, default=1, help="i of h_i (default: 1)")
    reconstruct.add_argument("--draws", type=int, default=3, help="of the noise (default: 3)")
    reconstruct.add_argument("--n", type=int, default=12, help="images at most (default: 12)")
    options.add_sheet(reconstruct)
    reconstruct.set_defaults(handler=_reconstruct)

    neighbours = commands.add_parser(
        "neighbours",
        help="samples over their nearest training images: is it memorising?",
        **options.taught(
            "Draw samples, and below each the training image nearest to it in pixels. Real "
            "test images are as near as the figure told; samples that are much nearer are copies.",
            "sgan neighbours --label 3 --n 16 --out nearest.png",
        ),
    )
    neighbours.add_argument("--label", help="class, number or name; default: all in turn")
    neighbours.add_argument("--n", type=int, default=12, help="samples (default: 12)")
    options.add_sheet(neighbours)
    neighbours.set_defaults(handler=_neighbours)


def _reconstruct(arguments: argparse.Namespace) -> None:
    from pipeline.data.image_files import image_files, read_images
    from pipeline.scores.studies import reconstructions
    from pipeline.scores.trained import trained

    options.ends_in("out", arguments.out, ".png")
    options.at_least("n", arguments.n, 1)
    options.at_least("draws", arguments.draws, 1)
    model = trained(arguments.weights)
    level = options.level_of(arguments.level, model.stack, lowest=1)
    if arguments.images:
        files = [file for path in arguments.images for file in image_files(path)]
        images = read_images(files[: arguments.n], model.image_shape, arguments.resize)
    else:
        images = model.split("test")[0][: arguments.n]
    seed = options.seed_of(arguments)
    sheet = reconstructions(model.stack, images, level, arguments.draws, seed)
    what = f"{len(images)} images and {arguments.draws} reconstructions of each from h_{level}"
    options.write_sheet(arguments, sheet, seed, what)


def _neighbours(arguments: argparse.Namespace) -> None:
    import torch

    from pipeline.scores.neighbours import nearest
    from pipeline.scores.studies import nearest_training
    from pipeline.scores.trained import trained

    options.ends_in("out", arguments.out, ".png")
    options.at_least("n", arguments.n, 1)
    model = trained(arguments.weights)
    train = model.split("train")[0]
    y = torch.arange(arguments.n) % len(model.classes)
    if arguments.label is not None:
        y = torch.full_like(y, options.label_of(arguments.label, model.classes))
    seed = options.seed_of(arguments)
    samples = model.stack.sample_uint8(y, generator=torch.Generator().manual_seed(seed)).numpy()
    sheet = nearest_training(samples, train, arguments.n)
    options.write_sheet(arguments, sheet, seed, f"{arguments.n} samples and their neighbours")
    near, real = nearest(samples, train)[0].mean(), _test_images(model, y.numpy())
    usual = f"{nearest(real, train)[0].mean():.2f}" if len(real) else "none are held out"
    print(
        f"mean distance to the nearest training image (pixels in [0, 1]): samples {near:.2f}, "
        f"real test images {usual}"
    )


def _test_images(model: "Trained", y: "np.ndarray", count: int = 200) -> "np.ndarray":
    """Test images of the classes sampled, for which the nearest one tells what is usual."""
    import numpy as np

    images, labels = model.split("test")
    return images[np.isin(labels, y)][:count]
