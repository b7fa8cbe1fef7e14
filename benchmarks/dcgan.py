"""A conditional DCGAN as tutorials write it, for images of 28 pixels.

Radford et al. 2015 (arXiv 1511.06434): its nets with two stages of 4x4 kernels instead of four,
since 28 pixels are 7 times two times two; Mirza and Osindero 2014 (arXiv 1411.1784): the label as
an embedding beside G's noise, and as a map beside D's image, or as a projection (Miyato and Koyama
2018, arXiv 1802.05637). `benchmarks.tune_dcgan` looks for its settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sgan.config import ImageConfig
from sgan.training import precision
from sgan.training.terms import NonFiniteLoss

NOISE = 100
EMBEDDING = 50
BETAS = (0.5, 0.999)
PRECISION = "auto"  # as our level 0: bfloat16 where the machine is quick at it
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """What is tuned. The defaults are the tutorials'.

    Attributes:
        lr_g, lr_d: Adam's rates.
        batch: images a step.
        features: channels of D's first convolution and of G's last but one.
        head: how D meets the label.
        ema: decay a step of the averaged G that samples are drawn by; 0: G itself.
    """

    lr_g: float = 2e-4
    lr_d: float = 2e-4
    batch: int = 128
    features: int = 64
    head: Literal["map", "projection"] = "map"
    ema: float = 0.0


TUNED = Settings(1e-3, 1e-3, batch=64, ema=0.995)


class Generator(nn.Module):
    """z [B, NOISE] and labels [B] -> images in [-1, 1], float [B, C, 28, 28]."""

    def __init__(self, image: ImageConfig, features: int) -> None:
        super().__init__()
        f, side = features, image.height // 4
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

    def __init__(self, image: ImageConfig, settings: Settings) -> None:
        super().__init__()
        f, side = settings.features, image.height
        self.side, self.head = side, settings.head
        as_map = self.head == "map"
        size = side * side if as_map else 2 * f * (side // 4) ** 2
        self.embed = nn.Sequential(
            nn.Embedding(image.num_classes, EMBEDDING), nn.Linear(EMBEDDING, size)
        )
        self.body = nn.Sequential(
            nn.Conv2d(image.channels + as_map, f, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(f, 2 * f, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * f),
            nn.LeakyReLU(0.2),
        )
        self.last = nn.Conv2d(2 * f, 1, side // 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits of being real."""
        label = self.embed(y)
        if self.head == "map":
            x = torch.cat([x, label.view(-1, 1, self.side, self.side)], 1)
        features = self.body(x)
        logits = self.last(features).flatten()
        if self.head == "projection":
            logits = logits + (features.flatten(1) * label).sum(1)
        return logits


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
        settings: the tuned ones.
    """

    def __init__(self, image: ImageConfig, seed: int, settings: Settings = Settings()) -> None:
        torch.manual_seed(seed)
        nets = Generator(image, settings.features), Discriminator(image, settings)
        self.g, self.d = (
            net.apply(start).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for net in nets
        )
        rates = (self.g, settings.lr_g), (self.d, settings.lr_d)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), rate, BETAS, fused=True) for net, rate in rates
        ]
        self.averaged: AveragedModel | None = None
        if settings.ema:
            decay = get_ema_multi_avg_fn(settings.ema)
            self.averaged = AveragedModel(self.g, multi_avg_fn=decay, use_buffers=True)
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
        if self.averaged is not None:
            self.averaged.update_parameters(self.g)
        total = loss + loss_g
        if not torch.isfinite(total):
            raise NonFiniteLoss("the DCGAN's loss", total.item())

    @torch.no_grad()
    def sample(self, y: Tensor, seed: int, batch: int = 500) -> Tensor:
        """Images uint8 [B, H, W, C] of labels y, by the running statistics."""
        source, images = torch.Generator().manual_seed(seed), []
        g = self.g if self.averaged is None else self.averaged
        g.eval()
        for start_row in range(0, len(y), batch):
            part = y[start_row : start_row + batch]
            z = torch.randn(len(part), NOISE, generator=source)
            pixels = (g(z, part) + 1) * 127.5
            images.append(pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
        g.train()
        return torch.cat(images).contiguous()
