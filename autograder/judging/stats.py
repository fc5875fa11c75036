"""Bounds on luck: tests whose p-values are exact or proved for finite samples, and rounding-error bounds.

Every function states its null hypothesis. None uses an asymptotic distribution: what is reported as p
is at least the probability, under the null, of data at least as extreme. A battery corrects for the
number of tests in it (Bonferroni), so the smallest corrected p below alpha is a fail whose probability
for a right answer is at most alpha. How small an effect each test sees at its level follows from the same
distributions, in audit/falsefails.py. scipy.special is used directly: importing scipy.stats takes longer
than a whole grading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from autograder.core import Array

UNIT = 2.0**-24
"""Unit round-off of float32."""

CDF_SLACK = 2e-6
"""How far the distribution of a right float32 normal may be from the ideal one: 24-bit uniforms are behind it (6e-8),
residuals are rounded (by u |z| / sqrt(v), on average over what is drawn below 3e-7), and a constant of 1e-6 beside v
or sqrt(v) may widen it where v is at least 0.1 (by x phi(x) <= 0.25 of 5e-7 / v + 1e-6 / sqrt(v), on average below
7e-7)."""

SQUARE_SLACK = 1e-4
"""Relative slack for sums of squares. Residuals (z - m) / sqrt(v) of float32 samples err by at most u |m| / sqrt(v),
which is 5e-5 where |m| = 9 and v = 1e-4 meet and far less elsewhere; with random signs the sum of squares moves by
less than 1e-4 of itself. It also holds a constant of 1e-6 beside v or sqrt(v) where v is at least 0.1: the squares
grow by at most 1e-6 / v + 2e-6 / sqrt(v) < 2e-5 of themselves. Smaller variances need the `doubt` of `parameters`."""


def gamma(operations: float, *, u: float = UNIT) -> float:
    """Higham (2002), lemma 3.1: n operations of unit roundoff u (float32's) change a result by at most this share."""
    return operations * u / (1 - operations * u)


@dataclass(frozen=True)
class Finding:
    """One test's outcome: its p-value, corrected within the test, and what was tested, in words."""

    p: float
    what: str

    def __post_init__(self) -> None:
        if not self.p >= 0:  # a nan: what cannot be computed is no evidence for a right answer
            object.__setattr__(self, "p", 0.0)


def smallest_p(findings: Sequence[Finding]) -> Finding:
    """The smallest p of a battery, corrected for the number of tests in it (Bonferroni)."""
    worst = min(findings, key=lambda finding: finding.p)
    return Finding(min(1.0, worst.p * len(findings)), worst.what)


def two_sided(lower: float, upper: float) -> float:
    """p of a two-sided test from both tails' probabilities."""
    return float(min(1.0, 2 * min(lower, upper)))


# ------------------------------------------------------------------------------- one normal sample


def mean(e: Array) -> Finding:
    """Null: e iid N(0, 1). sum(e) / sqrt(N) is N(0, 1) exactly; two-sided."""
    t = abs(float(e.sum())) / np.sqrt(e.size)
    slack = 1e-4  # sum of the residuals' rounding, far below one standard deviation of t
    return Finding(float(min(1.0, 2 * special.ndtr(-max(0.0, t - slack)))), "the noise's mean")


def variance(e: Array, *, along: int | None = None) -> Finding:
    """Null: e iid N(0, 1). Sums of squares are chi^2 exactly; two-sided; with `along`, for each slice of that axis."""
    squares = e**2
    if along is None:
        sums, count = np.array([squares.sum()]), e.size
    else:
        other = tuple(axis for axis in range(e.ndim) if axis != along)
        sums, count = squares.sum(axis=other), e.size // e.shape[along]
    high = special.chdtrc(count, sums * (1 - SQUARE_SLACK))
    low = special.chdtr(count, sums * (1 + SQUARE_SLACK))
    p = min(1.0, 2 * float(np.minimum(low, high).min()) * len(sums))
    return Finding(p, "the noise's variance" + ("" if along is None else " in a single row or column"))


def binomial(count: float, n: int, p: float) -> float:
    """Two-sided exact p for a count under Binomial(n, p), p known up to CDF_SLACK."""
    low_p, high_p = max(p - CDF_SLACK, 0.0), min(p + CDF_SLACK, 1.0)
    lower = 1.0 if count >= n else float(special.betainc(n - count, count + 1, 1 - low_p))
    upper = 1.0 if count <= 0 else float(special.betainc(count, n - count + 1, high_p))
    return two_sided(lower, upper)


def cells(e: Array, *, number: int = 16) -> Finding:
    """Null: e iid N(0, 1). Counts in cells of equal probability are Binomial(N, 1/number) exactly."""
    edges = special.ndtri(np.arange(1, number) / number)
    counts = np.bincount(np.searchsorted(edges, e.ravel()), minlength=number)
    p = min(binomial(int(count), e.size, 1 / number) for count in counts)
    return Finding(min(1.0, p * number), "the distribution of the noise over its range")


def tails(e: Array) -> Finding:
    """Null: e iid N(0, 1). The number beyond +-c is Binomial(N, 2 Phi(-c)) exactly, for c = 2, ..., 4.5."""
    cuts = (2.0, 2.5, 3.0, 3.5, 4.0, 4.5)
    size = np.abs(e)
    p = min(binomial(int((size > c).sum()), e.size, 2 * float(special.ndtr(-c))) for c in cuts)
    return Finding(min(1.0, p * len(cuts)), "the share of noise values far from zero")


def distance(e: Array) -> Finding:
    """Null: e iid N(0, 1). P(sup |F_N - Phi| > D) <= 2 exp(-2 N D^2) (Massart 1990)."""
    u = special.ndtr(np.sort(e.ravel()))
    n = e.size
    steps = np.arange(n + 1) / n
    d = max(float((steps[1:] - u).max()), float((u - steps[:-1]).max())) - CDF_SLACK
    return Finding(min(1.0, 2 * float(np.exp(-2 * n * max(d, 0.0) ** 2))), "the distribution of the noise")


def largest(e: Array) -> Finding:
    """Null: e iid N(0, 1). P(max |e| > c) <= 2 N Phi(-c) (union bound, which needs no independence)."""
    c = float(np.abs(e).max()) * (1 - 1e-4)
    return Finding(min(1.0, 2 * e.size * float(special.ndtr(-c))), "the largest noise value")


def evenness(e: Array, *, number: int = 16) -> Finding:
    """Null: e iid N(0, 1). Counts that are *too* equal, as those of a shuffled grid of quantiles.

    If every count is within k of N / number, there are at most (2k + 1)^(number - 1) such outcomes
    (the last count follows from the others), each at most as likely as the multinomial's mode.
    """
    edges = special.ndtri(np.arange(1, number) / number)
    counts = np.bincount(np.searchsorted(edges, e.ravel()), minlength=number)
    n = e.size
    k = int(np.ceil(np.abs(counts - n / number).max()))
    base, extra = divmod(n, number)
    mode = special.gammaln(n + 1) - extra * special.gammaln(base + 2) - (number - extra) * special.gammaln(base + 1)
    slack = n * np.log1p(number * CDF_SLACK)  # cells' probabilities are known up to CDF_SLACK
    log_p = (number - 1) * np.log(2 * k + 1) + mode - n * np.log(number) + slack
    return Finding(float(np.exp(min(0.0, log_p))), "the regularity of the noise over its range")


def distinct(e: Array) -> Array:
    """`e` with every axis along which it is constant reduced to one entry.

    Under the null this happens with probability zero. It keeps the marginal distribution of noise that
    is shared along an axis testable, so that sharing fails the test of independence only.
    """
    for axis in range(e.ndim):
        first = np.take(e, [0], axis=axis)
        if e.shape[axis] > 1 and bool((e == first).all()):
            e = first
    return e


def marginal(e: Array) -> list[Finding]:
    """Null: e (calls, batch, dim) iid N(0, 1). Each value's distribution."""
    e = distinct(e)
    findings = [mean(e), variance(e), cells(e), tails(e), distance(e), largest(e), evenness(e)]
    return findings + [variance(e, along=axis) for axis in (1, 2) if e.shape[axis] > 1]


# --------------------------------------------------------------------------------------- dependence


def _correlation(r: Array, n: int) -> Array:
    """Two-sided exact p of Pearson correlations of n pairs: r sqrt(n-2) / sqrt(1-r^2) ~ t_{n-2} (Student's t).

    It is enough that one of the two is iid normal and independent of the other, whatever that is.
    """
    r = np.clip(np.abs(r), 0.0, 1.0)
    t = r * np.sqrt((n - 2) / np.maximum(1 - r**2, 1e-300))
    p: Array = 2 * special.stdtr(n - 2, -t)
    return p


def pairs(e: Array, axis: int, what: str) -> Finding:
    """Null: e iid normal. Pearson correlation of every two slices of `axis`, exact, times their number."""
    slices = np.moveaxis(e, axis, 0).reshape(e.shape[axis], -1)
    count, n = slices.shape
    if count < 2 or n < 3:
        return Finding(1.0, what)
    centred = slices - slices.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num((centred @ centred.T) / np.outer(norms, norms))[np.triu_indices(count, 1)]
    return Finding(min(1.0, float(_correlation(r, n).min()) * len(r)), what)


def groups(e: Array, within: Sequence[int], what: str) -> Finding:
    """Null: e iid normal. Analysis of variance, two-sided: entries that differ along `within` form a group.

    F = (between / (g - 1)) / (inside / (N - g)) is F distributed exactly. Large where a group shares
    something, small where it balances (antithetic noise); location and scale drop out.
    """
    size = int(np.prod([e.shape[axis] for axis in within]))
    number = e.size // size
    if number < 2 or size < 2:
        return Finding(1.0, what)
    means = e.mean(axis=tuple(within), keepdims=True)
    inside = float(((e - means) ** 2).sum())
    between = size * float(((means - e.mean()) ** 2).sum())
    if inside <= 1e-12 * between:
        return Finding(0.0, what)
    f = (between / (number - 1)) / (inside / (e.size - number))
    high = special.fdtrc(number - 1, e.size - number, f * (1 - SQUARE_SLACK))
    low = special.fdtr(number - 1, e.size - number, f * (1 + SQUARE_SLACK))
    return Finding(two_sided(float(low), float(high)), what)


def neighbours(e: Array, axis: int, what: str) -> Finding:
    """Null: e iid normal. Pearson correlation of entries 2k and 2k + 1 along `axis`, exact."""
    if e.shape[axis] < 2 or e.size < 8:
        return Finding(1.0, what)
    half = e.shape[axis] // 2
    left = np.take(e, range(0, 2 * half, 2), axis=axis).ravel()
    right = np.take(e, range(1, 2 * half, 2), axis=axis).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(left, right)[0, 1])
    return Finding(min(1.0, float(_correlation(np.array([r]), len(left))[0])), what)


