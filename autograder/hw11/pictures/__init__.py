"""The pictures of questions 4 and 5: 200 digits sampled from the model, in a grid of 10 x 20.

`tiling.py` finds the grid and cuts the tiles out, `digits.py` says how much each looks like a real digit and like
which, and the verdict is here. The file is decoded in a worker (`pictures/probes.py`).

Where right and wrong pictures lie (`python -m autograder.hw11.audit.pictures thresholds FOLDER vae:0:10000`): of 200
tiles those like digits, the classes with six such or more, tiles that may be real digits, changed or not (below), tiles
that are there twice.

    source, iterations (seeds)                     like  classes   real   twins   score
    VAE, sample_x, 1,000 to 10,000 (7)          162-180     9-10    2-7       0       1
    VAE, sample_x, 500 (7)                      134-153     8-10    0-1       0       1
    VAE, sample_x, 300 (7)                        68-93      5-9      0       0       0 or 0.5
    VAE, sample_x, 0 to 200 (7)                    0-30      0-1      0    0-11       0
    VAE, probabilities, 500 to 10,000 (7)       188-197     9-10   4-14       0       1
    VAE, probabilities, 200 and 300 (7)         144-191     7-10    0-1     0-7       1
    VAE, probabilities, 0 to 100 (7)               0-61      0-2      0  88-200       0
    GAN, 1,000 to 3,000 (2)                     175-200     9-10   6-29     0-4       1
    GAN, 100 to 500, which collapses on the way  43-169      2-7    0-2    0-96       0 to 1
    training digits, transposed or not              200       10    200       0       0
    rotated by 8 to 15 degrees, sheared by 0.2  195-200       10 143-196      0       0
    nine tenths as large, strokes a pixel wider     200       10 131-173      0       0
    blurred, drawn by pixels, noise of 40           200       10 163-200      0       0
    moved by a pixel; noise of 80; 8 degrees, noise 182-200   10  13-109      0       1
    one or two digits over and over                 200      1-2    200     200       0
    grey, noise, shuffled pixels, average digit       0        0      0   0-200       0
    capital letters; ellipses, workspaces, lines      58-100      3-4      0    2-64       0

("real": from five of the seven VAEs, one of the GANs.)

All points need MANY = 120 like digits. That is a mark from measurements, not a proof. Five VAEs (seeds) had 162 to 177
after 1,000 iterations, 835 of 1,000 tiles. Were tiles like digits with the 99 % lower bound of that share, 0.806 each
(Clopper-Pearson), fewer than 120 of 200 would have a probability below exp(-200 KL(0.6, 0.806)) = 2e-10 (Chernoff);
but seeds differ, and with the lower bound of the worst of them alone, 0.737, it is 1.4e-4.

They need 6 classes, where a VAE has 9 or more, and fewer than 100 copies or twins, where it has none.
What earns half has 80 or more like digits of 4 classes, where untrained models have at most 61, and letters, with up to
100, only 3. A blurred VAE of 200 iterations passes by its probabilities: how long it was trained is not asked, but that
its samples look like digits.

Tiles that are transposed, mirrored or turned by quarters look less like digits than if they are turned back; they earn
half. Real digits that were changed are told from samples where most of the tiles are very near to one of the 5,000 that
are kept, or are so once place and form are taken out.

What cannot be told from samples: real digits of which a tile keeps little (80 levels of noise, a rotation by 8 degrees
with 40 of noise, a shift by a pixel: 13 to 109 of 200 are near), those of MNIST's other 65,000 (a third has such a
neighbour among ours, as samples of a perfect model would), and a picture in which fewer than 120 tiles are such.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Check, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.hw11.pictures import digits, tiling
from autograder.judging.judges import Exact, whole
from autograder.sandbox.parts import items
from autograder.sandbox.returns import count, declared, numbers, text

FILES = MappingProxyType({"vae": "gan_vae/vae_samples.png", "gan": "gan_vae/gan_samples.png"})
COPIES = "picture_copies"
NUMBER = 200
LOOKS = 0.65
"""Cosine with the nearest real digit from which on a tile counts as one: 99 % of real digits reach it among the others,
nothing in noise does."""
MANY, FEW = 120, 80
"""Tiles like digits, of 200, for all points and for half of them."""
CLASSES, LEAST_CLASSES, EACH = 6, 4, 6
"""Classes with EACH such tiles or more, for all points and for half of them."""
SAME = 0.98
"""Cosine from which on two tiles are one but for scaling and JPEG; few real digits have such a neighbour."""
NEAR, BENT = 0.9, 0.93
"""Cosines from which on a tile may be a real digit that was blurred, drawn from or covered with noise, and one whose
place and form were changed (`digits.bent`)."""
MADE = 120
"""Tiles, of 200, that one of these holds for, from which on the picture is made of real digits. Of real digits 34 %
have another that is so near, and 33 % another that is so but for place and form: 120 of 200 such would have probability
below exp(-200 KL(0.6, 0.36)) = 5e-11 (Chernoff), were samples indistinguishable from new digits. Our VAEs have at most
14, our GANs 29 (place and form: 5 and 12)."""
TURNED = 150, 8
"""Tiles like digits, and classes of them, that turned tiles must have to count: trained models' have 162 and 9. The
blots of a VAE after 300 iterations look a little more like digits when they are turned, up to 131 of 5 classes, a GAN's
after 100 up to 143 of 5: they stay what they are."""
CLEARLY = 0.015
"""By how much the mean likeness of turned tiles must be better: of samples it is worse by 0.03 to 0.05 where they are
transposed, and by 0.07 where they are turned in another way, give or take 0.005."""
FADED = 48
"""Grey levels between background and strokes; below, a picture is grey."""
SMOOTH = 0.45
"""Correlation of neighbouring pixels; below, tiles are noise."""
LEAST_SIDE, LONGEST, MOST_PIXELS = 100, 8, 1_100_000
"""Half of 28 x 28 pixels a tile; a side by the other (25 x 8 tiles are 3 to 1); what the probe sends."""


def vae(_rng: Generator) -> Values:
    return {"file": FILES["vae"]}


def gan(_rng: Generator) -> Values:
    return {"file": FILES["gan"]}


PICTURES = 4
"""Of one model: the picture, and those beside it."""


def _returns(_given: Values) -> Specs:
    one = {"kind": text(20), "found": count(10**9), "pixels": numbers(None, None, most=MOST_PIXELS, dtypes="u")}
    return declared(pictures=PICTURES * [one])


def check(model: str, points: float) -> Check:
    """The check of one model's picture."""
    inputs = {"vae": vae, "gan": gan}[model]
    request = Request(
        "pictures.probes:pictures",
        inputs,
        seconds=20.0,
        deterministic=True,
        file=FILES[model],
        returns=_returns,
        reads=True,
        needs=(FILES[model],),
        expected=". Expected: the picture of 200 sampled digits",
    )
    return Check(f"{model}.picture", "picture: 200 sampled digits", points, request, Exact(picture))


