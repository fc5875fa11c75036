"""The mathematics that the models share: Gaussians, binary pixels, and averages of log-probabilities."""

import numpy as np
import torch
import torch.nn.functional as F


def sample_gaussian(m, v):
    """Draw one reparameterised sample from the Gaussian N(m, diag(v)).

    The randomness must not stand between the sample and its parameters: the encoder learns only if
    gradients flow from the sample back to m and v.

    Args:
        m: (batch, dim) mean
        v: (batch, dim) variance (not the standard deviation), positive

    Returns:
        z: (batch, dim) the sample; every entry has noise of its own, and every call new noise
    """
    noise = torch.randn_like(m)
    return m + v * noise


def gaussian_parameters(h, dim=-1):
    """Split a network's output into the mean and the variance of a diagonal Gaussian.

    Args:
        h: (..., 2 * size, ...) along `dim`: the first half is the mean, the second the raw variance
        dim: which dimension to split

    Returns:
        m, v: (..., size, ...) each; v is positive
    """
    m, raw = torch.chunk(h, 2, dim=dim)
    # softplus(h) = log(1 + exp(h)) > 0, but it underflows to 0 for very negative h, and log(0) and 1/0
    # would follow in the KL term: hence the small constant.
    return m, F.softplus(raw) + 1e-8


def log_bernoulli_with_logits(x, logits):
    """Log-probability of binary pixels: log Bern(x | sigmoid(logits)), summed over the pixels.

    Args:
        x: (batch, dim) observations in {0, 1}
        logits: (batch, dim) log-odds of a one, as the decoder returns them

    Returns:
        log_prob: (batch,)
    """
    # log p(x) = sum_i x_i log sigma(l_i) + (1 - x_i) log(1 - sigma(l_i))
    # From logits it is computed without forming sigma, which would round to 0 or 1 and give log(0).
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def kl_normal(qm, qv, pm, pv):
    """KL divergence KL(q || p) between two diagonal Gaussians, in closed form.

    Args:
        qm, qv: (batch, dim) mean and variance of q
        pm, pv: (batch, dim), or anything that broadcasts to it: mean and variance of p

    Returns:
        kl: (batch,) summed over the dimensions
    """
    # KL = 1/2 sum_j [ log(pv_j / qv_j) + qv_j / pv_j + (qm_j - pm_j)^2 / pv_j - 1 ]
    terms = torch.log(pv) - torch.log(qv) + qv / pv + (qm - pm).pow(2) / pv - 1  # (batch, dim)
    return 0.5 * terms.sum(-1)


def duplicate(x, rep):
    """Stack `rep` copies of a batch: (batch, ...) -> (rep * batch, ...), copy after copy."""
    return torch.cat([x] * rep, dim=0)


def log_sum_exp(x, dim=0):
    """log(sum(exp(x))) along `dim`, without overflow: the largest entry is taken out of the exponentials."""
    return torch.logsumexp(x, dim=dim)


def log_mean_exp(x, dim):
    """log(mean(exp(x))) along `dim`: the average of probabilities that are known by their logarithms."""
    return log_sum_exp(x, dim) - np.log(x.size(dim))


def evaluate_lower_bound(model, labeled_test_subset):
    """Print and return the three averages that the homework asks for.

    Args:
        model: a VAE whose `negative_elbo_bound` returns (nelbo, kl, rec)
        labeled_test_subset: (images, labels), images (n, 784) in [0, 1]; the labels are not used

    Returns:
        (nelbo, kl, rec): floats, in nats per image
    """
    images, _ = labeled_test_subset
    # The model is one of binary pixels. A generator of its own makes every evaluation see the same pixels.
    x = torch.bernoulli(images.cpu(), generator=torch.Generator().manual_seed(0)).to(images.device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        nelbo, kl, rec = (float(value) for value in model.negative_elbo_bound(x))
    model.train(was_training)
    print(f"On {len(x)} test digits: negative ELBO {nelbo:.2f}, KL {kl:.2f}, reconstruction loss {rec:.2f}")
    return nelbo, kl, rec
