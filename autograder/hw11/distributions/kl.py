"""Asks and judges `kl_divergence(p, q)`: tables with and without zeros, lists, and two Gaussians.

D(p || q) = sum_i p_i log(p_i / q_i) in nats (Kullback and Leibler 1951), with 0 log 0 = 0 and infinity where some
q_i is 0 and p_i is not. For Gaussians
    D = log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2.
Nothing of it has luck in it, and what is right is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import rel_entr

from autograder.core import Array, CheckFailed, Counterexample, Request, Specs, Trial, Values, Verdict
from autograder.judging.judges import Misconception, array, got_and_expected, passed, shown, tolerance_ratio, within
from autograder.judging.stats import gamma
from autograder.sandbox.parts import each, items, pack, section, take
from autograder.sandbox.returns import numbers, parts

POSITIVE = (1, 2, 3, 5, 8, 13, 20)
"""Numbers of outcomes of the tables without zeros; one more table is compared with itself."""
EQUAL = 4
INFINITE = (2, 6, 9)
PAIRS = 6
TABLED = ("positive", "zeros", "infinite", "lists")
"""The parts whose cases are pairs of tables."""
MOST_NUMBERS = 1000
"""In what is returned in the place of one number."""
DEFECT = 0.25
"""What zeros, infinite values and lists cost each, where the sum itself is right. Chosen."""
EPSILON = 1e-6
"""The largest number that is commonly added inside of logarithms and ratios against zeros; it is forgiven."""
FORGIVEN = 4
"""How many times what EPSILON can do at most a value may be off. Chosen: the notebook's own check, with one bound for
all of its tables, lets numbers up to about that pass, and known mistakes are a hundred times as far off."""

# ------------------------------------------------------------------------------------- what is asked


def _table(rng: Generator, k: int) -> Array:
    """k probabilities, the largest some 10 to 100 times the smallest."""
    weights = np.exp(1.2 * rng.standard_normal(k).clip(-2, 2))
    table: Array = weights / weights.sum()
    return table


def _without(table: Array, *places: int) -> Array:
    """The table with probability 0 at these places."""
    kept = table.copy()
    kept[list(places)] = 0.0
    remaining: Array = kept / kept.sum()
    return remaining


def _named(pairs: Sequence[tuple[Array, Array]]) -> Values:
    return pack(cases=[{"p": p, "q": q} for p, q in pairs])


def _zeros(rng: Generator) -> list[tuple[Array, Array]]:
    """p with zeros, both with a zero at the same place, and all of p at one place."""
    p, q, r, s, t, u = (_table(rng, k) for k in (4, 4, 7, 7, 5, 5))
    one = int(rng.integers(5))
    return [
        (_without(p, int(rng.integers(4))), q),
        (_without(r, *map(int, rng.permutation(7)[:3])), s),
        (_without(t, one), _without(u, one)),
        (np.eye(3)[rng.integers(3)], _table(rng, 3)),
    ]


def _kl(rng: Generator) -> Values:
    positive = [(_table(rng, k), _table(rng, k)) for k in POSITIVE]
    equal = _table(rng, EQUAL)
    infinite = [(_table(rng, k), _without(_table(rng, k), int(rng.integers(k)))) for k in INFINITE]
    means = rng.uniform(-3, 3, (PAIRS, 2))
    stds = np.exp(rng.uniform(0.3, 1.1, (PAIRS, 2)) * rng.choice([-1, 1], (PAIRS, 2)))  # none of them near 1
    gaussians = np.stack([means[:, 0], stds[:, 0], means[:, 1], stds[:, 1]], axis=1)
    return pack(
        positive=_named([*positive, (equal, equal)]),
        zeros=_named(_zeros(rng)),
        infinite=_named(infinite),
        lists=_named([(_table(rng, 3), _table(rng, 3))]),
        gaussian={"pairs": np.concatenate([gaussians, np.tile(gaussians[:1, :2], (1, 2))])},  # the last with itself
    )


def _returns(given: Values) -> Specs:
    """One number for each pair; what stands in its place has at most as many as the probe hands on."""
    one = numbers(most=MOST_NUMBERS, dtypes="f", what="the return value of kl_divergence")
    pairs = {part: len(items(take(given, part), "cases")) for part in TABLED}
    pairs["gaussian"] = len(np.asarray(given["gaussian.pairs"]))
    return parts(**{part: {"cases": many * [{"value": one}]} for part, many in pairs.items()})


REQUEST = Request("distributions.probes:kl", _kl, returns=_returns, needs=("comparing_distributions.ipynb",))

# ------------------------------------------------------------------------------------ reading numbers

MEANT = "Expected: one number, the sum over all outcomes."


@dataclass(frozen=True)
class TableCase:
    """Two tables and what the student's function made of them."""

    p: Array
    q: Array
    got: float

    @property
    def want(self) -> float:
        return float(rel_entr(self.p, self.q).sum())

    @property
    def bound(self) -> float:
        """Rounding in float32, which torch makes of lists, and what a small number against zeros does.

        p log p and p log q err by some u of their size. Tables that are normalised once more change by (k + 1) u, and
        so do both logarithms; the ratio, the product and the sum of k terms add k + 6: gamma(3 k + 20) covers all of
        them in any order.

        With e added to every p and q, and the tables made to sum to 1 again or not, p changes by (1 + k p) e at most
        and q by (1 + k q) e, so that p log(p / q) changes by (1 + k p) (1 + |log(p / q)|) e + (p / q + k p) e; with e
        added to the ratio, by q e, which sums to e. Where p is 0 the term is e log(e / q).
        """
        shown, k = self.p > 0, len(self.p)
        p, q = self.p[shown], self.q[shown]
        size = float((p * (np.abs(np.log(p)) + np.abs(np.log(q)) + 2)).sum())
        lost = self.q[~shown & (self.q > 0)]
        moved = ((1 + k * p) * (1 + np.abs(np.log(p / q))) + p / q + k * p).sum() + 1
        moved += (1 + abs(math.log(EPSILON)) + np.abs(np.log(lost))).sum()
        return gamma(3 * k + 20) * size + FORGIVEN * EPSILON * float(moved)


