"""The generative adversarial network: a generator that learns to pass for the data."""

import torch
from models import nns
from torch import nn
from torch.nn import functional as F


class GAN(nn.Module):
    """Images g(z) from noise z ~ N(0, I), and a discriminator with D(x) = sigmoid(d(x))."""

    def __init__(self, name="gan", z_dim=2):
        super().__init__()
        self.name = name
        self.z_dim = z_dim
        self.g = nns.Generator(z_dim=z_dim)
        self.d = nns.Discriminator()

    def loss_nonsaturating(self, x_real, *, device):
        """The discriminator's loss and the generator's non-saturating loss, on one batch.

        The trainer moves each network by the gradient of its own loss only, so it makes no difference there
        whether d_loss could reach the generator.

        Args:
            x_real: (batch, 1, 28, 28) real images with pixels in [0, 1]
            device: where the noise belongs

        Returns:
            d_loss, g_loss: scalars, averages over the batch
        """
        batch_size = x_real.shape[0]
        z = torch.randn(batch_size, self.g.z_dim, device=device)
        fake = self.g(z)

        real_logits = self.d(x_real)
        fake_logits = self.d(fake.detach())
        d_loss = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        d_loss = d_loss + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))

        g_loss = F.logsigmoid(-self.d(fake)).mean()  # log(1 - D(G(z)))
        return d_loss, g_loss

    def sample_x(self, batch):
        """Generated images: (batch, 1, 28, 28) with pixels in [0, 1]."""
        z = torch.randn(batch, self.z_dim, device=next(self.g.parameters()).device)
        return self.g(z)
