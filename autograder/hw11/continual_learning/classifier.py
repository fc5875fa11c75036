"""The classifier that the probes train, in closed form: its gradients, and how far rounding may move them.

Logits z = theta (x, 1) for theta (c, d + 1), the last column being the bias; with p = softmax(z) and the label t, the
gradient of the cross entropy of one image to theta is (p - onehot(t)) (x, 1)^T.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.special import softmax

from autograder.core import Array, CheckFailed, Values
from autograder.judging.judges import array
from autograder.judging.stats import gamma

ROUNDINGS = 32
"""Of p - onehot(t) from the logits, beside the sum over classes: subtracting the largest logit, an exponential (within
one unit in the last place, which is two roundings) and a logarithm of the sum, another subtraction and exponential,
the quotient and the difference make 10; the product with x, the mean's and the loss's factors 3 more. Twice that and
a little is for other ways to write them."""
EPSILON = 1e-6
"""What is often added to a probability, a square or a Fisher information to keep it from zero: harmless, and allowed
beside rounding."""
PLAUSIBLE = 0.1
"""A label is given to an image only if the model's probability of it is at least this, where it is drawn at random."""


def listed(values: Values, name: str, *, most: int, what: str) -> Array:
    """A list of whole numbers that a probe reported. Raises `CheckFailed` where it is none, or has more than `most`.

    What is too large for any number is cut down to a billion. The length is looked at before anything is computed.
    """
    value = values.get(name)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.size > most:
        raise CheckFailed(f"{what or name} is missing or too long. Expected: at most {most} numbers.")
    found: Array = np.rint(np.clip(array(values, name, what=what), -1e9, 1e9)).astype(int)
    return found


def extended(x: Array) -> Array:
    """(x, 1), (n, d + 1)."""
    ones: Array = np.concatenate([x.astype(float), np.ones((len(x), 1))], 1)
    return ones


def shares(theta: Array, x: Array) -> Array:
    """p (n, c)."""
    p: Array = softmax(extended(x) @ theta.T, axis=1)
    return p


def plausible(rng: Generator, theta: Array, x: Array) -> Array:
    """Labels (n,), each drawn among those that the model finds possible: log(p + EPSILON) is log p for these."""
    p = shares(theta.astype(float), x)
    drawn: Array = (rng.random(p.shape) * (p >= PLAUSIBLE)).argmax(1)
    return drawn


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
    logit = gamma(d + 2) * float((inputs @ np.abs(theta).T).max(initial=0.0))
    bound: Array = inputs.max(0, initial=0.0) * (2 * logit + gamma(n + len(theta) + ROUNDINGS))
    return bound


def tiny(theta: Array, x: Array, t: Array, *, least: float = 0.0) -> Array:
    """How far log(p + EPSILON) in place of log p may move each image's gradient, (n, c, d + 1).

    The derivative of log(p_t + EPSILON) is that of log p_t times p_t / (p_t + EPSILON). For probabilities below `least`
    no more is allowed than for that.
    """
    p = np.take_along_axis(shares(theta, x), t.astype(int)[:, None], 1).clip(least)
    found: Array = np.abs(slopes(theta, x, t)) * (EPSILON / (p + EPSILON))[:, :, None]
    return found
