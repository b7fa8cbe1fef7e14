"""The paper's scores: Inception Score on CIFAR-10, 50,000 samples (arXiv 1612.04357, Table 1)."""

INCEPTION_SCORES: dict[str, tuple[float, float | None]] = {  # mean, sd where it is given
    "SGAN": (8.59, 0.12),
    "SGAN, no joint stage": (8.37, 0.08),
    "AC-GAN": (8.25, None),
    "Improved GAN": (8.09, None),
    "one GAN: adversarial, conditional, entropy": (7.16, 0.10),
    "DCGAN": (6.58, None),
    "one GAN: adversarial": (6.16, 0.07),
    "one GAN: adversarial, conditional": (5.40, 0.08),
    "one GAN: adversarial, entropy": (5.40, 0.16),
    "real images": (11.24, None),
}