def _number(values: Values, *, outcomes: int = 0) -> float:
    """What was returned for a case: a number, which may be infinite or a nan.

    Raises `CheckFailed` for anything else.
    """
    value = values.get("value")
    if not isinstance(value, np.ndarray):
        raise CheckFailed("The return value of kl_divergence is missing.")
    if value.size != 1:
        vector = value.shape == (outcomes,)
        told = f"an array of shape {list(value.shape)}" if not vector else "an array with a number for each outcome"
        raise CheckFailed(
            f"kl_divergence returned {told}. {MEANT}",
            diagnosis="kl_not_summed" if vector else "shape",
        )
    return float(value.reshape(()).astype(np.float64))


def _cases(trial: Trial, part: str) -> list[TableCase]:
    """The tables of one part. Raises `CheckFailed` where the student's function did."""
    found = []
    for case in each(section(trial, part)):
        p, q = (array(case.given, name) for name in "pq")
        found.append(TableCase(p, q, _number(case.got, outcomes=len(p))))
    return found


# ------------------------------------------------------------------------------------------- tables


def _kl_of(p: Array, q: Array) -> float:
    return float((p * np.log(p / q)).sum())


def _js_of(p: Array, q: Array) -> float:
    return (_kl_of(p, (p + q) / 2) + _kl_of(q, (p + q) / 2)) / 2


