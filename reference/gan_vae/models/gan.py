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
        # BEGIN SOLUTION return the averages d_loss, g_loss, from the logits of self.d on real and fake images
        z = torch.randn(len(x_real), self.g.z_dim, device=device)  # (batch, z_dim)
        x_fake = self.g(z)  # (batch, 1, 28, 28)

        # L_D = -E_x[ log D(x) ] - E_z[ log(1 - D(G(z))) ],  and with logits h:
        # log D = logsigmoid(h),  log(1 - D) = logsigmoid(-h)     since 1 - sigmoid(h) = sigmoid(-h).
        # The fakes are detached because the discriminator takes them as given.
        h_real, h_fake = self.d(x_real), self.d(x_fake.detach())  # (batch,) each
        d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()

        # L_G = -E_z[ log D(G(z)) ]     (Goodfellow et al. 2014, section 3)
        # Its slope in h is -(1 - D), largest where the fakes are recognised (D near 0); the minimax loss
        # log(1 - D) has slope -D there, which vanishes just when the generator has most to learn.
        g_loss = -F.logsigmoid(self.d(x_fake)).mean()
        return d_loss, g_loss
        # END SOLUTION

    def sample_x(self, batch):
        """Generated images: (batch, 1, 28, 28) with pixels in [0, 1]."""
        z = torch.randn(batch, self.z_dim, device=next(self.g.parameters()).device)
        return self.g(z)
