"""Reads what `loss_nonsaturating` returned: which z counted, in which order the losses come, what is right.

With h the discriminator's logits, D = sigmoid(h) and softplus(h) = log(1 + exp(h)) = -log(1 - D):
    d_loss    mean softplus(-h(x)) + mean softplus(h(G(z)))     (Goodfellow et al. 2014, eq. 1, negated)
    g_loss    mean softplus(-h(G(z)))                           (ibid., section 3: the non-saturating loss)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import expit

from autograder.core import Array, CheckFailed, Trial
from autograder.hw11.epsilon import EPSILON
from autograder.judging.judges import Misconception, array, parts_of, tolerance_ratio, whole
from autograder.judging.stats import UNIT, gamma
from autograder.sandbox.parts import each, items

PIXELS = 784
SEEN = 32  # pixels that the stub discriminator looks at: the others' weights are 0 and add no rounding
STEEPEST = 3.5  # the stub discriminator's logits are 3.5 tanh(x w + c)
CASES = ((2, 3), (5, 7), (12, 3))
"""(batch, dim)."""
MOST_FAKES = 16
"""Batches of fakes that are looked at in a case; one or two are usual."""
D, G = "d_loss", "g_loss"
WORDS = {D: "discriminator's loss", G: "generator's loss"}


def softplus(h: Array) -> Array:
    """log(1 + exp(h)), elementwise."""
    result: Array = np.maximum(h, 0) + np.log1p(np.exp(-np.abs(h)))
    return result


STEEPEST_CURVE = 6.0
"""How much faster than x w + c the slope of a term in it may change: see `slopes`."""
UNEVEN = 300 * UNIT + EPSILON * (1 + np.exp(STEEPEST))
"""What a term -log p may err by beside what its logit does: a sigmoid errs by 8u / p <= 8u (1 + e^3.5) < 300 u, and a
small constant beside p or in its place (epsilon.py) changes it by at most 1e-6 / p."""


@dataclass(frozen=True, eq=False)
class Images:
    """A batch of images (rows, 784) and their logits (rows,)."""

    x: Array
    h: Array


@dataclass(frozen=True, eq=False)
class Fakes(Images):
    """A batch of fakes that may have counted, and its rows among all z."""

    rows: tuple[int, int]


@dataclass(frozen=True)
class LossCase:
    """One case, read: what was given, what was returned, every batch of fakes that may have counted."""

    batch: int
    x: Array  # (batch, 784)
    w: Array  # (784,)
    c: float
    h: Array  # (batch,) logits of the real images
    fakes: tuple[Fakes, ...]
    losses: tuple[Array, Array]
    pixels: Array  # (784,) what the pixels of a fake may err by
    slack: float  # what a logit may err by
    others: tuple[Images, ...] = ()  # batches that the discriminator saw and that are neither real nor generated

    @property
    def real(self) -> Images:
        return Images(self.x, self.h)

    def terms(self, formula: Misconception, fakes: Fakes) -> float:
        return float(formula.formula(self.h, fakes.h))


@dataclass(frozen=True)
class Match:
    """How a loss fits: the fakes that counted, and how the batch was aggregated ("" is the mean)."""

    fakes: tuple[Fakes, ...]
    how: str
    tolerance_used: float


def _mean(values: Array) -> float:
    return float(values.mean())


RIGHT = {
    D: Misconception("", "", lambda real, fake: _mean(softplus(-real)) + _mean(softplus(fake))),
    G: Misconception("", "", lambda real, fake: _mean(softplus(-fake))),
}


def _both(real: Array, fake: Array) -> float:
    """The right loss of the discriminator."""
    return _mean(softplus(-real)) + _mean(softplus(fake))


ONE_MINUS = (
    "1 - h was used in place of -h. With the logit h, 1 - D is sigmoid(-h), not sigmoid(1 - h), and log(1 - D) is "
    "logsigmoid(-h)."
)
ONE_OUTSIDE = "log(1 - D) was written as 1 - log D, but the 1 belongs inside the logarithm."
AVERAGED_FIRST = "The average was taken before the logarithm. Expected: the average of the logarithms."
RELATIVISTIC = (
    "It is the loss of a relativistic GAN, which compares real images with generated ones. Expected: one term for each."
)
LABELS_AS_LOGITS = "The labels and the logits are swapped. Pass the logits first."
BITS = "It is right up to a factor of 1 / log 2, because its logarithm has base 2. Expected: the natural logarithm."
D_MISTAKES = (
    Misconception(
        "d_real_ignored",
        "It contains the generated images only. The term -log D(x) of the real images is missing.",
        lambda real, fake: _mean(softplus(fake)),
    ),
    Misconception(
        "d_fake_ignored",
        "It contains the real images only. The term -log(1 - D(G(z))) of the generated images is missing.",
        lambda real, fake: _mean(softplus(-real)),
    ),
    Misconception(
        "labels_swapped",
        "Real and generated images are swapped, so it is smallest for a discriminator that takes generated images "
        "for real.",
        lambda real, fake: _mean(softplus(real)) + _mean(softplus(-fake)),
    ),
    Misconception(
        "labels_swapped",
        "It treats the generated images as real, with the term -log D(G(z)). Expected: -log(1 - D(G(z))).",
        lambda real, fake: _mean(softplus(-real)) + _mean(softplus(-fake)),
    ),
    Misconception(
        "labels_swapped",
        "It treats the real images as generated, with the term -log(1 - D(x)). Expected: -log D(x).",
        lambda real, fake: _mean(softplus(real)) + _mean(softplus(fake)),
    ),
    Misconception(
        "d_halved",
        "It was divided by two. Expected: the sum of the two averages, as in the handout.",
        lambda real, fake: (_mean(softplus(-real)) + _mean(softplus(fake))) / 2,
    ),
    Misconception(
        "d_sign",
        "It has the wrong sign. It is log D(x) + log(1 - D(G(z))), which must be maximised, but training minimises "
        "the loss.",
        lambda real, fake: -(_mean(softplus(-real)) + _mean(softplus(fake))),
    ),
    Misconception(
        "d_sign",
        "The term of the generated images has the wrong sign. Expected: -log D(x) - log(1 - D(G(z))).",
        lambda real, fake: _mean(softplus(-real)) - _mean(softplus(fake)),
    ),
    Misconception(
        "d_sign",
        "The term of the real images has the wrong sign. Expected: -log D(x) - log(1 - D(G(z))).",
        lambda real, fake: _mean(softplus(fake)) - _mean(softplus(-real)),
    ),
    Misconception(
        "sigmoid_twice",
        "The sigmoid was applied twice. The discriminator returns logits, and this loss function applies the "
        "sigmoid itself.",
        lambda real, fake: _mean(softplus(-expit(real))) + _mean(softplus(expit(fake))),
    ),
    Misconception(
        "d_label_smoothing",
        "The labels of the real images are 0.9, which is label smoothing. Expected: labels of 1.",
        lambda real, fake: _mean(0.9 * softplus(-real) + 0.1 * softplus(real)) + _mean(softplus(fake)),
    ),
    Misconception(
        "d_label_smoothing",
        "The labels are 0.9 and 0.1, which is label smoothing. Expected: labels of 1 and 0.",
        lambda real, fake: (
            _mean(0.9 * softplus(-real) + 0.1 * softplus(real)) + _mean(0.9 * softplus(fake) + 0.1 * softplus(-fake))
        ),
    ),
    Misconception(
        "log_missing",
        "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: _mean(fake) - _mean(real),
    ),
    Misconception(
        "log_missing",
        "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: _mean(expit(fake)) - _mean(expit(real)),
    ),
    Misconception(
        "log_missing",
        "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: _mean(expit(fake)) + 1 - _mean(expit(real)),
    ),
    Misconception(
        "log_missing",
        "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: _mean(expit(fake)) - 1 - _mean(expit(real)),
    ),
    Misconception(
        "least_squares",
        "It is a squared error. Expected: the cross entropy.",
        lambda real, fake: _mean((real - 1) ** 2) + _mean(fake**2),
    ),
    Misconception(
        "least_squares",
        "It is a squared error. Expected: the cross entropy.",
        lambda real, fake: _mean((expit(real) - 1) ** 2) + _mean(expit(fake) ** 2),
    ),
    Misconception(
        "least_squares",
        "It is half a squared error. Expected: the cross entropy.",
        lambda real, fake: (_mean((real - 1) ** 2) + _mean(fake**2)) / 2,
    ),
    Misconception(
        "hinge",
        "It is a hinge loss. Expected: the cross entropy.",
        lambda real, fake: _mean(np.maximum(0, 1 - real)) + _mean(np.maximum(0, 1 + fake)),
    ),
    Misconception("one_minus_logit", ONE_MINUS, lambda real, fake: _mean(softplus(-real)) + _mean(softplus(fake - 1))),
    Misconception(
        "one_outside_log", ONE_OUTSIDE, lambda real, fake: _mean(softplus(-real)) - 1 - _mean(softplus(-fake))
    ),
    Misconception(
        "one_outside_log", ONE_OUTSIDE, lambda real, fake: _mean(softplus(-real)) + 1 + _mean(softplus(-fake))
    ),
    Misconception(
        "log_of_average",
        AVERAGED_FIRST,
        lambda real, fake: -float(np.log(_mean(expit(real)))) - float(np.log(1 - _mean(expit(fake)))),
    ),
    Misconception(
        "relativistic",
        RELATIVISTIC,
        lambda real, fake: _mean(softplus(-(real - _mean(fake)))) + _mean(softplus(fake - _mean(real))),
    ),
    Misconception("d_doubled", "It is twice the expected value.", lambda real, fake: 2 * _both(real, fake)),
    Misconception(
        "term_weighted",
        "The term of the generated images has the weight 1/2. Expected: the sum of the two averages.",
        lambda real, fake: _mean(softplus(-real)) + _mean(softplus(fake)) / 2,
    ),
    Misconception(
        "wrong_images",
        "Both terms are computed from the real images. The second term belongs to the generated images.",
        lambda real, fake: _mean(softplus(-real)) + _mean(softplus(real)),
    ),
    Misconception(
        "wrong_images",
        "Both terms are computed from the generated images. The first term belongs to the real images.",
        lambda real, fake: _mean(softplus(-fake)) + _mean(softplus(fake)),
    ),
    Misconception(
        "relativistic",
        RELATIVISTIC,
        lambda real, fake: _mean(softplus(fake - real)) if len(fake) == len(real) else np.nan,
    ),
    Misconception(
        "labels_and_logits_swapped",
        LABELS_AS_LOGITS,
        lambda real, fake: _mean(softplus(np.ones(1)) - real) + _mean(softplus(0 * fake)),
    ),
    Misconception("bits", BITS, lambda real, fake: _both(real, fake) / np.log(2)),
    Misconception(
        "g_loss_added",
        "It also contains the generator's loss. Expected: -log D(x) - log(1 - D(G(z))) alone.",
        lambda real, fake: _both(real, fake) + _mean(softplus(-fake)),
    ),
)

SATURATES = (
    "If the discriminator recognises the generated images, for example with D(G(z)) = 0.01, the slope of this loss "
    "in the logit is only 0.01. The slope of -log D(G(z)) is 0.99 there. Expected: -log D(G(z))."
)
G_MISTAKES = (
    Misconception(
        "minimax_generator",
        f"It is the minimax loss log(1 - D(G(z))). {SATURATES}",
        lambda real, fake: -_mean(softplus(fake)),
    ),
    Misconception(
        "g_sign",
        "It has the wrong sign. It is log D(G(z)), and minimising that makes the generated images worse. Expected: "
        "-log D(G(z)).",
        lambda real, fake: -_mean(softplus(-fake)),
    ),
    Misconception(
        "g_trains_fake",
        "It is -log(1 - D(G(z))), the term of the discriminator. It is smallest if the discriminator recognises the "
        "generated images. Expected: -log D(G(z)), the loss with real labels for generated images.",
        lambda real, fake: _mean(softplus(fake)),
    ),
    Misconception(
        "g_uses_real",
        "It is computed from the real images. Expected: the generated images.",
        lambda real, fake: _mean(softplus(-real)),
    ),
    Misconception(
        "g_halved", "It was divided by two. Expected: the average of -log D(G(z)).",
        lambda real, fake: _mean(softplus(-fake)) / 2,
    ),
    Misconception(
        "sigmoid_twice",
        "The sigmoid was applied twice. The discriminator returns logits, and this loss function applies the "
        "sigmoid itself.",
        lambda real, fake: _mean(softplus(-expit(fake))),
    ),
    Misconception(
        "log_missing", "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: -_mean(fake),
    ),
    Misconception(
        "log_missing", "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: -_mean(expit(fake)),
    ),
    Misconception(
        "log_missing", "The logarithm is missing: the loss uses the logits or probabilities directly.",
        lambda real, fake: 1 - _mean(expit(fake)),
    ),
    Misconception(
        "least_squares", "It is a squared error. Expected: the cross entropy.",
        lambda real, fake: _mean((fake - 1) ** 2),
    ),
    Misconception(
        "least_squares", "It is half a squared error. Expected: the cross entropy.",
        lambda real, fake: _mean((fake - 1) ** 2) / 2,
    ),
    Misconception(
        "least_squares", "It is a squared error. Expected: the cross entropy.",
        lambda real, fake: _mean((expit(fake) - 1) ** 2),
    ),
    Misconception(
        "both_terms",
        "It also contains the term of the real images. Expected: -log D(G(z)) alone.",
        lambda real, fake: _mean(softplus(-fake)) + _mean(softplus(real)),
    ),
    Misconception(
        "both_terms",
        "It also contains the term of the real images. Expected: -log D(G(z)) alone.",
        lambda real, fake: _mean(softplus(-fake)) + _mean(softplus(-real)),
    ),
    Misconception(
        "minimax_generator",
        "It is -d_loss, the generator's loss in the minimax game. Expected: the non-saturating loss -log D(G(z)) "
        "alone.",
        lambda real, fake: -_both(real, fake),
    ),
    Misconception(
        "g_trains_fake",
        "It is d_loss itself, so the generator would help the discriminator. Expected: -log D(G(z)) alone.",
        _both,
    ),
    Misconception("one_minus_logit", ONE_MINUS, lambda real, fake: _mean(softplus(fake - 1))),
    Misconception(
        "one_minus_logit",
        f"It is an incorrect version of the minimax loss. {ONE_MINUS} Expected: -log D(G(z)).",
        lambda real, fake: -_mean(softplus(fake - 1)),
    ),
    Misconception(
        "one_outside_log", "It is 1 - log D(G(z)), but -log D(G(z)) has no 1 in it.",
        lambda real, fake: 1 + _mean(softplus(-fake)),
    ),
    Misconception("log_of_average", AVERAGED_FIRST, lambda real, fake: -float(np.log(_mean(expit(fake))))),
    Misconception(
        "relativistic", RELATIVISTIC,
        lambda real, fake: _mean(softplus(-(fake - _mean(real)))) + _mean(softplus(real - _mean(fake))),
    ),
    Misconception("relativistic", RELATIVISTIC, lambda real, fake: _mean(softplus(-(fake - _mean(real))))),
    Misconception(
        "g_label_smoothing", "The labels are 0.9, which is label smoothing. Expected: labels of 1.",
        lambda real, fake: _mean(0.9 * softplus(-fake) + 0.1 * softplus(fake)),
    ),
    Misconception(
        "relativistic",
        RELATIVISTIC,
        lambda real, fake: _mean(softplus(real - fake)) if len(fake) == len(real) else np.nan,
    ),
    Misconception(
        "labels_and_logits_swapped", LABELS_AS_LOGITS, lambda real, fake: _mean(softplus(np.ones(1)) - fake)
    ),
    Misconception("bits", BITS, lambda real, fake: _mean(softplus(-fake)) / np.log(2)),
)  # fmt: skip
MISTAKES = {D: D_MISTAKES, G: G_MISTAKES}
AGGREGATED = {
    "": "",
    "sum_not_mean": "It is the sum over the batch.",
    "averaged_twice": "It was divided by the batch size twice.",
    "not_averaged": "It was not averaged.",
}


@dataclass(frozen=True, eq=False)
class LossReading:
    """The whole answer: the cases, which of the two values is which, and how each loss fits (None: not)."""

    cases: tuple[LossCase, ...]
    order: tuple[str, str]
    found: dict[str, tuple[Match, ...] | None]
    _known: dict[str, tuple[Misconception, tuple[Match, ...]] | None] = field(default_factory=dict)

    def index(self, which: str) -> int:
        return self.order.index(which)

    def loss(self, case: int, which: str) -> Array:
        return self.cases[case].losses[self.index(which)]

    def how(self, which: str) -> str | None:
        """How the batch was aggregated in every case; None where the loss is not right."""
        found = self.found[which]
        return None if found is None else found[-1].how

    def counted(self) -> list[int] | None:
        """Which batches of fakes went into the losses, as their places among all; None where that is not known."""
        found = [self.found[which] for which in (D, G)]
        if None in found:
            return None
        places: set[int] = set()
        for matches in found:
            assert matches is not None
            begin, end = matches[-1].fakes[0].rows
            places |= set(range(begin // self.cases[-1].batch, -(-end // self.cases[-1].batch)))
        return sorted(places)

    def scale(self, which: str, batch: int, *, summed: bool = False) -> float:
        """What a loss of `batch` rows is a multiple of its average by; `summed`, where the probe adds a vector up."""
        how = self.how(which) or ""
        if how == "not_averaged":
            return float(batch) if summed else 1.0
        return factors(batch)[how]

    def known(self, which: str) -> Misconception | None:
        """The mistake that explains this loss in every case, if one is known."""
        found = self.known_match(which)
        return None if found is None else found[0]

    def known_match(self, which: str) -> tuple[Misconception, tuple[Match, ...]] | None:
        """The same, with how it fits."""
        if which not in self._known:
            pairs = ((known, match(self.cases, self.index(which), known)) for known in MISTAKES[which])
            self._known[which] = next(((known, found) for known, found in pairs if found is not None), None)
        return self._known[which]


def _fakes(z: Array, rows: Sequence[int], batch: int, a: Array, b: Array, w: Array, c: float) -> tuple[Fakes, ...]:
    """Every batch that may have counted: whole calls, their parts of `batch` rows, and all calls together."""
    places: list[tuple[int, int]] = []
    begin = 0
    for count in rows:
        end = begin + count
        places.append((begin, end))
        if count > batch and count % batch == 0:
            places += [(at, at + batch) for at in range(begin, end, batch)]
        begin = end
    if len(rows) > 1:
        places.append((0, len(z)))
    found = []
    for begin, end in places[:MOST_FAKES]:
        x = np.tanh(z[begin:end] @ a) + b
        found.append(Fakes(x, STEEPEST * np.tanh(x @ w + c), (begin, end)))
    return tuple(found)


def returned(trial: Trial, case: int) -> list[dict[str, Any]]:
    """What came back of each of a case's two losses."""
    return items(each(trial)[case].got, "losses", 2)