EXPECTED = "Expected: the sum of p log(p / q), with the natural logarithm."
TABLES = (
    Misconception(
        "kl_base", "It is in bits, because the logarithm has base 2.", lambda p, q: _kl_of(p, q) / math.log(2)
    ),
    Misconception("kl_base", "The logarithm has base 10.", lambda p, q: _kl_of(p, q) / math.log(10)),
    Misconception("kl_swapped", "It is D(q || p), so the arguments are swapped.", lambda p, q: _kl_of(q, p)),
    Misconception("kl_sign", "It has the wrong sign. A divergence is never negative.", lambda p, q: -_kl_of(p, q)),
    Misconception(
        "kl_weights",
        "log(p / q) is averaged under q, but D(p || q) is its average under p.",
        lambda p, q: float((q * np.log(p / q)).sum()),
    ),
    Misconception(
        "kl_symmetrised",
        "It is the sum of D(p || q) and D(q || p), which is symmetric.",
        lambda p, q: _kl_of(p, q) + _kl_of(q, p),
    ),
    Misconception(
        "kl_symmetrised",
        "It is the mean of D(p || q) and D(q || p), which is symmetric.",
        lambda p, q: (_kl_of(p, q) + _kl_of(q, p)) / 2,
    ),
    Misconception("kl_symmetrised", "It is the Jensen-Shannon divergence, which is symmetric.", _js_of),
    Misconception(
        "kl_mean",
        "It was divided by the number of outcomes, but p already contains the weights.",
        lambda p, q: _kl_of(p, q) / len(p),
    ),
    Misconception(
        "kl_no_weights",
        "The logarithms are added without their weights p.",
        lambda p, q: float(np.log(p / q).sum()),
    ),
    Misconception(
        "kl_absolute",
        "The absolute values of the terms were added, but terms with p below q are negative.",
        lambda p, q: float(np.abs(p * np.log(p / q)).sum()),
    ),
    Misconception(
        "kl_cross_entropy",
        "It is the cross-entropy -sum p log q. The entropy of p is not subtracted.",
        lambda p, q: -float((p * np.log(q)).sum()),
    ),
    Misconception(
        "kl_entropy", "It is the entropy of p and does not use q.", lambda p, q: -float((p * np.log(p)).sum())
    ),
)


def _normal(table: Array) -> Array:
    whole: Array = table / table.sum()
    return whole


SMOOTHED: tuple[Callable[[Array, Array, float], float], ...] = (
    lambda p, q, e: _kl_of(p + e, q + e),
    lambda p, q, e: float((p * np.log((p + e) / (q + e))).sum()),
    lambda p, q, e: float((p * np.log(p / (q + e))).sum()),
    lambda p, q, e: float((p * np.log(p / q + e)).sum()),
    lambda p, q, e: _kl_of(_normal(p + e), _normal(q + e)),
)
"""How a number e is added against zeros."""


def discrete(trial: Trial) -> Verdict:
    """Tables without zeros decide; what is missed beside them, zeros, infinite values or lists, costs a quarter each.

    The tables with infinite values have no zero in p, so that no mistake costs twice.
    """
    cases = _cases(trial, "positive")
    if not all(math.isfinite(case.got) for case in cases):
        return Verdict(0.0, f"Two tables without zeros gave a nan or an infinity. {EXPECTED}", "not_finite")
    used = max(tolerance_ratio(case.got, case.want, case.bound) for case in cases)
    if used > 1:
        return _recognised(cases)
    defects: list[CheckFailed] = []
    for part, judge, what in PARTS:
        try:
            used = max(used, judge(_cases(trial, part)))
        except CheckFailed as fault:
            told = str(fault).removesuffix(".")  # an exception's own words end without one
            defects.append(CheckFailed(f"{what}: {told}.", diagnosis=fault.diagnosis))
    if not defects:
        return passed(
            "D(p || q) is right for tables, also with zeros and as lists, and infinite where it must be. You may "
            f"add a small number of up to {EPSILON:g} to avoid log 0.",
            tolerance_used=used,
        )
    told = " ".join(str(defect) for defect in defects)
    return Verdict(
        1 - DEFECT * len(defects), f"Tables without zeros are right. {told}", defects[0].diagnosis, tolerance_used=used
    )


def _recognised(cases: Sequence[TableCase]) -> Verdict:
    """The sentence for tables whose divergence is wrong."""
    for known in TABLES:
        if all(within(case.got, known.formula(case.p, case.q), 2 * case.bound) for case in cases):
            return Verdict(0.0, f"The divergence of two tables is wrong. {known.sentence} {EXPECTED}", known.id)
    for added in (0.1, 0.01, 1e-3, 1e-4, 1e-5):
        if any(all(within(one.got, form(one.p, one.q, added), 2 * one.bound) for one in cases) for form in SMOOTHED):
            sentence = f"It is the result of adding {added:g} to every probability. Up to {EPSILON:g} is accepted."
            return Verdict(0.0, f"The divergence of two tables is wrong. {sentence} {EXPECTED}", "kl_smoothed")
    worst = max(cases, key=lambda case: tolerance_ratio(case.got, case.want, case.bound))
    told = f"For tables of {len(worst.p)} outcomes the divergence is {_apart(worst.got, worst.want)}."
    if len(worst.p) == 1:
        told = (
            f"For tables of a single outcome the divergence is {worst.got:.3g}. Two such tables are equal, so the "
            "right value is 0."
        )
    return Verdict(0.0, f"The divergence of two tables is wrong. {told} {EXPECTED}")