@dataclass(frozen=True, eq=False)
class PictureReading:
    """What a picture shows. `likeness` (200,) are cosines with the nearest real digits, `classes` (200,) theirs,
    `twins` (200,) cosines with the nearest other tile; `contrast` is in grey levels, `smooth` a correlation.

    `bent` is how many tiles are real digits that were moved, turned, scaled or sheared (0 where few are near any);
    `turned` says how the tiles had to be turned to be read, in words, "" where they stand upright.
    """

    layout: tiling.Layout
    likeness: Array
    classes: Array
    twins: Array
    contrast: float
    smooth: float
    bent: int = 0
    turned: str = ""

    @property
    def seen(self) -> int:
        """Tiles that look like digits."""
        return int((self.likeness >= LOOKS).sum())

    @property
    def several(self) -> int:
        """Classes of which there is more than one such tile."""
        return int((np.bincount(self.classes[self.likeness >= LOOKS], minlength=10) >= EACH).sum())


def normal(tiles: Array) -> tuple[Array, float]:
    """Tiles (n, 28, 28) with a background of 0 and bright strokes up to 1, and how many grey levels that was.

    The background is what most of the tiles' outermost pixels are; strokes are on the side that reaches farther.
    """
    ring = np.concatenate([tiles[:, 0], tiles[:, -1], tiles[:, :, 0], tiles[:, :, -1]], axis=1)
    ink = tiles - np.median(ring)
    if ink.max() < -ink.min():
        ink = -ink
    contrast = float(np.quantile(ink, 0.995))
    return (ink / max(contrast, 1.0)).clip(0, 1), contrast


def read(pixels: Array) -> PictureReading:
    """What a picture (height, width), uint8, shows in the most digit-like grid that it can be cut into."""

    def score(tiles: Array) -> float:
        return float(digits.nearest(digits.features(normal(tiles)[0]))[0].mean())

    layout = tiling.best(pixels, score)
    tiles, contrast = normal(tiling.cut(tiling.summed(pixels), layout))
    shown = _seen(tiles, layout, contrast)
    if turned := _turned(tiles):
        other = _seen(np.ascontiguousarray(TURNS[turned](tiles)), layout, contrast, turned)
        if (other.seen >= TURNED[0] and other.several >= TURNED[1]) or _upright(other).diagnosis == COPIES:
            return other
    return shown


