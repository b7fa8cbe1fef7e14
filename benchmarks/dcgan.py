"""A conditional DCGAN as tutorials write it, for images of 28 pixels.

Radford et al. 2015 (arXiv 1511.06434): its nets with two stages of 4x4 kernels instead of four,
since 28 pixels are 7 times two times two; Mirza and Osindero 2014 (arXiv 1411.1784): the label as
an embedding beside G's noise, and as a map beside D's image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgan.config import ImageConfig
from sgan.training import precision
from sgan.training.terms import NonFiniteLoss

NOISE = 100
EMBEDDING = 50
FEATURES = 64  # of the first convolution of D and the last but one of G
BATCH = 128
LEARNING_RATE = 2e-4
BETAS = (0.5, 0.999)
PRECISION = "auto"  # as our level 0: bfloat16 where the machine is quick at it
CPU = torch.device("cpu")


class Generator(nn.Module):
    """z [B, NOISE] and labels [B] -> images in [-1, 1], float [B, C, 28, 28]."""

    def __init__(self, image: ImageConfig) -> None:
        super().__init__()
        f, side = FEATURES, image.height // 4
        self.embed = nn.Embedding(image.num_classes, EMBEDDING)
        self.body = nn.Sequential(
            nn.ConvTranspose2d(NOISE + EMBEDDING, 2 * f, side, bias=False),
            nn.BatchNorm2d(2 * f),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * f, f, 4, 2, 1, bias=False),
            nn.BatchNorm2d(f),
            nn.ReLU(),
            nn.ConvTranspose2d(f, image.channels, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Images."""
        return self.body(torch.cat([z, self.embed(y)], 1)[:, :, None, None])


class Discriminator(nn.Module):
    """Images in [-1, 1] and labels [B] -> logits [B]."""

    def __init__(self, image: ImageConfig) -> None:
        super().__init__()
        f, side = FEATURES, image.height
        self.side = side
        self.embed = nn.Sequential(
            nn.Embedding(image.num_classes, EMBEDDING), nn.Linear(EMBEDDING, side * side)
        )
        self.body = nn.Sequential(
            nn.Conv2d(image.channels + 1, f, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(f, 2 * f, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * f),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * f, 1, side // 4),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits of being real."""
        label = self.embed(y).view(-1, 1, self.side, self.side)
        return self.body(torch.cat([x, label], 1)).flatten()


def start(module: nn.Module) -> None:
    """The paper's first weights: N(0, 0.02), and N(1, 0.02) for batch norm."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DCGAN:
    """Both nets and their optimizers, stepped on batches of real images.

    Args:
        image: the images' shape and classes.
        seed: of the first weights and the noise.
    """

    def __init__(self, image: ImageConfig, seed: int) -> None:
        torch.manual_seed(seed)
        self.g = Generator(image).apply(start).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.d = Discriminator(image).apply(start).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = [
            torch.optim.Adam(net.parameters(), LEARNING_RATE, BETAS, fused=True)
            for net in (self.g, self.d)
        ]
        self.dtype = precision.resolve(PRECISION, CPU)

    def step(self, x: Tensor, y: Tensor) -> None:
        """A step of D and one of G, by binary cross-entropy; x in [0, 1] [B, C, H, W].

        Raises NonFiniteLoss.
        """
        for_g, for_d = self.optimizers
        real, fakes = torch.ones(len(y)), torch.zeros(len(y))
        with precision.autocast(self.dtype, CPU):
            fake = self.g(torch.randn(len(y), NOISE), y)
            of_real, of_fake = self.d(2 * x - 1, y), self.d(fake.detach(), y)
        loss = F.binary_cross_entropy_with_logits(of_real.float(), real)
        loss = loss + F.binary_cross_entropy_with_logits(of_fake.float(), fakes)
        for_d.zero_grad()
        loss.backward()
        for_d.step()

        with precision.autocast(self.dtype, CPU):
            logits = self.d(fake, y)
        loss_g = F.binary_cross_entropy_with_logits(logits.float(), real)
        for_g.zero_grad()
        loss_g.backward()
        for_g.step()
        total = loss + loss_g
        if not torch.isfinite(total):
            raise NonFiniteLoss("the DCGAN's loss", total.item())

    @torch.no_grad()
    def sample(self, y: Tensor, seed: int, batch: int = 500) -> Tensor:
        """Images uint8 [B, H, W, C] of labels y, by the running statistics."""
        source, images = torch.Generator().manual_seed(seed), []
        self.g.eval()
        for start_row in range(0, len(y), batch):
            part = y[start_row : start_row + batch]
            z = torch.randn(len(part), NOISE, generator=source)
            pixels = (self.g(z, part) + 1) * 127.5
            images.append(pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
        self.g.train()
        return torch.cat(images).contiguous()
