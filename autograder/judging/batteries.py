"""What judges of many homeworks need: tests of random draws, and identities that hold up to rounding.

A check of a random answer is made of two kinds of parts. A *battery* returns findings: tests whose p-values are exact
or proved. `judges.luck` gives the verdict for them. An *identity* holds for every right answer, up to a bound on
rounding that is derived; it returns a verdict or raises `CheckFailed`. Take an identity wherever there is one, a
battery for the rest.

| what is judged | how |
|---|---|
| standard normal noise | `standard_normal`, with `smallest_shift` and `smallest_scale` for what it sees |
| masks, coins, dropout | `bernoulli`, with `smallest_bias` for what it sees |
| draws of classes, tokens, actions | `categorical` |
| an estimator that must be unbiased | `expectation` over all outcomes, then `identity` |
| a value or gradient with a closed form | `identity`; `factor` names a wrong constant |
| a mean over the batch | `rearranged` for inputs, `averages` for the verdict |
| work that must not be quadratic | `square_share` |

A judge for normal noise of standard deviation s, whole:

    def normal(trial: Trial, alpha: float) -> Verdict:
        e = array(trial.got, "y", shape=SHAPE) / trial.given["s"]
        verdict, worst = luck(standard_normal(e), alpha, "The noise is standard normal.")
        return verdict or Verdict(0.0, f"The noise is not standard normal: {worst.what} does not match.", p=worst.p)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.random import Generator
from scipy import special

from autograder.core import Array, CheckFailed, Verdict
from autograder.judging.judges import got_and_expected, passed, shown, tolerance_ratio, within
from autograder.judging.stats import CDF_SLACK, SQUARE_SLACK, Finding, binomial, dependence, gamma, marginal, repetition

MISS = 1e-6
"""With this probability at most the smallest effect that is stated for a check is missed."""

# ------------------------------------------------------------------------------------------- batteries


def standard_normal(e: Array) -> list[Finding]:
    """Null: e (calls, batch, dim) iid N(0, 1). Each value's distribution; entries of a call; calls beside each other.

    The residuals of float32 samples may err as `stats.SQUARE_SLACK` says.

    >>> rng = np.random.default_rng(0)
    >>> e = rng.standard_normal((8, 64, 8))
    >>> min(finding.p for finding in standard_normal(e)) > 1e-4
    True
    >>> worst = min(standard_normal(e * 1.2), key=lambda finding: finding.p)
    >>> worst.p < 1e-9, worst.what
    (True, "the noise's variance")
    """
    return [*marginal(e), *dependence(e), *repetition(e)]


def bernoulli(kept: Array, p: float) -> list[Finding]:
    """Null: kept (calls, batch, dim), of 0 and 1, is iid with probability p of a 1. All tests are exact.

    The share of ones, over all and in each row and column; the pairs of neighbours in a row, in a column and between
    calls that are both 1, too many where something is shared; counts of the calls that are too even.

    >>> rng = np.random.default_rng(0)
    >>> mask = rng.random((8, 32, 32)) < 0.8
    >>> min(finding.p for finding in bernoulli(mask, 0.8)) > 1e-4
    True
    >>> one_row = np.repeat(mask[:, :1], 32, axis=1)
    >>> worst = min(bernoulli(one_row, 0.8), key=lambda finding: finding.p)
    >>> worst.p < 1e-9, worst.what
    (True, 'the mask is shared between the rows of a batch')
    """
    ones = np.asarray(kept) != 0
    if ones.ndim != 3:
        raise ValueError(f"bernoulli takes an array (calls, batch, dim), not one of shape {ones.shape}")
    found = [Finding(binomial(int(ones.sum()), ones.size, p), "the share of entries that are kept")]
    for axis, what in ((0, "a single call"), (1, "a single row"), (2, "a single column")):
        sums = ones.sum(axis=tuple(other for other in range(3) if other != axis))
        size = ones.size // len(sums)
        worst = min(binomial(int(count), size, p) for count in sums)
        found.append(Finding(min(1.0, worst * len(sums)), f"the share of entries of {what} that are kept"))
    between = ("between one call and another", "between the rows of a batch", "between the dimensions of a sample")
    for axis, what in enumerate(between):
        if (half := ones.shape[axis] // 2) > 0:
            left, right = (np.take(ones, range(first, 2 * half, 2), axis=axis) for first in (0, 1))
            # Two independent entries are alike with p^2 + (1 - p)^2.
            same = binomial(int((left == right).sum()), left.size, p * p + (1 - p) ** 2)
            found.append(Finding(same, f"the mask is shared {what}"))
    counts = ones.sum(axis=(1, 2))
    size = ones.size // len(counts)
    off = float(np.abs(counts - size * p).max())
    low, high = np.ceil(size * p - off - 1e-9) - 1, np.floor(size * p + off + 1e-9)
    inside = special.bdtr(min(high, size), size, p) - (special.bdtr(low, size, p) if low >= 0 else 0.0)
    even = float(min(1.0, inside + size * CDF_SLACK)) ** len(counts)  # p is known up to CDF_SLACK, for each entry
    return [*found, Finding(even, "the regularity of the number of entries that a call keeps")]


def categorical(drawn: Array, p: Array) -> list[Finding]:
    """Null: drawn (calls, rows) is independent, in row r class k with probability p[r, k]. All tests are exact.

    How often each class comes in each row; how often two neighbouring rows, and two neighbouring calls, agree. A class
    outside of p has p-value 0.

    >>> rng = np.random.default_rng(0)
    >>> p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    >>> drawn = np.stack([rng.choice(3, 4000, p=row) for row in p], axis=1)
    >>> min(finding.p for finding in categorical(drawn, p)) > 1e-4
    True
    >>> argmax = np.tile(p.argmax(1), (4000, 1))
    >>> min(categorical(argmax, p), key=lambda finding: finding.p).what
    'the frequency of class 1 in row 1'
    """
    drawn, p = np.asarray(drawn), np.asarray(p, float)
    calls, rows = drawn.shape
    if ((drawn < 0) | (drawn >= p.shape[1])).any():
        return [Finding(0.0, "a class that does not exist was drawn")]
    tests = {
        (row, k): binomial(int((drawn[:, row] == k).sum()), calls, float(p[row, k]))
        for row in range(rows)
        for k in range(p.shape[1])
    }
    (row, k), worst = min(tests.items(), key=lambda item: item[1])
    found = [Finding(min(1.0, worst * len(tests)), f"the frequency of class {k + 1} in row {row + 1}")]
    if (half := calls // 2) > 0:
        alike = (drawn[0 : 2 * half : 2] == drawn[1 : 2 * half : 2]).sum(0)
        each = [binomial(int(count), half, float((p[row] ** 2).sum())) for row, count in enumerate(alike)]
        found.append(Finding(min(1.0, min(each) * rows), "the frequency of equal draws in two calls"))
    if rows > 1:
        both = [
            binomial(int((drawn[:, r] == drawn[:, r + 1]).sum()), calls, float((p[r] * p[r + 1]).sum()))
            for r in range(rows - 1)
        ]
        found.append(Finding(min(1.0, min(both) * len(both)), "the frequency of equal draws in two rows"))
    return found


def smallest_bias(n: int, p: float, alpha: float) -> float:
    """The smallest d for which n coins of probability p + d, and of p - d, fail `binomial` with 1 - MISS at least.

    `alpha` is what the test itself may use: the judge's alpha, divided by the number of tests in its battery. Exact:
    the tails of a binomial distribution are incomplete beta functions, which are inverted. The first test of
    `bernoulli` is of all n entries, so this is the smallest bias that it sees.

    >>> round(smallest_bias(8192, 0.8, 1e-9 / 8), 3)
    0.052
    """
    counts = np.arange(n + 1)
    high = next(int(k) for k in counts[int(n * p) :] if binomial(int(k), n, p) < alpha)
    low = next(int(k) for k in counts[: int(n * p) + 1][::-1] if binomial(int(k), n, p) < alpha)
    above = float(special.betaincinv(high, n - high + 1, 1 - MISS)) - p  # P(X >= high) = I_q(high, n - high + 1)
    below = p - float(special.betaincinv(low + 1, n - low, MISS))  # P(X <= low) = 1 - I_q(low + 1, n - low)
    return max(above, below)


def smallest_shift(n: int, alpha: float) -> float:
    """The smallest mean of n values of standard deviation 1 that `stats.mean` sees but for a probability of MISS.

    `alpha` as for `smallest_bias`. The sum over the root of n is normal, exactly.

    >>> round(smallest_shift(16384, 1e-9 / 22), 3)
    0.089
    """
    return float(-(special.ndtri(alpha / 2) + special.ndtri(MISS)) / np.sqrt(n))


def smallest_scale(n: int, alpha: float) -> float:
    """The factor for which standard deviations so many times too large, or too small, are seen by `stats.variance`.

    `alpha` as for `smallest_bias`. The sum of squares is chi^2 with n degrees of freedom, exactly.

    >>> round(smallest_scale(16384, 1e-9 / 22), 3)
    1.065
    """
    high, low = special.chdtri(n, alpha / 2) / (1 - SQUARE_SLACK), special.chdtri(n, 1 - alpha / 2) / (1 + SQUARE_SLACK)
    above = np.sqrt(high / special.chdtri(n, 1 - MISS))
    below = np.sqrt(special.chdtri(n, MISS) / low)
    return float(max(above, below))


# ------------------------------------------------------------------------------------------ identities


def identity(got: Array, want: Array, bound: Array | float, *, what: str, expected: str, right: str) -> Verdict:
    """Full marks where got is within the rounding bound of want; else `CheckFailed` with the first entry that is not.

    `bound` follows from the operations: `gamma(n)` times the sum of the sizes of what is added, or `rounding.Bounded`.
    `what` begins the sentence, `expected` ends it, `right` is the message of the pass.

    >>> x = np.array([[0.1, 0.2], [0.3, 0.4]])
    >>> identity(x.sum(1), np.array([0.3, 0.7]), gamma(2) * np.abs(x).sum(1),
    ...          what="The sum", expected="Expected: the sum of each row.", right="The sums are right.").score
    1.0
    >>> identity(x.sum(0), np.array([0.3, 0.7]), gamma(2) * np.abs(x).sum(1),
    ...          what="The sum", expected="Expected: the sum of each row.", right="The sums are right.")
    Traceback (most recent call last):
    autograder.core.CheckFailed: The sum is wrong. Entry [0] is 0.4; expected 0.3. Expected: the sum of each row.
    """
    used = tolerance_ratio(got, want, bound)
    if used <= 1:
        return passed(right, tolerance_used=used)
    limits = np.broadcast_to(np.asarray(bound, float), np.shape(want))
    for place in np.ndindex(*np.shape(want)):
        if not within(np.asarray(got)[place], np.asarray(want)[place], limits[place]):
            entry = f"Entry {list(place)}" if place else "It"
            told = got_and_expected(np.asarray(got)[place], np.asarray(want)[place])
            raise CheckFailed(f"{what} is wrong. {entry} is {told} {expected}")
    raise AssertionError("no entry is beyond the bound, but the largest is")


def expectation(values: Array, chances: Array, *, operations: float = 16) -> tuple[Array, Array]:
    """sum_a chances[a] values[a] over all outcomes a, and the bound on rounding for float32 values.

    An estimator is unbiased if this is the exact gradient: no sampling, no luck. Each value carries `operations`
    roundings of its own and the sum one for each outcome.

    >>> p = np.array([0.2, 0.3, 0.5])
    >>> reward = np.array([1.0, 2.0, 3.0])
    >>> score = reward[:, None] * (np.eye(3) - p)   # REINFORCE, for each action
    >>> mean, bound = expectation(score, p)
    >>> exact = p * (reward - (p * reward).sum())
    >>> bool((np.abs(mean - exact) <= bound).all())
    True
    """
    weights = np.asarray(chances, float).reshape(-1, *[1] * (np.ndim(values) - 1))
    terms = weights * values
    return terms.sum(0), gamma(len(terms) + operations) * np.abs(terms).sum(0)


def factor(got: Array, want: Array, bound: Array | float) -> float | None:
    """The one constant c for which got is c times want, within the bound in units of want; None where none is.

    It names a missing average, sign or half: a gradient that is n times the right one.

    >>> want = np.array([1.0, -2.0, 3.0])
    >>> factor(8 * want, want, 1e-6)
    8.0
    >>> factor(want + 1, want, 1e-6) is None
    True
    """
    got, want = np.asarray(got, float), np.asarray(want, float)
    size = float((want * want).sum())
    if size == 0:
        return None
    c = float((got * want).sum()) / size
    return c if within(got, c * want, max(abs(c), 1.0) * np.asarray(bound)) else None


def rearranged(rng: Generator, **inputs: Array) -> dict[str, Array]:
    """The inputs, each (batch, ...), as "once.x", with their rows permuted "moved.x", and each row twice "doubled.x".

    What is a mean over the batch is the same for all three.

    >>> sorted(rearranged(np.random.default_rng(0), x=np.zeros((4, 2)), y=np.zeros(4)))
    ['doubled.x', 'doubled.y', 'moved.x', 'moved.y', 'once.x', 'once.y']
    """
    rows = {len(x) for x in inputs.values()}
    if len(rows) != 1:
        raise ValueError("all inputs must have the same number of rows")
    order = rng.permutation(rows.pop())
    found: dict[str, Array] = {}
    for name, x in inputs.items():
        found |= {f"once.{name}": x, f"moved.{name}": x[order], f"doubled.{name}": np.concatenate([x, x])}
    return found


def averages(values: Mapping[str, float], bound: float, *, what: str) -> Verdict:
    """The verdict on a mean over the batch, from its value for the inputs of `rearranged`, by way.

    `bound` is that of one value: a sum of n terms errs by gamma(n) times the sum of their sizes.

    >>> averages({"once": 0.5, "moved": 0.5, "doubled": 0.5}, 1e-6, what="The loss").score
    1.0
    >>> averages({"once": 0.5, "moved": 0.5, "doubled": 1.0}, 1e-6, what="The loss")
    Traceback (most recent call last):
    autograder.core.CheckFailed: With every row twice, the loss is 1; with every row once, 0.5. Expected: an average \