def _seen(tiles: Array, layout: tiling.Layout, contrast: float, turned: str = "") -> PictureReading:
    """What the tiles (200, 28, 28) of a grid show."""
    found = digits.features(tiles)
    among = found @ found.T
    np.fill_diagonal(among, -1.0)
    centred = tiles - tiles.mean((1, 2), keepdims=True)
    smooth = float((centred[:, :, 1:] * centred[:, :, :-1]).sum() / max((centred**2).sum(), 1e-9))
    nearest = digits.nearest(found)
    return PictureReading(layout, *nearest, among.max(1), contrast, smooth, _bent(tiles, found, nearest[0]), turned)


TURNS: Mapping[str, Callable[[Array], Array]] = MappingProxyType({
    "transposed (rows and columns swapped)": lambda tiles: tiles.transpose(0, 2, 1),
    "mirrored (left and right swapped)": lambda tiles: tiles[:, :, ::-1],
    "upside down and mirrored": lambda tiles: tiles[:, ::-1],
    "upside down": lambda tiles: tiles[:, ::-1, ::-1],
    "rotated by 90 degrees to the right": lambda tiles: np.rot90(tiles, 1, (1, 2)),
    "rotated by 90 degrees to the left": lambda tiles: np.rot90(tiles, 3, (1, 2)),
    "transposed along the other diagonal": lambda tiles: np.rot90(tiles.transpose(0, 2, 1), 2, (1, 2)),
})  # fmt: skip


def _turned(tiles: Array) -> str:
    """How the tiles (200, 28, 28) must be turned to look clearly more like digits, "" where they stand upright."""

    def likeness(some: Array, every: int) -> float:
        return digits.likeness(digits.features(np.ascontiguousarray(some)), every=every)

    upright = likeness(tiles[::4], 5)
    near = [name for name, turn in TURNS.items() if likeness(turn(tiles[::4]), 5) > upright - CLEARLY]
    if not near:
        return ""
    # Digits that were cut a pixel beside their place may look more like others upside down: they are moved as well.
    moved = (np.roll(tiles, (down, across), (1, 2)) for down in (-1, 0, 1) for across in (-1, 0, 1))
    best = max(near, key=lambda name: likeness(TURNS[name](tiles), 1))
    return best if likeness(TURNS[best](tiles), 1) > max(likeness(one, 1) for one in moved) + CLEARLY else ""


def _bent(tiles: Array, found: Array, likeness: Array) -> int:
    """How many tiles are known digits but for place and form. Where few are near a known digit it is not looked for,
    nor where few of every fourth tile are: that takes a tenth of a second."""
    if (likeness >= NEAR).sum() < NUMBER // 10 or (digits.bent(tiles[::4], found[::4]) >= BENT).sum() < NUMBER // 10:
        return 0
    return int((digits.bent(tiles, found) >= BENT).sum())


def picture(trial: Trial) -> Verdict:
    """The best verdict on the pictures of this name."""
    verdicts = list(_verdicts(trial.got))
    if not verdicts:
        raise CheckFailed("The picture could not be read back. Expected: a PNG or JPEG file.")
    return max(verdicts, key=lambda verdict: verdict.score)


def _verdicts(got: Values) -> Iterator[Verdict]:
    for one in items(got, "pictures", PICTURES):
        if not one:
            return
        try:
            pixels = _opened(one)
            note = f"picture:{hashlib.sha256(pixels.tobytes()).hexdigest()[:16]}"
            yield replace(judged(read(pixels)), notes=(note,))
        except CheckFailed as fault:
            yield Verdict(0.0, str(fault), fault.diagnosis)