def _apart(got: float, want: float) -> str:
    """ "0.52 instead of 0.51", with as many digits as tell the two apart."""
    digits = next((digits for digits in range(3, 17) if shown(got, digits) != shown(want, digits)), 17)
    return f"{shown(got, digits)} instead of {shown(want, digits)}"


ZEROS = "Expected: an outcome with p = 0 adds nothing, because x log x goes to 0 with x."


def _without_p(cases: Sequence[TableCase]) -> float:
    if any(math.isnan(case.got) for case in cases):
        raise CheckFailed(
            f"the result is nan, because 0 was multiplied by the logarithm of 0. {ZEROS}", diagnosis="kl_zero_log_zero"
        )
    if any(math.isinf(case.got) for case in cases):
        raise CheckFailed(
            f"the result is infinite, although q is positive wherever p is. {ZEROS}", diagnosis="kl_zero_infinite"
        )
    used = max(tolerance_ratio(case.got, case.want, case.bound) for case in cases)
    if used > 1:
        worst = max(cases, key=lambda case: tolerance_ratio(case.got, case.want, case.bound))
        raise CheckFailed(f"the result is {_apart(worst.got, worst.want)}. {ZEROS}", diagnosis="kl_zero_value")
    return used


SUPPORT = "Expected: infinity, because q excludes an outcome that is possible under p."


def _without_q(cases: Sequence[TableCase]) -> float:
    if all(case.got == math.inf for case in cases):
        return 0.0
    if all(case.got == -math.inf for case in cases):
        raise CheckFailed(f"the result is minus infinity. {SUPPORT}", diagnosis="kl_infinity")
    if any(not math.isfinite(case.got) for case in cases):
        raise CheckFailed(f"the result is nan in some cases. {SUPPORT}", diagnosis="kl_infinity_nan")
    skipped = [TableCase(case.p * (case.q > 0), np.where(case.q > 0, case.q, 1.0), case.got) for case in cases]
    if all(within(case.got, case.want, 2 * case.bound) for case in skipped):
        raise CheckFailed(f"outcomes with q = 0 were left out of the sum. {SUPPORT}", diagnosis="kl_zero_skipped")
    # One number explains all cases, up to what it adds where q is not 0: that is only for the sentence's sake.
    small = [_stand_in(case, rest) for case, rest in zip(cases, skipped, strict=True)]
    if math.log(LEAST) < max(small) < -3 and max(small) - min(small) < 0.01 * abs(max(small)):
        power = f"1e{small[0] / math.log(10):.0f}"
        raise CheckFailed(
            f"the result is the one for {power} instead of 0 in q, which depends on that choice. {SUPPORT}",
            diagnosis="kl_clipped",
        )
    raise CheckFailed(f"the result is finite. {SUPPORT}", diagnosis="kl_infinity")


LEAST = 5e-324
"""The smallest positive double: no number below it has been put in the place of a zero."""


def _stand_in(case: TableCase, rest: TableCase) -> float:
    """The logarithm of the number that explains the result, were it in the place of the zeros in q."""
    lost = case.p[case.q == 0]
    return float((np.sum(lost * np.log(lost)) + rest.want - case.got) / lost.sum())


def _as_lists(cases: Sequence[TableCase]) -> float:
    used = max(tolerance_ratio(case.got, case.want, case.bound) for case in cases)
    if used > 1:
        raise CheckFailed(
            "the result differs from the result for arrays. Expected: the same result.", diagnosis="kl_lists"
        )
    return used