over the batch, not a sum.
    """
    once, moved, doubled = (values[way] for way in ("once", "moved", "doubled"))
    small = what[0].lower() + what[1:]
    if not within(moved, once, 2 * bound):
        raise CheckFailed(
            f"{what} depends on the order of the rows. It is {shown(once)} in one order and in another order "
            f"{shown(moved)}. Expected: the same value for every order.",
            diagnosis="order_of_rows",
        )
    if within(doubled, 2 * once, 4 * bound) and not within(doubled, once, 2 * bound):
        raise CheckFailed(
            f"With every row twice, {small} is {shown(doubled)}; with every row once, {shown(once)}. Expected: an "
            "average over the batch, not a sum.",
            diagnosis="summed_over_batch",
        )
    if not within(doubled, once, 2 * bound):
        raise CheckFailed(
            f"With every row twice, {small} is {shown(doubled)}; with every row once, {shown(once)}. Expected: the "
            "same value, because it is an average over the batch.",
            diagnosis="not_averaged",
        )
    return passed(f"{what} is an average over the batch.")


# ------------------------------------------------------------------------------------------------ work


def square_share(counts: Iterable[float]) -> float:
    """Of the work for n, 2n and 4n, the share of the last that grows like n^2.

    With f(n) = a + b n + c n^2, f(4n) - 3 f(2n) + 2 f(n) is 6 c n^2 exactly, whatever a and b are. Count what the
    probe's own stand-ins see, multiplications or calls: time is the machine's. 0 where nothing was counted.

    >>> square_share([10 + 3 * n for n in (64, 128, 256)])
    0.0
    >>> round(square_share([n * n for n in (64, 128, 256)]), 3)
    1.0
    """
    once, twice, four = (float(count) for count in counts)
    return (four - 3 * twice + 2 * once) / 6 * 16 / four if four > 0 else 0.0