def _read(trial: Trial, batch: int, dim: int) -> LossCase:
    """One case, read."""
    given, got = trial.given, trial.got
    x, a, b, w = (array(given, name) for name in "xabw")
    c = float(array(given, "c"))
    z = array(got, "z", what="The z passed to the generator")
    rows = parts_of(got, "rows", total=len(z) if z.ndim else 0)
    if z.ndim != 2 or z.shape[1] != dim or not len(z) or rows is None:
        raise CheckFailed(
            f"The generator received z of shape {list(z.shape)}. Expected: shape [{batch}, {dim}] for a batch of "
            f"{batch} images and z_dim {dim}.",
            diagnosis="wrong_shape",
        )
    if len(z) > 64 * batch or np.abs(z).max() > 50:
        raise CheckFailed(
            f"The generator received {len(z)} z for a batch of {batch} images, with values of up to "
            f"{np.abs(z).max():.0f} standard deviations, so the losses cannot be judged. Expected: one draw from "
            "N(0, I) for each image."
        )
    told = enumerate(items(got, "losses", 2), 1)
    losses = tuple(array(one, "loss", what=f"Loss {number} of the two") for number, one in told)
    seen = seen_of(x, a, b, w, c, z, rows, losses)  # type: ignore[arg-type]
    if "other" not in got:
        return seen
    try:
        others = array(got, "other", what="The images passed to the discriminator")
    except CheckFailed:  # it is of use for words alone, and may have been for display
        return seen
    return replace(seen, others=tuple(images_of(each, w, c) for each in others if each.shape == x.shape))


