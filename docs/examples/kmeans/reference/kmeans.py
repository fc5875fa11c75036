"""k-means in NumPy."""

import numpy as np


def step(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """One step of Lloyd's algorithm: x (n, dim), centres (k, dim) -> new centres (k, dim)."""
    # BEGIN SOLUTION each centre becomes the mean of the points that are nearest to it
    nearest = ((x[:, None] - centres) ** 2).sum(-1).argmin(1)
    return np.stack([x[nearest == k].mean(0) for k in range(len(centres))])
    # END SOLUTION


def first_centres(x: np.ndarray, k: int) -> np.ndarray:
    """k rows of x: the first at random, each other with a probability that grows with its squared distance."""
    # BEGIN SOLUTION choose k rows of x as k-means++ does
    chosen = [x[np.random.randint(len(x))]]
    while len(chosen) < k:
        square = ((x[:, None] - np.stack(chosen)) ** 2).sum(-1).min(1)
        chosen.append(x[np.random.choice(len(x), p=square / square.sum())])
    return np.stack(chosen)
    # END SOLUTION