def _opened(one: Values) -> Array:
    """The pixels that the probe told. Raises `CheckFailed` where it could read none."""
    kind = one.get("kind")
    if not isinstance(kind, str):
        raise CheckFailed("The picture could not be read back. Expected: a PNG or JPEG file.")
    if kind:
        number = whole(one, "found", least=0, most=2**53) if kind in ("large", "huge") else 0
        told = {
            "empty": "it is empty.",
            "large": f"its {number} MB are above the limit.",
            "huge": f"its {number} million pixels are above the limit.",
            "animated": "it holds more than one image.",
            "format": "it is neither PNG nor JPEG, although its name may say so.",
            "broken": "it is damaged or incomplete.",
        }
        sentence = told.get(kind, "its content could not be read back.")
        raise CheckFailed(
            f"The picture could not be read: {sentence} Expected: one PNG or JPEG image of 200 sampled digits.",
            diagnosis="picture_unreadable",
        )
    pixels = one.get("pixels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise CheckFailed("The picture could not be read back. Expected: a PNG or JPEG file.")
    short, long = sorted(pixels.shape)
    if short < LEAST_SIDE or long > LONGEST * short or pixels.size > MOST_PIXELS:
        raise CheckFailed(
            f"The picture is {pixels.shape[1]} x {pixels.shape[0]} pixels. Expected: 560 x 280 or larger, which is "
            "28 x 28 pixels for each of 200 digits in 10 rows of 20.",
            diagnosis="picture_small",
        )
    return pixels


def judged(shown: PictureReading) -> Verdict:
    """The verdict on what a picture shows: half of it, where its tiles had to be turned to be read."""
    verdict = _upright(shown)
    if not shown.turned or verdict.score < 0.5:
        return verdict
    return Verdict(
        0.5,
        f"{shown.seen} of {NUMBER} tiles look like handwritten digits that are {shown.turned}. Expected: upright "
        "digits. With numpy, use `x.reshape(-1, 28, 28)` and do not swap the last two axes.",
        "picture_turned",
    )


def _upright(shown: PictureReading) -> Verdict:
    """The verdict on what a picture shows."""
    rows, columns = shown.layout.rows, shown.layout.columns
    grid = f"a grid of {rows} x {columns} tiles"
    copies = int((shown.likeness >= SAME).sum())
    twins = int((shown.twins >= SAME).sum())
    counted = f"{shown.seen} of {NUMBER} tiles look like handwritten digits"
    if shown.seen < FEW and not shown.layout.exact:
        return Verdict(
            0.0,
            "The picture contains no grid of 200 digits. Expected: one image of 10 rows of 20 digits, or of 20 rows "
            "of 10. Each digit has 28 x 28 pixels or is enlarged equally.",
            "picture_no_grid",
        )
    if shown.seen < FEW and shown.contrast < FADED:
        return Verdict(
            0.0,
            f"The picture is almost uniformly grey. Strokes and background differ by {shown.contrast:.0f} of 255 "
            "levels. Expected: bright digits on a dark background, or the reverse, sampled after training.",
            "picture_grey",
        )
    if shown.seen < FEW:
        noise = shown.smooth < SMOOTH
        why = (
            "Neighbouring pixels are almost independent, as in noise. Did you sample from the trained model?"
            if noise
            else "They are blobs or blurred. Was the model trained to the end?"
        )
        return Verdict(
            0.0,
            f"The picture has {grid}, but only {counted}. {why} Expected: most tiles show a digit.",
            "picture_noise" if noise else "picture_untrained",
        )
    if 2 * twins > NUMBER or shown.several < LEAST_CLASSES:
        return Verdict(
            0.0,
            f"Many tiles are alike: {twins} of {NUMBER} look like another tile, and {shown.several} classes of "
            "digits appear more than once. Expected: 200 different digits of several classes, each from its own z.",
            "picture_alike",
        )
    if 2 * copies > NUMBER:
        return Verdict(
            0.0,
            f"{copies} of {NUMBER} tiles are images of the training data. Expected: new digits, sampled from the "
            "model by drawing z and decoding it.",
            COPIES,
        )
    near = int((shown.likeness >= NEAR).sum())
    if max(near, shown.bent) >= MADE:
        how = "blurred or covered with noise" if near >= shown.bent else "moved, turned, scaled or sheared"
        return Verdict(
            0.0,
            f"{max(near, shown.bent)} of {NUMBER} tiles are images of the training data that were {how}. Expected: new "
            "digits, sampled from the model by drawing z and decoding it.",
            COPIES,
        )
    if shown.several < CLASSES:
        return Verdict(
            0.5,
            f"In {grid} {counted}, but they belong to {shown.several} classes only. Expected: at least {CLASSES} of "
            f"the ten classes, each at least {EACH} times. A model that produces only a few digits may need other "
            "seeds or more steps.",
            "picture_few_classes",
        )
    if shown.seen < MANY:
        return Verdict(
            0.5,
            f"In {grid} {counted}. Expected: at least {MANY}, which a fully trained model reaches.",
            "picture_little_training",
        )
    if {rows, columns} != {10, 20}:
        return Verdict(
            0.5,
            f"{counted}, of {shown.several} classes, but they form {grid}. Expected: 10 x 20. With torchvision's "
            "make_grid or save_image, use nrow=20.",
            "picture_layout",
        )
    return Verdict(1.0, f"In {grid} {counted}, of {shown.several} classes.")