def dependence(e: Array) -> list[Finding]:
    """Null: e (calls, batch, dim) iid normal. Entries of one call: rows, columns, and all together."""
    rows, columns = "between the rows of a batch", "between the dimensions of a sample"
    return [
        pairs(e, 1, rows),
        pairs(e, 2, columns),
        groups(e, (1,), rows),
        groups(e, (2,), columns),
        groups(e, (0, 2), rows),
        groups(e, (0, 1), columns),
        groups(e, (1, 2), "between all entries of a call"),
        neighbours(e, 1, rows),
        neighbours(e, 2, columns),
    ]


def repetition(e: Array) -> list[Finding]:
    """Null: e (calls, batch, dim) iid normal. Calls: none a copy, a mirror or a shuffle of another."""
    what = "between one call and another"
    flat = e.reshape(len(e), -1)
    ordered = np.sort(flat, axis=1)
    # Two calls with the very same values, in whatever order: probability zero for a continuous
    # distribution, below (n! / 2^(24 n)) for one of 24 bits; n is at least 8 wherever this is used.
    same = len({row.tobytes() for row in ordered}) < len(ordered)
    found = [pairs(e, 0, what), groups(e, (0,), what), neighbours(e, 0, what)]
    return [
        *found,
        Finding(0.0 if same else 1.0, "between one call and another, because the same values were returned again"),
    ]