def images_of(x: Array, w: Array, c: float) -> Images:
    """Images (rows, 784) with the discriminator's logits for them."""
    return Images(x, STEEPEST * np.tanh(x @ w + c))


def seen_of(
    x: Array, a: Array, b: Array, w: Array, c: float, z: Array, rows: Sequence[int], losses: tuple[Array, Array]
) -> LossCase:
    """The case of a batch x, the two networks' weights, the z (rows, dim) of all calls, and what was returned."""
    fakes = _fakes(z, rows, len(x), a, b, w, c)
    # A logit 3.5 tanh(s), s = x w + c, errs by 3.5 times what s does: SEEN products, and pixels that err by
    # gamma (|z| |A| + |b|) themselves.
    pixels = gamma(len(a) + 8) * (np.abs(z) @ np.abs(a) + 2 * np.abs(b)).max(0)
    largest = np.max([np.abs(x).max(0), *(np.abs(fake.x).max(0) for fake in fakes)], axis=0)
    slack = STEEPEST * (float(pixels @ np.abs(w)) + gamma(SEEN + 8) * (float(largest @ np.abs(w)) + abs(c)))
    real = STEEPEST * np.tanh(x @ w + c)
    return LossCase(len(x), x, w, c, real, fakes, losses, pixels, slack)


