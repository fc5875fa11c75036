"""The classifier that the probes train, in closed form: its gradients, and how far rounding may move them.

Logits z = theta (x, 1) for theta (c, d + 1), the last column being the bias; with p = softmax(z) and the label t, the
gradient of the cross entropy of one image to theta is (p - onehot(t)) (x, 1)^T.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from autograder.core import Array
from autograder.stats import gamma

SLACK = 50
"""Roundings of a softmax, a logarithm and a product beside those of the sums over classes, inputs and images."""


def whole(values: Array) -> Array:
    """A list of numbers that a probe reported, as integers; what is too large for any is cut down to a billion."""
    found: Array = np.rint(np.clip(np.atleast_1d(values), -1e9, 1e9)).astype(int)
    return found


def extended(x: Array) -> Array:
    """(x, 1), (n, d + 1)."""
    ones: Array = np.concatenate([x.astype(float), np.ones((len(x), 1))], 1)
    return ones


def shares(theta: Array, x: Array) -> Array:
    """p (n, c)."""
    p: Array = softmax(extended(x) @ theta.T, axis=1)
    return p


def slopes(theta: Array, x: Array, t: Array) -> Array:
    """The gradient of each image's cross entropy, (n, c, d + 1)."""
    score = shares(theta, x) - np.eye(len(theta))[t.astype(int)]
    found: Array = score[:, :, None] * extended(x)[:, None, :]
    return found


def error(theta: Array, x: Array) -> Array:
    """How far rounding in float32 may move the gradient of an image, or of the mean of some, (d + 1,).

    A logit errs by e <= gamma (|x|, 1) |theta|^T, so log p by 2 e, and p, which is at most 1, by 2 e and a few
    roundings; as much does p - onehot(t), and its product with x is averaged over up to n images.
    """
    n, d = x.shape
    inputs = np.abs(extended(x))
    logit = gamma(d + 2) * float((inputs @ np.abs(theta).T).max())
    bound: Array = inputs.max(0) * (2 * logit + gamma(n + len(theta) + SLACK))
    return bound