# ----------------------------------------------------------------------------------------- contrasts


def contrast(e: Array, covariate: Array, what: str, *, doubt: Array | float = 0.0) -> Finding:
    """Null: e iid normal. Its correlation with a fixed covariate, exact; location and scale drop out.

    With `doubt` every entry may be too far from 0 by up to that share of itself: with d = doubt |e| the product with
    the centred covariate a is off by at most sum |a| d, and the root of the sum of squares by at most that of d.
    """
    a = np.broadcast_to(covariate, e.shape)
    centred, a, off = e - e.mean(), a - a.mean(), np.abs(e) * doubt
    product = max(0.0, abs(float((centred * a).sum())) - float((np.abs(a) * off).sum()))
    with np.errstate(invalid="ignore", divide="ignore"):
        size = (np.sqrt((centred**2).sum()) + np.sqrt((off**2).sum())) * np.sqrt((a**2).sum())
        r = np.nan_to_num(product / size, nan=1.0)
    return Finding(min(1.0, float(_correlation(np.array([r]), e.size)[0])), what)


def ratio(e: Array, chosen: Array, what: str, *, doubt: Array | float = 0.0) -> Finding:
    """Null: e iid N(0, s^2). The chosen entries' share of the sum of squares is Beta(k/2, (N-k)/2) exactly.

    With `doubt` every entry may be too far from 0 by up to that share of itself, so that each square is known to lie
    between (1 - doubt)^2 of itself and itself; the share is then as small or as large as these allow.
    """
    mask = np.broadcast_to(chosen, e.shape)
    squares = e**2
    least = squares * (1 - np.asarray(doubt)) ** 2
    part, rest, total = float(squares[mask].sum()), float(squares[~mask].sum()), float(squares.sum())
    if total <= 0:
        return Finding(0.0, what)
    a, b = mask.sum() / 2, (~mask).sum() / 2
    above = part / (part + float(least[~mask].sum())) if part else 0.0  # the largest share that the chosen may have
    beyond = rest / (rest + float(least[mask].sum())) if rest else 0.0  # the largest that the others may have
    low = special.betainc(a, b, min(1.0, above * (1 + SQUARE_SLACK)))
    high = special.betainc(b, a, min(1.0, beyond * (1 + SQUARE_SLACK)))
    return Finding(two_sided(float(low), float(high)), what)


