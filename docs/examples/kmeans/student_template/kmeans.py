"""k-means in NumPy."""

import numpy as np


def step(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """One step of Lloyd's algorithm: x (n, dim), centres (k, dim) -> new centres (k, dim)."""
    raise NotImplementedError(
        "step: each centre becomes the mean of the points that are nearest to it"
    )


def first_centres(x: np.ndarray, k: int) -> np.ndarray:
    """k rows of x: the first at random, each other with a probability that grows with its squared distance."""
    raise NotImplementedError("first_centres: choose k rows of x as k-means++ does")