def factors(batch: int) -> dict[str, float]:
    """What a mean over the batch may be multiplied by."""
    return {"": 1.0, "sum_not_mean": float(batch), "averaged_twice": 1 / batch}


def match(cases: tuple[LossCase, ...], place: int, known: Misconception) -> tuple[Match, ...] | None:
    """How the value at this place fits the formula in every case, aggregated in one and the same way; or None."""
    for how in AGGREGATED:
        matches = []
        for seen in cases:
            loss = seen.losses[place]
            if how == "not_averaged":
                got, factor = (_mean(loss), 1.0) if loss.ndim and loss.size == seen.batch else (np.nan, 1.0)
            else:
                got, factor = (float(loss.reshape(())), factors(seen.batch)[how]) if loss.size == 1 else (np.nan, 1.0)
            fitting = []
            best = np.inf
            for fakes in seen.fakes:
                want = factor * seen.terms(known, fakes)
                size = _mean(np.abs(seen.h)) + _mean(np.abs(fakes.h)) + 2
                one = tolerance_ratio(got, want, factor * (2 * seen.slack + 2 * UNEVEN + gamma(100) * size))
                best = min(best, one)
                if one <= 1:
                    fitting.append(fakes)
            if not fitting:
                break
            matches.append(Match(tuple(fitting), how, best))
        else:
            return tuple(matches)
    return None


