"""Explains a wrong GAN loss in words, and tells the gradient that its own value has.

A loss that is explained has cost its points by its value. Its gradient is judged by that of the explanation, so that
one error is not charged twice; what is wrong with the gradient alone, such as a term that was detached, still shows.

With L the loss, h = 3.5 tanh(s) the logits and s = x w + c, the gradients are
    dL/dw = sum_i dL/dh_i t_i x_i   and   dL/db = sum_i dL/dh_i t_i w,   t_i = dh_i/ds_i = 3.5 (1 - (h_i / 3.5)^2),
over real and generated images for the discriminator's w, over generated ones for the generator's b. The dL/dh_i are
central differences of the explanation's formula in float64, with a step of 1e-6: off by 1e-10.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.core import Array, Trial
from autograder.hw11.gan.interpretation import (
    D_MISTAKES,
    RIGHT,
    STEEPEST,
    STEEPEST_CURVE,
    UNEVEN,
    D,
    Images,
    LossCase,
    LossReading,
    factors,
    images_of,
    match,
    returned,
    softplus,
)
from autograder.judging.judges import Misconception, shown, tolerance_ratio, within
from autograder.judging.stats import gamma

Formula = Callable[..., Array | float]
Way = Callable[[Trial, LossReading, str], "Explanation | None"]
STEP, WIDE = 1e-6, 1e-3
"""Steps of the first and of the second differences."""


@dataclass(frozen=True, eq=False)
class LossSlope:
    """A gradient of a loss to its own network, (784,), and what rounding may change it by."""

    want: Array
    bound: Array


@dataclass(frozen=True, eq=False)
class Explanation:
    """What makes a loss wrong in every case: the mistake's id, a sentence, and the gradients of such a loss.

    `slopes` has for each case those that it may have. `how` is the way in which the batch was aggregated, as
    in `Match`.
    """

    id: str
    sentence: str
    slopes: tuple[tuple[LossSlope, ...], ...]
    how: str = ""

    def used(self, case: int, slope: Array) -> float:
        """The share of the rounding bound by which this gradient differs from the explanation's."""
        return min(tolerance_ratio(slope, one.want, one.bound) for one in self.slopes[case])


def steep(h: Array) -> Array:
    """dh/ds of logits h = 3.5 tanh(s)."""
    result: Array = STEEPEST * (1 - (h / STEEPEST) ** 2)
    return result


def derivatives(formula: Formula, *logits: Array, step: float = STEP) -> list[Array]:
    """dL/dh_i for each logit of each group, by central differences."""
    found = []
    for place, group in enumerate(logits):
        slopes = np.empty(len(group))
        for row in range(len(group)):
            ends = []
            for sign in (1, -1):
                moved = [each.copy() for each in logits]
                moved[place][row] += sign * step
                ends.append(float(formula(*moved)))
            slopes[row] = (ends[0] - ends[1]) / (2 * step)
        found.append(slopes)
    return found


def _rough(seen: LossCase, formula: Formula, of: Sequence[Array], *logits: Array) -> float:
    """What the slope of one row's term in s may err by.

    It is t dL/dh, with a slope in s of at most 3.5^2 |d2L/dh2| + 2 * 3.5 |dL/dh|. For the cross entropies, where the
    two are at most 1/4 and 1, it is below `STEEPEST_CURVE` (vae/bound.py); here it is larger by as much as they are.
    """
    rows = max(map(len, logits))
    ends = [derivatives(formula, *(h + sign * WIDE for h in logits)) for sign in (1, -1)]
    bends = [np.abs(one - other) / (2 * WIDE) for one, other in zip(*ends, strict=True)]
    most = max(1.0, *(rows * float(np.abs(each).max()) for each in (*of, *(4 * bend for bend in bends))))
    return 2 * most * float(STEEPEST_CURVE / STEEPEST * seen.slack + STEEPEST * UNEVEN + gamma(50) * STEEPEST)


def slope_of(
    seen: LossCase, which: str, formula: Formula, real: Images, fake: Images, factor: float = 1.0
) -> LossSlope:
    """The gradient of a loss that is this formula of the two groups' logits, times a factor."""
    of = derivatives(formula, real.h, fake.h)
    rough = _rough(seen, formula, of, real.h, fake.h)
    if which == D:
        want = sum(((each * steep(images.h)) @ images.x for each, images in zip(of, (real, fake), strict=True)))
        bound = rough * (np.abs(real.x).mean(0) + np.abs(fake.x).mean(0)) + rough * seen.pixels
    else:
        want = float((of[1] * steep(fake.h)).sum()) * seen.w
        bound = rough * np.abs(seen.w)
    return LossSlope(factor * np.asarray(want), abs(factor) * bound + 1e-12)