PARTS: tuple[tuple[str, Callable[[Sequence[TableCase]], float], str], ...] = (
    ("zeros", _without_p, "For tables with zeros in p"),
    ("infinite", _without_q, "For tables with a zero in q but not in p"),
    ("lists", _as_lists, "For lists instead of arrays"),
)

# ---------------------------------------------------------------------------------------- Gaussians


def _closed(mp: Array, sp: Array, mq: Array, sq: Array) -> Array:
    """The closed form, for arrays of means and standard deviations."""
    value: Array = np.log(sq / sp) + (sp**2 + (mp - mq) ** 2) / (2 * sq**2) - 0.5
    return value


FORMULA = "Expected: `log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2`."
GAUSSIANS = (
    Misconception("kl_swapped", "It is D(q || p).", lambda mp, sp, mq, sq: _closed(mq, sq, mp, sp)),
    Misconception("kl_sign", "It has the wrong sign.", lambda *each: -_closed(*each)),
    Misconception("kl_base", "It is in bits, not in nats.", lambda *each: _closed(*each) / math.log(2)),
    Misconception(
        "std_as_variance",
        "The standard deviations were used as if they were variances.",
        lambda mp, sp, mq, sq: _closed(mp, np.sqrt(sp), mq, np.sqrt(sq)),
    ),
    Misconception(
        "std_squared_twice",
        "The variances were used as if they were standard deviations, which gives fourth powers.",
        lambda mp, sp, mq, sq: _closed(mp, sp**2, mq, sq**2),
    ),
    Misconception(
        "std_as_variance",
        "In the fraction the standard deviations were used as if they were variances.",
        lambda mp, sp, mq, sq: np.log(sq / sp) + (sp + (mp - mq) ** 2) / (2 * sq) - 0.5,
    ),
    Misconception(
        "kl_log_variance",
        "The logarithm is of the ratio of the variances, but the factor 1/2 for this form is missing.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mq, sq) + np.log(sq / sp),
    ),
    Misconception("kl_constant", "The -1/2 is missing.", lambda *each: _closed(*each) + 0.5),
    Misconception(
        "kl_constant",
        "1 is subtracted instead of 1/2.",
        lambda *each: _closed(*each) - 0.5,
    ),
    Misconception(
        "kl_log_ratio",
        "The ratio in the logarithm is inverted.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mq, sq) - 2 * np.log(sq / sp),
    ),
    Misconception(
        "kl_log_ratio",
        "The logarithm of the standard deviations is missing.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mq, sq) - np.log(sq / sp),
    ),
    Misconception(
        "kl_constant",
        "The 2 in the denominator is missing.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mq, sq) + (sp**2 + (mp - mq) ** 2) / (2 * sq**2),
    ),
    Misconception(
        "kl_mean_difference",
        "The difference of the means is not squared.",
        lambda mp, sp, mq, sq: np.log(sq / sp) + (sp**2 + np.abs(mp - mq)) / (2 * sq**2) - 0.5,
    ),
    Misconception(
        "kl_mean_difference",
        "The difference of the means is not squared.",
        lambda mp, sp, mq, sq: np.log(sq / sp) + (sp**2 + mp - mq) / (2 * sq**2) - 0.5,
    ),
    Misconception(
        "kl_mean_difference",
        "The means are not used.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mp, sq),
    ),
    Misconception(
        "kl_mean_difference",
        "The squared difference of the means is divided by the variance of p, not by the variance of q.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mp, sq) + (mp - mq) ** 2 / (2 * sp**2),
    ),
    Misconception(
        "kl_symmetrised",
        "It is the sum of D(p || q) and D(q || p), which is symmetric.",
        lambda mp, sp, mq, sq: _closed(mp, sp, mq, sq) + _closed(mq, sq, mp, sp),
    ),
)


def _rounding(mp: Array, sp: Array, mq: Array, sq: Array) -> Array:
    """In float32 every input errs by u of itself, every operation by u of its result: 20 of them are in no formula."""
    size = np.abs(np.log(sp)) + np.abs(np.log(sq)) + (sp**2 + (np.abs(mp) + np.abs(mq)) ** 2) / sq**2 + 1
    bound: Array = gamma(20) * size
    return bound