WEIGHTS = {"right": 4, "mistake": 2, "of_other_images": 1}
OF_OTHER_IMAGES = frozenset(["d_real_ignored", "both_terms", "g_uses_real", "g_loss_added", "wrong_images"])
"""Mistakes by which a loss is made of images that belong to the other one: an order that needs none of them is likelier
than one that does."""


@lru_cache(maxsize=2)
def read(trial: Trial) -> LossReading:
    """The best reading of all cases. The other order is believed only where it explains more than the right one."""
    cases = tuple(_read(case, *shape) for case, shape in zip(each(trial), CASES, strict=True))
    usual = _ordered(cases, (D, G))
    if None not in usual.found.values():
        return usual
    other = _ordered(cases, (G, D))
    return other if _explained(other) > _explained(usual) else usual


def _ordered(cases: tuple[LossCase, ...], order: tuple[str, str]) -> LossReading:
    found = {which: match(cases, order.index(which), RIGHT[which]) for which in (D, G)}
    return LossReading(cases, order, found)


def _explained(reading: LossReading) -> int:
    """How well an order explains the two values."""
    points = 0
    for which in (D, G):
        if reading.found[which] is not None:
            points += WEIGHTS["right"]
        elif known := reading.known(which):
            points += WEIGHTS["of_other_images" if known.id in OF_OTHER_IMAGES else "mistake"]
    return points


def count(trial: Trial, case: int) -> int:
    """How many values were returned."""
    return whole(each(trial)[case].got, "count", least=2, most=10_000)
