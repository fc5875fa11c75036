"""Finds the grid of tiles in a picture whatever its margins, gutters and scale, and cuts the tiles out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from autograder.core import Array

SIDE = 28
SHAPES = ((10, 20), (20, 10), (25, 8), (8, 25))
"""(rows, columns): as asked, turned, and torchvision's make_grid with its eight images a row, turned too."""
GUTTERS = range(5)
"""Between tiles, in pixels of a tile that is 28 wide: make_grid's default is 2."""
SAME = 24
"""Grey levels that belong to one flat colour even after JPEG's rounding."""
ENOUGH = 0.7
"""A score that a wrong layout does not reach."""
CLEARLY = 0.1
"""By how much a searched layout must be better than what the size says: of many tried on noise one is a little."""
SAMPLES = 320
"""Of a profile: 13 for each of 25 tiles, so that the gutter of 8 pixels between two digits spans three."""
FINE = 8
"""Positions within a sample."""
SIDES = np.linspace(0.7, 1.0, 10)
"""Tile by pitch: 0.83 with matplotlib's subplots, and steps of a tile's pixel."""


Box = tuple[int, int, int, int]
"""Top, bottom, left and right, in pixels."""


@dataclass(frozen=True)
class Layout:
    """Where tile (i, j) begins: at (top + i pitch[0], left + j pitch[1]) in pixels, `size` being its own."""

    rows: int
    columns: int
    start: tuple[float, float]
    pitch: tuple[float, float]
    size: tuple[float, float]
    exact: bool = False
    """Whether the picture's very size says so: such a grid is there even if its tiles hold no digits."""


def cut(sums: Array, layout: Layout, *, every: int = 1) -> Array:
    """The tiles (rows * columns, 28, 28), or `every` so many of them, every pixel the average of what it covers.

    `sums` are the picture's sums over rows and columns (height + 1, width + 1), see `summed`; between whole pixels they
    are linear in each direction, so that interpolating them averages areas exactly.
    """
    step = every if layout.columns % every == 0 else 1  # then whole columns of tiles need not be cut
    for axis, cells in ((0, np.arange(layout.rows)), (1, np.arange(0, layout.columns, step))):
        inside = np.arange(SIDE + 1) * layout.size[axis] / SIDE
        edges = (layout.start[axis] + layout.pitch[axis] * cells[:, None] + inside).ravel()
        last = sums.shape[axis] - 1
        edges = edges.clip(0, last)
        low = np.minimum(edges.astype(int), last - 1)
        part = np.expand_dims(edges - low, 1 - axis)
        sums = (1 - part) * sums.take(low, axis) + part * sums.take(low + 1, axis)
    boxes = sums.reshape(layout.rows, SIDE + 1, -1, SIDE + 1)
    areas = np.diff(np.diff(boxes, axis=1), axis=3)  # (rows, 28, columns, 28)
    tiles: Array = areas.transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)[:: every // step]
    return tiles * (SIDE * SIDE / (layout.size[0] * layout.size[1]))


def summed(picture: Array) -> Array:
    """What `cut` takes: the sums of all pixels above and to the left, (height + 1, width + 1)."""
    sums = np.zeros((picture.shape[0] + 1, picture.shape[1] + 1))
    sums[1:, 1:] = picture.cumsum(0, dtype=float).cumsum(1)
    return sums


def exact(picture: Array) -> Iterator[Layout]:
    """The layouts that the size of the picture, or of what lies within its margins, allows: no content is looked at."""
    for top, bottom, left, right in dict.fromkeys(_boxes(picture)):
        height, width = bottom - top, right - left
        for rows, columns in SHAPES:
            for gutter in GUTTERS:
                for outer in (0, gutter) if gutter else (0,):  # make_grid puts gutters around the grid as well
                    unit = SIDE + gutter
                    scales = [
                        length / (number * unit - gutter + 2 * outer)
                        for length, number in ((height, rows), (width, columns))
                    ]
                    # Each length was rounded to a whole pixel, and to one more where a margin was blurred.
                    if min(scales) > 0.4 and abs(scales[0] - scales[1]) * SIDE * min(rows, columns) <= 2:
                        down, across = scales
                        start = top + outer * down, left + outer * across
                        pitch, size = (unit * down, unit * across), (SIDE * down, SIDE * across)
                        yield Layout(rows, columns, start, pitch, size, exact=True)


def _boxes(picture: Array) -> Iterator[Box]:
    """The whole picture, and what stands out from a flat ground: the corner's colour, or one of the commonest two.

    Lines stand out where a fifth of their pixels do; the workspace is from the first to the last of them (a frame's,
    say), or the longest run of them (a window's picture below a bar).
    """
    yield 0, picture.shape[0], 0, picture.shape[1]
    common = np.bincount(picture.ravel(), minlength=256).argsort()[-2:]
    for ground in dict.fromkeys((int(picture[0, 0]), *common.tolist())):
        other = np.abs(picture.astype(np.int16) - ground) > SAME
        for pick in (_ends, _longest):
            top, bottom = pick(other.mean(1) >= 0.2)
            left, right = pick(other[top:bottom].mean(0) >= 0.2)
            yield top, bottom, left, right


def _ends(lines: Array) -> tuple[int, int]:
    """From the first that is true to the last; all where none is."""
    found = np.flatnonzero(lines)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, len(lines))


