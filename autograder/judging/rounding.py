"""Numbers that carry a bound on what rounding may have done to them (Higham 2002, chapters 2, 3 and 9).

A judge computes what is expected in float64, and beside it how far a computation of unit roundoff `u`
may be from it in whatever order it adds up. What lies within the bound is right; there is no tolerance to choose.
The functions take plain arrays as well, and then return plain arrays: complex ones, too, for derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.core import Array
from autograder.judging.stats import gamma


@dataclass(frozen=True, eq=False)
class Bounded:
    """`value`, and for each entry by how much a result of unit roundoff `u` may differ: `error`, of its shape."""

    value: Array
    error: Array
    u: float

    def map(self, change: Callable[[Array], Array]) -> Bounded:
        """The same numbers in another arrangement: transposed, reshaped, a part of them."""
        return Bounded(change(self.value), change(self.error), self.u)

    def capped(self, most: float) -> Bounded:
        """With errors of at most `most`, for where the worst case is so far from any case that it says nothing."""
        return Bounded(self.value, np.fmin(self.error, most), self.u)

    def rounded(self, terms: float) -> Bounded:
        """With the error of as many roundings of the value more."""
        return Bounded(self.value, self.error + gamma(terms, u=self.u) * (np.abs(self.value) + self.error), self.u)


Number = Array | Bounded


def exact(value: Array, u: float) -> Bounded:
    """A number that is the same in both precisions."""
    return Bounded(value, np.zeros_like(value), u)


def move(x: Number, change: Callable[[Array], Array]) -> Number:
    """`change`, which only moves entries, done to a plain array or to both parts of a bounded one."""
    return x.map(change) if isinstance(x, Bounded) else change(x)


def add(x: Number, y: Number) -> Number:
    if not isinstance(x, Bounded):
        assert not isinstance(y, Bounded)
        return x + y
    other = y if isinstance(y, Bounded) else exact(y, x.u)
    return Bounded(x.value + other.value, x.error + other.error, x.u).rounded(1)


def matmul(x: Number, y: Number) -> Number:
    """Matrix products over the last two axes; ibid., equation 3.13."""
    if not isinstance(x, Bounded):
        assert not isinstance(y, Bounded)
        return x @ y
    return _product(x, y, x.value.shape[-1] + 1)


def scaled_matmul(x: Number, y: Number, factor: float) -> Number:
    """Matrix products times a constant such as 1 / sqrt(d), wherever it is multiplied: at x, at y, at both, or behind.

    The constant takes up to three operations and a product. At each of x and y a root of it may stand, as in torch's
    scaled_dot_product_attention; every product |x||y| then carries up to eight roundings more than the sum's own.
    Behind the sum it would be four of the result, which is no larger.
    """
    if not isinstance(x, Bounded):
        assert not isinstance(y, Bounded)
        return (x @ y) * factor
    product = _product(x, y, x.value.shape[-1] + 1 + 8)
    return Bounded(product.value * factor, product.error * abs(factor), x.u)


def _product(x: Bounded, y: Number, roundings: int) -> Bounded:
    other = y if isinstance(y, Bounded) else exact(y, x.u)
    left, right = np.abs(x.value) + x.error, np.abs(other.value) + other.error
    moved = x.error @ right + np.abs(x.value) @ other.error
    return Bounded(x.value @ other.value, moved + gamma(roundings, u=x.u) * (left @ right), x.u)


def relu(x: Number) -> Number:
    if isinstance(x, Bounded):
        return Bounded(np.maximum(x.value, 0), x.error, x.u)
    return np.where(x.real > 0, x, 0)


def softmax(scores: Number, hidden: Array) -> Number:
    """Softmax over the last axis of what is not hidden; `hidden` (broadcast) is True where the share is 0.

    If every score moves by at most e, every share changes by a factor between exp(-2e) and exp(2e). The exponential
    errs by a few u, and the difference that it is taken of by u of its size.
    """
    plain = scores.value if isinstance(scores, Bounded) else scores
    hidden = np.broadcast_to(hidden, plain.shape)
    lost = hidden.all(-1, keepdims=True)  # as of scores that are all as low: every share is the same
    plain, hidden = np.where(lost, 0, plain), hidden & ~lost
    shifted = plain - np.where(hidden, -np.inf, plain.real).max(-1, keepdims=True)
    powers = np.where(hidden, 0, np.exp(np.where(hidden, 0, shifted)))
    share: Array = powers / powers.sum(-1, keepdims=True)
    if not isinstance(scores, Bounded):
        return share
    moved = np.where(hidden, 0, scores.error + 2 * scores.u * np.abs(shifted)).max(-1, keepdims=True)
    factor = np.expm1(np.minimum(2 * moved, 50))  # a share is between 0 and 1, so that is no bound any more
    return Bounded(share, share * factor, scores.u).rounded(plain.shape[-1] + 12)


def layer_norm(x: Number, weight: Array, bias: Array, eps: float = 1e-5) -> Number:
    """Ba, Kiros and Hinton 2016, over the last axis.

    With the mean's error m and the centred values c, known up to e = error + m, the variance v is known up to
    2 mean(|c| e) + mean(e^2), and one over its root up to that share of v + eps.
    """
    plain = x.value if isinstance(x, Bounded) else x
    d = plain.shape[-1]
    centred = plain - plain.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True) + eps
    normal: Array = centred / np.sqrt(variance)
    if not isinstance(x, Bounded):
        return normal * weight + bias
    several = gamma(d + 4, u=x.u)
    m = x.error.mean(-1, keepdims=True) + several * (np.abs(plain) + x.error).mean(-1, keepdims=True)
    e = np.minimum(x.error + m, 1e9 * np.sqrt(variance))  # nor is that one; it must not overflow
    v = (2 * np.abs(centred) * e + e**2).mean(-1, keepdims=True) + several * variance
    part = np.minimum(v / variance, 0.5)  # beyond that there is no bound, and the values say nothing
    slack = 1 / np.sqrt(1 - part) - 1
    error = (e / np.sqrt(variance)) * (1 + slack) + np.abs(normal) * slack
    scaled_up = Bounded(normal, error, x.u).rounded(4)
    moved = Bounded(scaled_up.value * weight, scaled_up.error * np.abs(weight), x.u).rounded(1)
    return add(moved, np.broadcast_to(bias, plain.shape))