def parameters(e: Array, m: Array, v: Array, *, doubt: Array | float = 0.0) -> list[Finding]:
    """Null: e (calls, batch, dim) iid normal. Nothing of the mean m or the variance v (batch, dim) is left.

    With `doubt` every entry of e may be too far from 0 by up to that share of itself, whatever the reason.
    """
    log_v = np.log(v)
    findings = [
        contrast(e, m, "the sample's mean does not follow m", doubt=doubt),
        contrast(e, m / np.sqrt(v), "the sample's mean does not follow m", doubt=doubt),
        contrast(e, log_v, "the sample's mean depends on v", doubt=doubt),
        ratio(e, m > np.median(m), "the sample's standard deviation depends on m", doubt=doubt),
        ratio(e, np.abs(m) > np.median(np.abs(m)), "the sample's standard deviation depends on m", doubt=doubt),
    ]
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        chosen = log_v > np.quantile(log_v, quantile)
        findings.append(
            ratio(e, chosen, "the sample's standard deviation does not follow the square root of v", doubt=doubt)
        )
    return findings


def everything(e: Array, m: Array, v: Array) -> Iterator[Finding]:
    """Null: e (calls, batch, dim) iid N(0, 1), whatever m and v are: all of the above."""
    yield from marginal(e)
    yield from dependence(e)
    yield from repetition(e)
    yield from parameters(e, m, v)
