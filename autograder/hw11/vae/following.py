"""Tells the gradient of a negative ELBO that is wrong in a known way: that of the value which was returned.

A term that is wrong has cost its points by its value. The gradient of such a negative ELBO is wrong as well, but
follows from it; so it is judged by that of the value, and one error is not charged twice. What is wrong with the
gradient alone, such as a z that was detached, still shows.

The value is a sum a K + b R + constant, K right or one of the known mistakes of the KL term, R the same of the
reconstruction. Its derivatives are central differences in float64: in m and v with the noise n = (z - m) / sqrt(v) of
the decoded z held fixed, z = m + sqrt(v) n, and in the decoder's b along a few directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from autograder.core import Array
from autograder.hw11.vae.interpretation import (
    ALONE,
    KL_MISTAKES,
    PIXELS,
    REC_MISTAKES,
    STEEPEST,
    BoundCase,
    BoundReading,
    cross_entropy,
    divergence,
    is_mistake,
    log_ratio,
)
from autograder.judging.judges import within

Term = Callable[..., Array | float]
STEP = 1e-5
"""In z, v and b, relative to v: central differences of it err by 1e-10 of the third derivative, and by 1e-11 of values
that are below 10^3, beside slopes of 1e-2 and more."""
NEAR = 1e-3
"""Share of the gradient's size that it may be off by. Rounding in float32 is at most 1e-4 of it: 784 products in any
order and sigmoids of logits up to 3.5, as in bound.py. A term that is missing, detached or of the other sign changes
it by more than a tenth in some case."""
DIRECTIONS = 8
"""Of the decoder's b: another gradient agrees along all of them, with numbers that are known beforehand, only if it was
made for that; and then it has cost its points by its value all the same."""


@dataclass(frozen=True, eq=False)
class Followed:
    """The value that was returned, as a function of what a case was made of."""

    kl: Term
    rec: Term
    of_kl: float
    of_rec: float

    def value(self, seen: BoundCase) -> float:
        return self.of_kl * float(np.mean(self.kl(seen))) + self.of_rec * float(np.mean(self.rec(seen)))


def _right_kl(seen: BoundCase) -> Array:
    return seen.kl


def _estimated_kl(seen: BoundCase) -> Array:
    return seen.monte_carlo


def _right_rec(seen: BoundCase) -> Array:
    return seen.rec


def _terms(reading: BoundReading, which: str) -> list[Term]:
    """What the returned term is in every single example: right, with either sign, or known mistakes."""
    pairs = [(reading.single(case, which), reading.cases[case]) for case in ALONE]
    mistakes = KL_MISTAKES if which == "kl" else REC_MISTAKES
    known: list[Term] = [one.formula for one in mistakes if all(is_mistake(value, one, seen) for value, seen in pairs)]
    right = [_right_kl, _estimated_kl] if which == "kl" else [_right_rec]
    return [*right, *known]


WEIGHTS: tuple[tuple[float, float], ...] = (
    *((a, b) for a in (1.0, -1.0) for b in (1.0, -1.0)),
    *((a / PIXELS, b / PIXELS) for a in (1, PIXELS) for b in (1,)),
    (0.0, 1.0),
    (1.0, 0.0),
)
"""The weights with which KL and reconstruction are added up, right or wrong (`SUMS` in bound.py)."""


def _weights(pairs: list[tuple[float, float, float]]) -> Iterator[tuple[float, float]]:
    """Those above, and the one pair that explains three values (nelbo, KL, reconstruction) best."""
    yield from WEIGHTS
    matrix = np.array([pair[1:] for pair in pairs])
    if np.linalg.matrix_rank(matrix) == 2:
        found, *_ = np.linalg.lstsq(matrix, np.array([pair[0] for pair in pairs]), rcond=None)
        yield float(found[0]), float(found[1])


def followed(reading: BoundReading) -> list[Followed]:
    """All that explains the negative ELBO of every single example, up to the same constant."""
    found = []
    for kl in _terms(reading, "kl"):
        for rec in _terms(reading, "rec"):
            triples = [
                (
                    reading.single(case, "nelbo"),
                    float(np.mean(kl(reading.cases[case]))),
                    float(np.mean(rec(reading.cases[case]))),
                )
                for case in ALONE
            ]
            for of_kl, of_rec in _weights(triples):
                rest = [value - of_kl * a - of_rec * b for value, a, b in triples]
                # Rounding as in `is_bound`, and what a small constant changes.
                bounds = [
                    abs(of_kl) * (reading.cases[case].kl_bound + reading.cases[case].mc_bound)
                    + abs(of_rec) * reading.cases[case].rec_bound * (1 + abs(b) / float(reading.cases[case].rec.mean()))
                    + 1e-6 * (abs(a) + abs(b) + abs(value))
                    for case, (value, a, b) in zip(ALONE, triples, strict=True)
                ]
                constant = float(np.median(rest))
                if all(within(one, constant, bound) for one, bound in zip(rest, bounds, strict=True)):
                    found.append(Followed(kl, rec, of_kl, of_rec))
    return found


def moved(seen: BoundCase, m: Array, v: Array, w: Array, b: Array) -> BoundCase:
    """The case with other m (batch, dim), v and b (784,), and the same noise."""
    noise = (seen.z - seen.m) / np.sqrt(seen.v)
    z = m + np.sqrt(v) * noise
    logits = STEEPEST * np.tanh(z @ w + b)
    terms = cross_entropy(logits, seen.x)
    return replace(
        seen, m=m, v=v, z=z, logits=logits, terms=terms, kl=divergence(m, v), monte_carlo=log_ratio(z, m, v),
        rec=terms.sum(-1).mean(0),
    )  # fmt: skip


def encoder_follows(one: Followed, seen: BoundCase, w: Array, b: Array, to_m: Array, to_v: Array) -> bool:
    """Whether the gradients to m and v, (1, dim) each, are those of the value."""
    for got, place in ((to_m, "m"), (to_v, "v")):
        want = np.empty_like(seen.m)
        for index in np.ndindex(want.shape):
            ends = []
            for sign in (1, -1):
                m, v = seen.m.copy(), seen.v.copy()
                step = STEP if place == "m" else STEP * seen.v[index]
                (m if place == "m" else v)[index] += sign * step
                ends.append(one.value(moved(seen, m, v, w, b)))
            want[index] = (ends[0] - ends[1]) / (2 * step)
        if not within(got, want, NEAR * max(1.0, float(np.abs(want).max()))):
            return False
    return True


def decoder_follows(one: Followed, seen: BoundCase, w: Array, b: Array, to_b: Array) -> bool:
    """Whether the gradient to b, (784,), is that of the value."""
    rng = np.random.Generator(np.random.Philox(1))
    for _ in range(DIRECTIONS):
        along = rng.standard_normal(len(b))
        ends = [one.value(moved(seen, seen.m, seen.v, w, b + sign * STEP * along)) for sign in (1, -1)]
        want = (ends[0] - ends[1]) / (2 * STEP)
        if not within(float(to_b @ along), want, NEAR * float(np.linalg.norm(to_b)) + 1e-9):
            return False
    return True