def _longest(lines: Array) -> tuple[int, int]:
    """The longest run of true ones; all where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lines.astype(np.int8), [0]]))).reshape(-1, 2)
    return tuple(map(int, edges[np.diff(edges).argmax()])) if len(edges) else (0, len(lines))  # type: ignore[return-value]


def best(picture: Array, score: Callable[[Array], float]) -> Layout:
    """The layout of which every fourth tile, (50, 28, 28), gets the highest score.

    Where the size of the picture allows a layout that is good enough no other is searched.
    """
    sums = summed(picture)

    def tried(layouts: Iterable[Layout]) -> tuple[float, Layout]:
        scored = ((score(cut(sums, layout, every=4)), layout) for layout in layouts)
        return max(scored, key=lambda pair: pair[0], default=nothing)

    down, across = ((0.0, length / number) for length, number in zip(picture.shape, SHAPES[0], strict=True))
    nothing = -np.inf, _cells(SHAPES[0], down, across, 1.0)
    found = tried(exact(picture))
    if found[0] < ENOUGH:
        other = tried(_sized(tried(_searched(picture))[1]))
        if other[0] > found[0] + CLEARLY:
            found = other
    return found[1]


def _searched(picture: Array) -> Iterator[Layout]:
    """The layouts that the content suggests: within margins of one colour, or between lines that are quiet."""
    bright = picture.astype(np.float32)
    profiles = bright.std(1), bright.std(0)
    ink = np.abs(bright - np.median(bright))
    top, bottom, left, right = list(_boxes(picture))[1]
    for shape in SHAPES:
        within = [(top, (bottom - top) / shape[0]), (left, (right - left) / shape[1])]
        quiet = [_comb(profile, number) for profile, number in zip(profiles, shape, strict=True)]
        centred = [_centred(ink.mean(1 - axis), *quiet[axis], shape[axis]) for axis in (0, 1)]
        for places in (within, quiet, centred):
            yield _cells(shape, places[0], places[1], 0.95)
            yield _cells(shape, places[0], places[1], 0.8, square=True)


Cells = tuple[float, float]
"""Start and pitch of the cells in one direction."""


def _cells(shape: tuple[int, int], down: Cells, across: Cells, side: float, *, square: bool = False) -> Layout:
    """Tiles in the middle of their cells, of which they take the share `side` in each direction."""
    least = min(down[1], across[1])
    sizes = [side * (least if square else pitch) for _, pitch in (down, across)]
    starts = [start + (pitch - size) / 2 for (start, pitch), size in zip((down, across), sizes, strict=True)]
    return Layout(*shape, (starts[0], starts[1]), (down[1], across[1]), (sizes[0], sizes[1]))


def _sized(rough: Layout) -> Iterator[Layout]:
    """The same cells with smaller and larger tiles: square ones, or as the cells are where a figure was stretched."""
    down, across = (
        (start - (pitch - size) / 2, pitch)
        for start, pitch, size in zip(rough.start, rough.pitch, rough.size, strict=True)
    )
    alike = abs(down[1] / across[1] - 1) < 0.02
    for side in SIDES:
        for square in (True,) if alike else (True, False):
            yield _cells((rough.rows, rough.columns), down, across, float(side), square=square)


def _comb(profile: Array, number: int) -> tuple[float, float]:
    """Start and pitch of `number` cells, each loud in its middle, with quiet boundaries.

    The profile is how much each line of pixels varies: nothing in a gutter, whatever its colour.
    """
    length = min(len(profile), SAMPLES)
    unit = len(profile) / length
    at = np.linspace(0, len(profile), FINE * length + 1)
    total = np.interp(at, np.arange(len(profile) + 1), np.append(0, profile.cumsum())).astype(np.float32)

    def mean(middle: Array, half: float) -> Array:
        """Of the profile around each of `middle` (n, cells), in samples."""
        low = (FINE * (middle - half)).astype(np.int32).clip(0, FINE * length)
        high = (FINE * (middle + half)).astype(np.int32).clip(0, FINE * length)
        found: Array = (total[high] - total[low]) / np.maximum(high - low, 1)
        return found

    best = (-np.inf, 0.0, length / number)
    # The grid takes half of the picture or more. The next pitch differs by two samples over the whole grid.
    for pitch in np.arange(length, length / 2, -2.0) / number:
        starts = np.arange(length - number * pitch + 1)[:, None]
        quiet = mean(starts + pitch * np.arange(number + 1), max(0.5, 0.04 * pitch)).mean(1)
        loud = mean(starts + pitch * (np.arange(number) + 0.5), 0.25 * pitch).min(1)
        place = int((loud - quiet).argmax())
        best = max(best, (float((loud - quiet)[place]), float(starts[place, 0]), float(pitch)))
    return best[1] * unit, best[2] * unit


def _centred(ink: Array, start: float, pitch: float, number: int) -> tuple[float, float]:
    """Start and pitch by least squares from the centres of the cells' ink: MNIST's digits are centred by their mass."""
    at = np.arange(len(ink)) + 0.5
    index = np.floor((at - start) / pitch).astype(int)
    inside = (index >= 0) & (index < number)
    weight = np.bincount(index[inside], ink[inside], number)
    centre = np.bincount(index[inside], (ink * at)[inside], number) / np.maximum(weight, 1e-9)
    slope, constant = np.polyfit(np.arange(number), centre, 1)
    return (float(constant - slope / 2), float(slope)) if slope > 0 else (start, pitch)