def gaussian(trial: Trial) -> Verdict:
    own = section(trial, "gaussian")
    pairs = array(own.given, "pairs")
    columns = tuple(pairs.T)
    got = np.array([_number(one) for one in items(own.got, "cases", len(pairs))])
    if not np.isfinite(got).all():
        return Verdict(0.0, f"Two Gaussians gave a nan or an infinity. {FORMULA}", "not_finite")
    bound = _rounding(*columns)
    want = _closed(*columns)
    used = tolerance_ratio(got, want, bound)
    if used <= 1:
        return passed(
            "D(p || q) of two Gaussians is right up to rounding. Only values are checked here.", tolerance_used=used
        )
    for known in GAUSSIANS:
        if within(got, known.formula(*columns), 2 * bound):
            return Verdict(0.0, f"The divergence of two Gaussians is wrong. {known.sentence} {FORMULA}", known.id)
    if np.abs(got - want).max() < 0.02:
        at = int((np.abs(got - want) / bound).argmax())
        off, most = abs(float(got[at] - want[at])), float(bound[at])
        told = (
            f"It is off by up to {off:.2g}, as after a coarse grid or a sample average. At most {most:.1g} is allowed."
        )
        return Verdict(0.0, f"The divergence of two Gaussians is not exact. {told} {FORMULA}", "kl_numerical")
    worst = int(np.abs(got - want).argmax())
    told = f"In one case the divergence is {_apart(got[worst], want[worst])}."
    return Verdict(0.0, f"The divergence of two Gaussians is wrong. {told} {FORMULA}")


# ------------------------------------------------------------------------------- smallest examples

TINY_TABLES = {
    "positive": (((1,), (1,)), ((0.5, 0.5), (0.5, 0.5)), ((0.5, 0.5), (0.25, 0.75)), ((0.25, 0.75), (0.5, 0.5))),
    "zeros": (((1, 0), (0.5, 0.5)), ((1, 0), (1, 0))),
    "infinite": (((0.5, 0.5), (1, 0)), ((0.25, 0.75), (0, 1))),
    "lists": (((0.5, 0.5), (0.25, 0.75)),),
}
TINY_PAIRS = ((0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 2, 1), (0, 1, 0, 2), (0, 2, 0, 1), (1, 1, 0, 2), (0, 2, 1, 2))
"""Mean and standard deviation of p, then those of q."""


def _tiny(_rng: Generator) -> Values:
    tables = {
        part: _named([(np.array(p, float), np.array(q, float)) for p, q in pairs])
        for part, pairs in TINY_TABLES.items()
    }
    return pack(**tables, gaussian={"pairs": np.array(TINY_PAIRS, float)})


def _first_table(_failed: Trial, tiny: Trial) -> str:
    for part in TINY_TABLES:
        for case in _cases(tiny, part):
            # The bound of an infinite divergence would need the logarithm of 0.
            if case.got != case.want and not (math.isfinite(case.want) and within(case.got, case.want, case.bound)):
                lists = " as lists" if part == "lists" else ""
                pair = f"p = {shown(case.p)} and q = {shown(case.q)}{lists}"
                return f"Smallest example: {pair} gave {got_and_expected(case.got, case.want)}"
    return ""


def _first_pair(_failed: Trial, tiny: Trial) -> str:
    own = section(tiny, "gaussian")
    for one, pair in zip(items(own.got, "cases", len(TINY_PAIRS)), TINY_PAIRS, strict=True):
        got, want = _number(one), _closed(*np.array(pair, float))
        if not within(got, want, _rounding(*np.array(pair, float))):
            mp, sp, mq, sq = pair
            return (
                f"Smallest example: p with mean {mp} and standard deviation {sp}, and q with mean {mq} and standard "
                f"deviation {sq} gave {got_and_expected(got, want)}"
            )
    return ""


_TINY_REQUEST = Request("distributions.probes:kl", _tiny, seconds=3, deterministic=True, returns=_returns)
SMALLEST_TABLE, SMALLEST_PAIR = Counterexample(_TINY_REQUEST, _first_table), Counterexample(_TINY_REQUEST, _first_pair)
