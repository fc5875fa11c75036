"""The generative adversarial network: a generator that learns to pass for the data."""

import torch
from torch import nn
from torch.nn import functional as F

from models import nns


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
        raise NotImplementedError(
            "loss_nonsaturating: return the averages d_loss, g_loss, from the logits of self.d on "
            "real and fake images"
        )

    def sample_x(self, batch):
        """Generated images: (batch, 1, 28, 28) with pixels in [0, 1]."""
        z = torch.randn(batch, self.z_dim, device=next(self.g.parameters()).device)
        return self.g(z)