def explanation(trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    """What explains this loss of the part `values`, where it is wrong; None where nothing known does."""
    found = reading.known_match(which)
    if found is not None:
        known, matches = found
        how = matches[-1].how
        pairs = list(zip(reading.cases, matches, strict=True))
        # The probe adds up a vector: the gradient is that of the sum.
        scales = [len(seen.h) if how == "not_averaged" else factors(seen.batch)[how] for seen, _ in pairs]
        slopes = tuple(
            tuple(slope_of(seen, which, known.formula, seen.real, fakes, scale) for fakes in each.fakes)
            for (seen, each), scale in zip(pairs, scales, strict=True)
        )
        return Explanation(known.id, known.sentence, slopes, how)
    if any(seen.losses[reading.index(which)].size != 1 for seen in reading.cases):
        return None
    own: tuple[Way, ...] = (_penalised, _changed, _labelled) if which == D else (_smoothed, _changed)
    return next((one for way in (*own, _constant) if (one := way(trial, reading, which)) is not None), None)


# ------------------------------------------------------------------------------------ a penalty on the slope

CRITIC, HINGE, SQUARES = "log_missing", "hinge", "least_squares"
BASES: tuple[tuple[str, Formula], ...] = (
    ("", RIGHT[D].formula),
    *((one.id, one.formula) for one in D_MISTAKES if one.id in (CRITIC, HINGE, SQUARES)),
)
PENALTIES: tuple[tuple[str, Callable[[Array], Array], Callable[[Array], Array]], ...] = (
    ("the squared gradient norm", lambda s: s**2, lambda s: 2 * s),
    ("the squared distance of the gradient norm from 1", lambda s: (s - 1) ** 2, lambda s: 2 * (s - 1)),
    ("the gradient norm", lambda s: s, np.ones_like),
    (
        "the squared excess of the gradient norm over 1",
        lambda s: np.maximum(s - 1, 0) ** 2,
        lambda s: 2 * np.maximum(s - 1, 0),
    ),
)
"""What of the slope was averaged, and its derivative."""
PENALTY_NEAR = 1e-4
"""Share of a penalty that it may be off by: in float32 it is off by less than 1e-5, and another kind of penalty, which
explains three batches by one weight with a probability of about its square, by 0.1."""


def _at(seen: LossCase, place: str) -> tuple[Images, ...]:
    """The groups of images at which a penalty's slopes are averaged; () where there are none of this kind."""
    if place == "between":
        return seen.others[:1]
    return {"real": (seen.real,), "generated": seen.fakes[:1], "real and generated": (seen.real, *seen.fakes[:1])}[
        place
    ]


def _size(seen: LossCase, of: Callable[[Array], Array], at: Sequence[Images]) -> float:
    """The average of this function of the slope's norm in an image, summed over the groups."""
    norm = float(np.linalg.norm(seen.w))
    return sum(float(of(norm * steep(images.h)).mean()) for images in at)


def _penalty_slope(seen: LossCase, derivative: Callable[[Array], Array], at: Sequence[Images]) -> Array:
    """The gradient of `_size` to w, (784,).

    The slope's norm is s = |w| t(h): ds/dw = t w / |w| - |w| (2 h / 3.5) t x.
    """
    norm = float(np.linalg.norm(seen.w))
    found = np.zeros(len(seen.w))
    for images in at:
        t = steep(images.h)
        outer = derivative(norm * t) / len(t)
        found += float((outer * t).sum()) * seen.w / norm - norm * (outer * 2 * images.h / STEEPEST * t) @ images.x
    return found


def _penalised(trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    place = reading.index(which)
    if any(len(seen.fakes) != 1 for seen in reading.cases):
        return None
    for (base, formula), (word, of, derivative), where in itertools.product(
        BASES, PENALTIES, ("real", "generated", "real and generated", "between")
    ):
        groups = [_at(seen, where) for seen in reading.cases]
        if not all(groups):
            continue
        pairs = [
            (float(seen.losses[place].reshape(())) - float(formula(seen.h, seen.fakes[0].h)), _size(seen, of, at))
            for seen, at in zip(reading.cases, groups, strict=True)
        ]
        extra, size = max(pairs, key=lambda pair: pair[1])
        weight = extra / size if size > 1e-3 else 0.0
        slacks = [2 * seen.slack + 2 * UNEVEN for seen in reading.cases]
        if weight > 0.001 and all(
            within(got, weight * size, PENALTY_NEAR * weight * size + slack)
            for (got, size), slack in zip(pairs, slacks, strict=True)
        ):
            slopes = []
            for seen, at in zip(reading.cases, groups, strict=True):
                own = slope_of(seen, which, formula, seen.real, seen.fakes[0])
                added = weight * _penalty_slope(seen, derivative, at)
                slopes.append((LossSlope(own.want + added, own.bound + PENALTY_NEAR * float(np.abs(added).max())),))
            told = {"between": "points between real and generated images"}.get(where, f"the {where} images")
            sentence = f"{shown(weight, 2)} times {word} at {told} was added"
            if base == CRITIC:
                sentence = (
                    f"It is the loss of a Wasserstein GAN, which has no logarithms, and {sentence} (a gradient "
                    "penalty). Expected: the cross entropy alone."
                )
                return Explanation("wasserstein", sentence, tuple(slopes))
            begin = {HINGE: "It is a hinge loss, and ", SQUARES: "It is a squared error, and "}.get(base, "")
            return Explanation(
                "gradient_penalty",
                f"{begin}{sentence} (a gradient penalty). Expected: the cross entropy alone.",
                tuple(slopes),
            )
    return None


# ------------------------------------------------------------------------------------------- other images

CHANGES: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("rescaled from [0, 1] to [-1, 1]", lambda x: 2 * x - 1),
    ("rounded to 0 and 1", lambda x: (x > 0.5).astype(float)),
    ("turned into 1 - x", lambda x: 1 - x),
)


def _changed(_trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    """The loss is right, but for images that were changed before the discriminator saw them."""
    if which == D:
        for told, change in CHANGES:
            real = [images_of(change(seen.x), seen.w, seen.c) for seen in reading.cases]
            slopes = _right_for(reading, which, real, [seen.fakes[0] for seen in reading.cases])
            if slopes is not None:
                sentence = f"It is right for real images that were {told}. Expected: the real images as given."
                return Explanation("images_changed", sentence, slopes)
    most = min(len(seen.others) for seen in reading.cases)
    for of_real, of_fake in itertools.product((None, *range(most)) if which == D else (None,), (None, *range(most))):
        if of_real == of_fake:
            continue
        real = [seen.real if of_real is None else seen.others[of_real] for seen in reading.cases]
        fake = [seen.fakes[0] if of_fake is None else seen.others[of_fake] for seen in reading.cases]
        slopes = _right_for(reading, which, real, fake)
        if slopes is None:
            continue
        pairs = [(seen.x, each.x) for seen, each in zip(reading.cases, real, strict=True)]
        whose = "real and generated" if None not in (of_real, of_fake) else "real"
        if of_real is None:
            pairs = [(seen.fakes[0].x, each.x) for seen, each in zip(reading.cases, fake, strict=True)]
            whose = "generated"
        id, told = _change(pairs)
        return Explanation(
            id, f"It is right for {whose} images that were {told}. Expected: the images unchanged.", slopes
        )
    return None


def _right_for(
    reading: LossReading, which: str, real: Sequence[Images], fake: Sequence[Images]
) -> tuple[tuple[LossSlope, ...], ...] | None:
    """The gradients where the loss is right for these images in every case, else None."""
    formula, place = RIGHT[which].formula, reading.index(which)
    for seen, *pair in zip(reading.cases, real, fake, strict=True):
        size = sum(float(np.abs(images.h).mean()) for images in pair) + 2
        bound = 4 * seen.slack + 2 * UNEVEN + gamma(100) * size
        if not within(seen.losses[place].reshape(()), float(formula(pair[0].h, pair[1].h)), bound):
            return None
    return tuple(
        (slope_of(seen, which, formula, one, other),)
        for seen, one, other in zip(reading.cases, real, fake, strict=True)
    )


def _change(pairs: Sequence[tuple[Array, Array]]) -> tuple[str, str]:
    """What was done to images: the mistake's id and words for it. Each pair is the images before and after."""
    before, after = (np.concatenate([each[place].ravel() for each in pairs]) for place in (0, 1))
    if np.isin(after, (0.0, 1.0)).all():
        return "images_changed", "made 0 or 1"
    moved = after - before
    # Sorted by what they were: pixels that were nearly the same are moved alike by any function of a pixel, and by
    # independent noise as differently as any two, whose distance is 1.13 standard deviations on average.
    ordered = moved[np.argsort(before, kind="stable")]
    spread, half = float(moved.std()), len(ordered) // 2
    alike = 0.8 < float(ordered[:half].std()) / max(float(ordered[half:].std()), 1e-12) < 1.25
    if alike and float(np.abs(np.diff(ordered)).mean()) > spread > 0:
        return "instance_noise", f"given noise of a standard deviation of {shown(spread, 2)}"
    return "images_changed", "changed"


# ------------------------------------------------------------------------------------------- other labels

LABEL_NEAR = 2e-3
"""How near labels, and a loss made of them, are looked for. A label is the gradient's part of its row by t |x| / n, and
float32 leaves that gradient off by 1e-6 of 3.5 |x|: labels are off by 4e-6 / t or less where batches are not above 12,
which is `LABEL_NEAR` where a row's slope t is as small as `FLAT`."""
FLAT = 0.002
LARGEST = 1e6
"""Larger slopes come of no labels: 3.5 times images of up to some hundred at most."""


def _cross_entropy(h: Array, labels: Array) -> float:
    return float((labels * softplus(-h) + (1 - labels) * softplus(h)).mean())


def _labelled(trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    """The discriminator's cross entropies have labels other than 1 and 0, which its gradient shows row by row.

    dL/dw is the sum of (sigmoid(h_i) - y_i) t_i x_i / n over both groups: 784 equations for as many labels as images.
    """
    place = reading.index(which)
    found: list[tuple[Array, Array]] = []
    slopes = []
    for case, seen in enumerate(reading.cases):
        slope = returned(trial, case)[place].get("to_w")
        fake = seen.fakes[0]
        groups = (seen.real, fake)
        t = np.concatenate([steep(images.h) for images in groups])
        if not isinstance(slope, np.ndarray) or slope.shape != seen.w.shape or np.abs(t).min() < FLAT:
            return None
        slope = slope.astype(float)
        if not np.isfinite(slope).all() or np.abs(slope).max() > LARGEST:
            return None
        rows = np.concatenate([images.x / len(images.h) for images in groups]) * t[:, None]
        off, *_ = np.linalg.lstsq(rows.T, slope, rcond=None)
        if np.abs(rows.T @ off - slope).max() > 1e-4 * max(float(np.abs(slope).max()), 1e-3):
            return None
        h = np.concatenate([images.h for images in groups])
        labels = 1 / (1 + np.exp(-h)) - off
        if labels.min() < -LABEL_NEAR or labels.max() > 1 + LABEL_NEAR:
            return None
        of = labels[: len(seen.h)], labels[len(seen.h) :]
        value = sum(_cross_entropy(images.h, each) for images, each in zip(groups, of, strict=True))
        if not within(seen.losses[place].reshape(()), value, LABEL_NEAR * (1 + float(np.abs(h).mean()))):
            return None
        found.append(of)
        slopes.append((LossSlope(slope, np.full(len(slope), 1e-12)),))  # the labels are read of it
    real, fakes = (np.concatenate([each[place] for each in found]) for place in (0, 1))
    expected = "Expected: labels of 1 and 0."
    if max(float(np.ptp(real)), float(np.ptp(fakes))) < 4 * LABEL_NEAR:
        told = (
            f"The labels are {_mean(real)} for real images and {_mean(fakes)} for generated images, which is label "
            f"smoothing. {expected}"
        )
        return Explanation("d_label_smoothing", told, tuple(slopes))
    told = f"The labels are random: {_range(real)} for real images and {_range(fakes)} for generated images. {expected}"
    return Explanation("random_labels", told, tuple(slopes))


def _mean(labels: Array) -> str:
    return shown(round(float(labels.mean()), 2), 2)


def _range(labels: Array) -> str:
    low, high = (shown(abs(round(float(end), 2)), 2) for end in (labels.min(), labels.max()))
    return low if low == high else f"from {low} to {high}"


def _smoothed(_trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    """The generator's label is another one than 1, the same in every case: L = mean softplus(-h) + (1 - y) mean h."""
    seen = max(reading.cases, key=lambda one: abs(float(one.fakes[0].h.mean())))
    h, place = seen.fakes[0].h, reading.index(which)
    if not abs(float(h.mean())) > 1e-6:
        return None
    label = 1 - (float(seen.losses[place].reshape(())) - float(softplus(-h).mean())) / float(h.mean())
    if not 0.01 < label < 0.995:
        return None

    def formula(_real: Array, fake: Array) -> float:
        return float(softplus(-fake).mean()) + (1 - label) * float(fake.mean())

    matches = match(reading.cases, place, Misconception("", "", formula))
    if matches is None or matches[-1].how:
        return None
    slopes = tuple(
        tuple(slope_of(one, which, formula, one.real, fakes) for fakes in each.fakes)
        for one, each in zip(reading.cases, matches, strict=True)
    )
    told = f"The labels are {shown(round(label, 3), 3)}, which is label smoothing. Expected: labels of 1."
    return Explanation("g_label_smoothing", told, slopes)


def _constant(_trial: Trial, reading: LossReading, which: str) -> Explanation | None:
    """A constant was added to a loss that is right otherwise, the same in every case."""
    place, first = reading.index(which), reading.cases[0]
    extra = float(first.losses[place].reshape(())) - first.terms(RIGHT[which], first.fakes[0])
    right = RIGHT[which].formula
    matches = match(reading.cases, place, Misconception("", "", lambda real, fake: right(real, fake) + extra))
    if matches is None or matches[-1].how or not extra:
        return None
    slopes = tuple(
        tuple(slope_of(seen, which, right, seen.real, fakes) for fakes in each.fakes)
        for seen, each in zip(reading.cases, matches, strict=True)
    )
    return Explanation("constant_added", f"A constant of {shown(extra)} was added to it.", slopes)
