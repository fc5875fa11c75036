"""Noise for a batch of inputs."""

import torch


def add_noise(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """A new tensor x + sigma e, where each entry of e is drawn from N(0, 1). x stays as it is."""
    # BEGIN SOLUTION return x with normal noise of standard deviation sigma
    return x + sigma * torch.randn_like(x)
    # END SOLUTION
