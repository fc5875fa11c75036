"""Tells half precision, which keeps three digits, from the float32 that networks and losses are made of."""

from __future__ import annotations

import numpy as np

from autograder.core import Array, CheckFailed, Values

HALF = "half_precision"


def refuse_half(values: Values, name: str, what: str) -> None:
    """Raises `CheckFailed` where `values[name]` came as float16."""
    value = values.get(name)
    if isinstance(value, np.ndarray) and value.dtype == np.float16:
        raise CheckFailed(
            f"{what} has type float16. Expected: float32, the type of its inputs. Half precision keeps three digits "
            "and loses the small steps of training.",
            diagnosis=HALF,
        )


def is_half(values: Array) -> bool:
    """Whether most of these numbers are float16's, as those of a draw in half precision are.

    Of the float32 numbers in a gap of float16's, 2^13 or more, one is float16's. A draw whose density at most doubles
    within a gap hits it with a probability below 2^-12, so that half of n independent ones do with one below
    2^n 2^(-12 n / 2) = 2^(-5 n).
    """
    with np.errstate(over="ignore"):
        return float(np.mean(values == values.astype(np.float16))) > 0.5
