"""The neural networks inside the two models: encoder and decoder (VAE), generator and discriminator (GAN)."""

import torch
import utils as ut
from torch import nn


class Encoder(nn.Module):
    """q(z|x): from an image to the mean and variance of a Gaussian over the latent variables."""

    def __init__(self, z_dim):
        super().__init__()
        self.z_dim = z_dim
        self.net = nn.Sequential(
            nn.Linear(784, 300),
            nn.ELU(),
            nn.Linear(300, 300),
            nn.ELU(),
            nn.Linear(300, 2 * z_dim),
        )

    def encode(self, x):
        """x (batch, 784) -> m, v (batch, z_dim) each, v > 0 the variance."""
        h = self.net(x)  # (batch, 2 * z_dim)
        return ut.gaussian_parameters(h, dim=1)

    def forward(self, x):
        """The same as `encode`."""
        return self.encode(x)


class Decoder(nn.Module):
    """p(x|z): from latent variables to the logits of 784 independent binary pixels."""

    def __init__(self, z_dim):
        super().__init__()
        self.z_dim = z_dim
        self.net = nn.Sequential(
            nn.Linear(z_dim, 300),
            nn.ELU(),
            nn.Linear(300, 300),
            nn.ELU(),
            nn.Linear(300, 784),
        )

    def decode(self, z):
        """z (batch, z_dim) -> logits (batch, 784); no sigmoid here, the likelihood wants the logits."""
        return self.net(z)

    def forward(self, z):
        """The same as `decode`."""
        return self.decode(z)


class Generator(nn.Module):
    """From noise to an image; upsampling by PixelShuffle, which leaves no chequerboard behind."""

    def __init__(self, z_dim):
        super().__init__()
        self.z_dim = z_dim
        self.net = nn.Sequential(
            nn.Linear(z_dim, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Linear(512, 64 * 7 * 7),
            nn.BatchNorm1d(64 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.PixelShuffle(2),  # (batch, 64, 7, 7) -> (batch, 16, 14, 14): channels become pixels
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.PixelShuffle(2),  # (batch, 32, 14, 14) -> (batch, 8, 28, 28)
            nn.Conv2d(8, 1, kernel_size=3, padding=1),
            nn.Sigmoid(),  # pixels in [0, 1], as in the data
        )

    def forward(self, z):
        """z (batch, z_dim) -> images (batch, 1, 28, 28) with pixels in [0, 1]."""
        return self.net(z)


class Discriminator(nn.Module):
    """From an image to the logit h(x) of the probability D(x) = sigmoid(h(x)) that it is real."""

    def __init__(self):
        super().__init__()
        # No batch norm: it would let the score of one image depend on the others of its batch.
        self.net = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=4, stride=2, padding=1),  # (batch, 32, 14, 14)
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1),  # (batch, 64, 7, 7)
            nn.LeakyReLU(0.2),
            nn.Flatten(),  # (batch, 64 * 7 * 7)
            nn.Linear(64 * 7 * 7, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 1),
        )

    def forward(self, x):
        """x (batch, 1, 28, 28), or flat (batch, 784) -> logits (batch,)."""
        images = torch.reshape(x, (-1, 1, 28, 28))
        return self.net(images).squeeze(1)  # (batch, 1) -> (batch,)
