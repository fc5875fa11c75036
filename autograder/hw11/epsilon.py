"""What a tiny constant, put where a root, a logarithm or a quotient of 0 might be, may change: it is harmless.

Many right answers hold one: sqrt(v + 1e-8), log(p + 1e-6), clamp(min=1e-6). Every bound of questions 4 and 5 allows
for up to EPSILON in any of these places, by what that changes at the numbers that were drawn.
"""

from __future__ import annotations

import numpy as np

from autograder.core import Array

EPSILON = 1e-6
ALLOWED = "You may add a constant of up to 1e-6 to avoid the root or the logarithm of 0."


def of_variance(v: Array) -> Array:
    """By how much a variance may have grown: with sqrt(v + e) + e for a root it is v + e + 2 e sqrt(v + e) + e^2.

    The clamp of a variance, which is at least 1e-4 in all that is asked, changes nothing.
    """
    grown: Array = EPSILON * (1 + 2 * np.sqrt(v + EPSILON) + EPSILON)
    return grown


def of_root_slope(v: Array) -> Array:
    """By which share of itself dz/dv = (z - m) / (2 v) may be smaller.

    z = m + sqrt(v + e) n has dz/dv = (z - m) / (2 (v + e)); z = m + (sqrt(v) + e) n has (z - m) / (2 v) times
    sqrt(v) / (sqrt(v) + e).
    """
    share: Array = EPSILON * (1 / v + 1 / np.sqrt(v))
    return share


def of_log_probability(minus_log_p: Array) -> Array:
    """By how much -log p may change where p + e, or p (1 - 2 e) + e, is under the logarithm: e / p = e exp(-log p)."""
    change: Array = EPSILON * np.exp(minus_log_p)
    return change
