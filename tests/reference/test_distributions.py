"""The reference's comparison of distributions: properties of its divergence and fits, the puzzle, the notebook."""

import itertools
import json
import math
import re
import tomllib
import warnings
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import rel_entr

from autograder.authoring import template
from tests.reference_notebook import Notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = Notebook("comparing_distributions.ipynb")
PATH, TEXT, sources, run = NOTEBOOK.path, NOTEBOOK.text, NOTEBOOK.sources, NOTEBOOK.run
ANSWERS = (ROOT / "reference" / "answers.toml").read_text("utf-8")
DEFINITIONS = ["imports", "distributions", "grid", "kl", "fit"]


ref = run([*DEFINITIONS, "puzzle"])
Gaussian, Mixture, kl, fit = ref.Gaussian, ref.Mixture, ref.kl_divergence, ref.fit_gaussian
many = settings(max_examples=60, derandomize=True, database=None, deadline=None)
few = settings(many, max_examples=20)
U = np.finfo(float).eps / 2  # unit roundoff


# ------------------------------------------------------------------------------------ strategies

seeds = st.integers(0, 2**31)
MOST = 8  # largest count of an outcome


@st.composite
def tables(draw, k=None, least=0):
    """Probabilities (k,) in proportion to small counts, so that zeros and equal values come up often."""
    k = draw(st.integers(1, 12)) if k is None else k
    counts = draw(st.lists(st.integers(least, MOST), min_size=k, max_size=k).filter(any))
    return np.array(counts) / sum(counts)


@st.composite
def pairs(draw, least=0):
    """Two tables over the same outcomes; q has no zeros with `least` = 1."""
    k = draw(st.integers(1, 12))
    return draw(tables(k)), draw(tables(k, least))


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


gaussians = st.builds(lambda mean, log_std: Gaussian(mean, math.exp(log_std)), numbers(-3, 3), numbers(-1.5, 1.5))


@st.composite
def mixtures(draw, least=1, widest=2.0):
    """Up to three Gaussians with means in [-5, 5], widths from 0.3 to `widest` and weights that sum to 1."""
    k = draw(st.integers(least, 3))
    weights = np.array(draw(st.lists(numbers(0.1, 1), min_size=k, max_size=k)))
    means = draw(st.lists(numbers(-5, 5), min_size=k, max_size=k))
    stds = draw(st.lists(numbers(0.3, widest), min_size=k, max_size=k))
    return Mixture(tuple((weights / weights.sum()).tolist()), tuple(means), tuple(stds))


def slack(p, q):
    """By how much kl(p, q) of two tables (k,) may err: where it is infinite, not at all.

    Logarithms err by 2 u of their size at most, their difference and the product add u of theirs each, the sum
    k - 1 more of all its terms: k + 3 of sum p (|log p| + |log q|). That the tables were rounded when they were
    normalised, by 2 u each, moves a term by 2 u (|log p| + |log q|) + 4 u p at most.
    """
    p, q = p[p > 0], q[p > 0]
    if np.any(q == 0):
        return 0.0
    return U * ((len(p) + 5) * (p * (abs(np.log(p)) + abs(np.log(q)))).sum() + 4)


# ------------------------------------------------------------------------------------ the divergence of tables


@many
@given(pairs())
def test_pinsker_so_never_negative_and_zero_only_if_equal(case):
    p, q = case
    distance = abs(p - q).sum()
    # D >= |p - q|_1^2 / 2 (Pinsker). Counts make different probabilities differ by 1 / 96^2 at least.
    if np.any((q == 0) & (p > 0)):
        assert kl(p, q) == math.inf
    else:
        assert kl(p, q) >= distance**2 / 2 - slack(p, q)
        assert distance == 0 or distance**2 / 2 > 1e3 * slack(p, q)  # the test could have failed
    assert kl(p, p) == 0


@many
@given(pairs())
def test_is_the_sum_of_rel_entr(case):
    p, q = case
    expected = rel_entr(p, q).sum()
    for given_p, given_q in ((p, q), (p.tolist(), q.tolist())):
        seen = kl(given_p, given_q)
        assert type(seen) is float
        assert seen == expected == math.inf or abs(seen - expected) <= 2 * slack(p, q)


def test_is_not_symmetric():
    p, q = [0.5, 0.5], [0.25, 0.75]
    # Two terms below 1, some ten roundings.
    assert kl(p, q) == pytest.approx(math.log(2) - math.log(3) / 2, abs=20 * U)
    assert kl(q, p) == pytest.approx(0.75 * math.log(3) - math.log(2), abs=20 * U)
    assert kl(p, q) - kl(q, p) > 0.01
    assert kl([1, 0], p) == pytest.approx(math.log(2), abs=4 * U) and kl(p, [1, 0]) == math.inf


def test_tiny_probabilities_do_not_overflow():
    tiny = 5e-324  # p / q would be infinite
    assert kl([0.5, 0.5], [tiny, 1.0]) == pytest.approx(-math.log(2) - 0.5 * math.log(tiny), rel=8 * U)
    assert kl([tiny, 1.0], [0.5, 0.5]) == pytest.approx(math.log(2), rel=8 * U)


@many
@given(pairs(), pairs())
def test_additive_over_independent_pairs(one, other):
    (p, q), (r, s) = one, other
    together = np.outer(p, r).ravel(), np.outer(q, s).ravel()
    seen, expected = kl(*together), kl(p, q) + kl(r, s)
    # The products of probabilities are rounded once more, as normalised ones are.
    allowed = slack(*together) + slack(p, q) + slack(r, s)
    assert seen == expected == math.inf or abs(seen - expected) <= allowed


@many
@given(pairs(), seeds)
def test_names_of_the_outcomes_do_not_matter(case, seed):
    p, q = case
    order = np.random.default_rng(seed).permutation(len(p))
    seen, expected = kl(p[order], q[order]), kl(p, q)
    assert seen == expected == math.inf or abs(seen - expected) <= 2 * slack(p, q)


@many
@given(pairs(), seeds)
def test_merging_outcomes_never_increases_it(case, seed):
    p, q = case
    groups = np.random.default_rng(seed).integers(0, max(1, len(p) // 2), len(p))
    merged = np.bincount(groups, p), np.bincount(groups, q)
    before, after = kl(p, q), kl(*merged)
    # A sum of k probabilities errs by k - 1 roundings of it, which moves its term by as many of |log p| + |log q| + 1.
    allowed = (len(p) + 1) * slack(*merged) + slack(p, q)
    assert before == math.inf or after <= before + allowed


@pytest.mark.parametrize(("tilt", "lost"), [((1.0, 1.0), 0.0), ((0.5, 1.5), math.log(4 / 3) / 2)])
def test_merging_loses_something_only_where_ratios_differ(tilt, lost):
    p = np.array([0.1, 0.1, 0.4, 0.4])
    q = np.array([0.3, 0.3, 0.2, 0.2]) * np.tile(tilt, 2)
    before, after = kl(p, q), kl(p.reshape(2, 2).sum(1), q.reshape(2, 2).sum(1))
    # The loss is that of telling the merged two apart, the same in both pairs: -(log 0.5 + log 1.5) / 2.
    assert before - after == pytest.approx(lost, abs=2 * slack(p, q))


# ------------------------------------------------------------------------------------ the divergence of Gaussians


@many
@given(gaussians, gaussians)
def test_closed_form_is_the_integral(p, q):
    # 24 standard deviations in steps of a quarter: sums of a Gaussian times a polynomial are integrals up to
    # exp(-2 (4 pi)^2) by the step and exp(-72) by the ends. Of 97 terms in all, each from some 20 roundings of numbers
    # below `size`, the divergence of log-densities' absolute values.
    x = p.mean + p.std * np.linspace(-12, 12, 97)
    log_p, log_q = (stats.norm.logpdf(x, d.mean, d.std) for d in (p, q))
    mass = np.exp(log_p) * p.std / 4
    size = (mass * (abs(log_p) + abs(log_q) + 1)).sum()
    seen = kl(p, q)
    assert type(seen) is float and abs(seen - (mass * (log_p - log_q)).sum()) <= (97 + 20) * U * size
    # exp() passes an error of 2 u |log p| on to the mass, which is covered: mass |log p| is a part of `size`.
    assert kl(p, p) == 0


@many
@given(gaussians, gaussians, numbers(-4, 4), numbers(0.25, 4))
def test_units_and_origin_do_not_matter(p, q, shift, factor):
    moved = (Gaussian(shift + factor * d.mean, factor * d.std) for d in (p, q))
    # The moved means err by 3 u (|shift| + factor |mean|), which the square of their difference passes on.
    size = 1 + (p.std**2 + (abs(p.mean) + abs(q.mean) + abs(shift) / factor) ** 2) / q.std**2
    assert abs(kl(*moved) - kl(p, q)) <= 30 * U * size


def test_gaussians_known_by_heart():
    assert kl(Gaussian(3, 1), Gaussian(2, 1)) == 0.5
    assert kl(Gaussian(0, 2), Gaussian(0, 1)) == pytest.approx(1.5 - math.log(2), abs=4 * U)
    assert kl(Gaussian(0, 1), Gaussian(0, 2)) == pytest.approx(math.log(2) - 0.375, abs=4 * U)


# ------------------------------------------------------------------------------------ densities and grids


@few
@given(mixtures())
def test_densities_are_those_of_scipy_and_sums_are_integrals(target):
    x = ref.integration_grid(target)  # (n,)
    expected = sum(
        w * stats.norm.pdf(x, m, s) for w, m, s in zip(target.weights, target.means, target.stds, strict=True)
    )
    # exp of a logarithm of size L, itself some ten roundings, errs by 10 u (L + 1).
    size = abs(target.log_density(x)) + 1
    assert (abs(target.density(x) - expected) <= 40 * U * size * expected + 1e-300).all()
    assert target.density(0.5).shape == () and target.log_density(np.zeros((2, 3))).shape == (2, 3)
    table = ref.table_of(target, x)
    assert abs(table.sum() - 1) <= len(x) * U and (table * (x[1] - x[0])).sum() > 0
    # Ends at ten standard deviations miss 1e-22 of the mass; the rest is n roundings of terms that sum to `size`.
    mass = target.density(x) * (x[1] - x[0])
    assert abs(mass.sum() - 1) <= (len(x) + 40) * U * (mass * size).sum()
    wide = Gaussian(0.0, 8.0)
    integral, error = integrate.quad(
        lambda t: target.density(t) * (target.log_density(t) - wide.log_density(t)), -25, 25, limit=500, epsabs=1e-10
    )
    assert abs(ref.divergence_on_grid(target, wide) - integral) <= error + 1e-10  # what quad promises


# ------------------------------------------------------------------------------------ the forward fit


@many
@given(mixtures())
def test_forward_fit_has_the_moments(target):
    x = ref.integration_grid(target)
    mass = ref.table_of(target, x)  # integrals, as above: they need no formula for mixtures
    mean = (mass * x).sum()
    std = math.sqrt((mass * (x - mean) ** 2).sum())
    seen = fit(target, "forward")
    # n roundings of numbers up to 25, and squares of them, and the mass beyond ten standard deviations, 1e-22.
    size = abs(x).max()
    assert abs(seen.mean - mean) <= 2 * len(x) * U * size
    assert abs(seen.std**2 - std**2) <= 8 * len(x) * U * size**2


@few
@given(mixtures(), numbers(-0.5, 0.5), numbers(-0.5, 0.5))
def test_forward_fit_is_the_minimum_by_the_pythagorean_identity(target, shift, log_factor):
    # D(p || q) = D(p || fit) + D(fit || q) for every Gaussian q: the moments are all that an exponential family sees
    # (Csiszar 1975). No fit that is not the moments' satisfies it.
    best = fit(target, "forward")
    other = Gaussian(best.mean + shift * best.std, best.std * math.exp(log_factor))
    gap = ref.divergence_on_grid(target, other) - ref.divergence_on_grid(target, best)
    n = len(ref.integration_grid(target, best, other))
    # Sums of n terms whose sizes add up to less than 100: log-densities within ten widths, weighed by the density.
    assert abs(gap - kl(best, other)) <= 4 * n * U * 100


# ------------------------------------------------------------------------------------ the reverse fit

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
FINE = np.linspace(-8.5, 8.5, 3401)  # another grid than the reference's
MASS = stats.norm.pdf(FINE) / stats.norm.pdf(FINE).sum()


def reverse(target, mean, std, u=FINE, mass=MASS):
    """D(Gaussian(mean, std) || target) for arrays of one shape, on nodes u (n,) with weights mass (n,)."""
    mean, std = np.asarray(mean)[..., None], np.asarray(std)[..., None]
    entropy = np.log(std[..., 0]) + 0.5 * np.log(2 * np.pi * math.e)
    return -entropy - (mass * target.log_density(mean + std * u)).sum(-1)


def slope(target, x):
    """The derivative of the log-density at each point of x."""
    components = list(zip(target.weights, target.means, target.stds, strict=True))
    logs = np.array([np.log(w) + stats.norm.logpdf(x, m, s) for w, m, s in components])  # (k, n)
    share = np.exp(logs - np.logaddexp.reduce(logs))
    return sum(a * (m - x) / s**2 for a, (_, m, s) in zip(share, components, strict=True))


@many
@given(mixtures())
def test_reverse_gradient_is_zero(target):
    seen = fit(target, "reverse")
    x = seen.mean + seen.std * FINE  # (n,)
    # By the pathwise derivative, on another grid: d/d(mean) is -E[s'], d/d(log std) is -1 - E[(x - mean) s'].
    gradient = -np.array(
        [seen.std * (MASS * slope(target, x)).sum(), 1 + (MASS * (x - seen.mean) * slope(target, x)).sum()]
    )
    # BFGS stops at 1e-8, or when the value can be seen to fall no further: it sums 801 terms whose sizes add up to
    # less than 50, pairwise, some 1e-14, and a gradient g stands for a fall of g^2 / (2 curvature). The curvature in
    # the mean, in units of the fit's width, is at most (width / narrowest component's width)^2 <= (6 / 0.3)^2.
    assert (abs(gradient) <= math.sqrt(2 * 1e-14 * (6 / 0.3) ** 2)).all()


@many
@given(mixtures(least=2, widest=1.0))
def test_reverse_fit_is_not_worse_than_a_grid_search(target):
    seen, whole = fit(target, "reverse"), fit(target, "forward")
    means = np.linspace(min(target.means), max(target.means), 31)
    stds = np.geomspace(0.7 * min(target.stds), 1.2 * whole.std, 21)
    values = reverse(target, *np.meshgrid(means, stds), NODES, WEIGHTS)  # (21, 31)
    for start in np.argsort(values, axis=None)[:3]:  # the best of the grid, measured finely
        std, mean = stds[start // 31], means[start % 31]
        # Rounding: a sum with 3401 terms of sizes that add up to less than 100.
        assert reverse(target, seen.mean, seen.std) <= reverse(target, mean, std) + 2 * 3401 * U * 100
    assert type(seen.mean) is type(seen.std) is float


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_reverse_fit_may_cover_two_of_three_in_whatever_order_they_stand(order):
    weights, means, stds = (0.29, 0.355, 0.355), (-2.19, -10.7, 1.82), (0.85, 1.44, 0.68)
    target = Mixture(*(tuple(of[i] for i in order) for of in (weights, means, stds)))
    seen = fit(target, "reverse")
    # Two neighbours together are nearest; each component has a valley of its own, higher by at least 0.01 nats.
    assert abs(seen.mean + 0.5) < 0.1 and abs(seen.std - 1.97) < 0.1
    assert reverse(target, seen.mean, seen.std) < reverse(target, np.array([-2.16, -10.7, 1.8]), stds).min() - 0.01


@few
@given(numbers(1.0, 4.0), numbers(0.3, 0.45), numbers(0.2, 3.0), numbers(-5, 5))
def test_either_mode_of_a_symmetric_mixture(half, width, scale, centre):
    std = scale * half * width  # modes 4.4 to 6.7 widths apart: the fit settles on one of them
    target = Mixture((0.5, 0.5), (centre - scale * half, centre + scale * half), (std, std))
    seen = fit(target, "reverse")
    mirrored = Gaussian(2 * centre - seen.mean, seen.std)
    here, there = (reverse(target, g.mean, g.std) for g in (seen, mirrored))
    assert abs(here - there) <= 2 * 3401 * U * 100  # rounding, as above: both are right
    assert here <= reverse(target, centre, fit(target, "forward").std)


@pytest.mark.parametrize("distance", [1.0, 6.0])
def test_close_modes_are_covered_and_far_ones_are_not(distance):
    target = Mixture((0.5, 0.5), (-distance / 2, distance / 2), (0.8, 0.8))
    seen, whole = fit(target, "reverse"), fit(target, "forward")
    assert abs(whole.mean) <= 4 * U and whole.std == pytest.approx(math.hypot(0.8, distance / 2), rel=8 * U)
    if distance < 2:
        assert abs(seen.mean) < 1e-6 and 0.9 * whole.std < seen.std < whole.std
    else:
        assert abs(abs(seen.mean) - 3) < 0.01 and abs(seen.std - 0.8) < 0.01  # one mode, as if the other were not


@few
@given(gaussians)
def test_a_gaussian_is_its_own_fit(gaussian):
    target = Mixture((1.0,), (gaussian.mean,), (gaussian.std,))
    assert fit(target, "forward") == gaussian
    seen = fit(target, "reverse")
    assert abs(seen.mean - gaussian.mean) <= 1e-7 * gaussian.std  # curvature 1 and 2: the optimiser's 1e-8 in both
    assert abs(seen.std / gaussian.std - 1) <= 1e-7


@few
@given(mixtures(), numbers(-10, 10), st.sampled_from([-30.0, -1.0, 0.05, 7.0]))
def test_fits_go_along_when_the_mixture_is_moved(target, shift, factor):
    means = tuple(shift + factor * m for m in target.means)
    moved = Mixture(target.weights, means, tuple(abs(factor) * s for s in target.stds))
    for direction in ("forward", "reverse"):
        seen, before = fit(moved, direction), fit(target, direction)
        expected = reverse(moved, shift + factor * before.mean, abs(factor) * before.std)
        # Compared by what is minimised, since of two equal modes either is right. Moved means err by
        # 2 u (|shift| + 5 |factor|), in units of the narrowest width, 0.3 |factor|; per such unit the log-density
        # changes by less than (10 + 2) / 0.3 < 100. And two sums are rounded as above.
        moves = 2 * U * (abs(shift) + 5 * abs(factor)) / (0.3 * abs(factor))
        assert abs(reverse(moved, seen.mean, seen.std) - expected) <= 100 * 2 * moves + 2 * 3401 * U * 100


@pytest.mark.parametrize("direction", ["sideways", "Forward", "", None, 0])
def test_other_directions_are_refused(direction):
    with pytest.raises(ValueError, match="'forward' or 'reverse'"):
        fit(Mixture((1.0,), (0.0,), (1.0,)), direction)


# ------------------------------------------------------------------------------------ the puzzle


def test_order_is_a_fixed_function_of_the_seed():
    assert [ref.order(seed) for seed in range(12)] == [1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0]
    # Of 2000 fair coins more than 147 too many or too few fall heads with a chance of 2 exp(-2 147^2 / 2000) < 1e-9
    # (Hoeffding).
    assert abs(sum(map(ref.order, range(2000))) - 1000) <= 147


def test_the_list_holds_the_two_fits_to_its_four_decimals():
    for weights, means, stds, (forward, backward) in ref.PAIRS:
        target = Mixture(weights, means, stds)
        assert math.fsum(weights) == pytest.approx(1, abs=4 * U)
        for listed, direction in ((forward, "forward"), (backward, "reverse")):
            seen = fit(target, direction)
            # Half of the last decimal, and what the optimiser leaves.
            assert np.allclose(listed, (seen.mean, seen.std), rtol=0, atol=0.51e-4)
        assert forward[1] > 1.8 * backward[1]  # told apart at a glance
        heaviest = means[int(np.argmax(weights))]
        assert abs(backward[0] - heaviest) < 0.1


def test_plots_show_the_two_fits_in_the_order_of_the_seed():
    shown: Counter[Any] = Counter()
    drawn: set[Any] = set()
    for seed in range(60):
        target, fits = ref.puzzle_of(seed)
        assert (target, fits) == ref.puzzle_of(seed)
        forward, backward = fits if ref.order(seed) == 0 else fits[::-1]
        best = fit(target, "forward")
        # Listed to 5e-5, then scaled by at most 2.
        assert abs(forward.mean - best.mean) <= 1.1e-4 and abs(forward.std - best.std) <= 1.1e-4
        # D is flat around its minimum: 1e-4 in a parameter cost (1e-4 / 0.25)^2, widths being 0.25 or more.
        excess = reverse(target, backward.mean, backward.std) - reverse(target, *vars(fit(target, "reverse")).values())
        assert -1e-9 <= excess <= 2e-7
        shown[ref.order(seed)] += 1
        drawn.add(target)
    assert min(shown.values()) > 15 and len(drawn) == 60


@pytest.mark.parametrize("seed", [0, 2, 123456789])
def test_puzzle_draws_what_it_says(seed):
    import matplotlib.pyplot as plt

    with mock.patch("matplotlib.pyplot.show"):
        plt.switch_backend("Agg")
        ref.puzzle(seed)
    target, fits = ref.puzzle_of(seed)
    for axis, name, gaussian in zip(plt.gcf().axes, "AB", fits, strict=True):
        assert axis.get_title() == f"Plot {name} (seed {seed})"
        (line,) = axis.get_lines()
        x, y = map(np.asarray, line.get_data())
        assert np.array_equal(y, gaussian.density(x))
        assert x[0] < min(target.means) and max(target.means) < x[-1]
        assert np.sum(target.density(x)) * (x[1] - x[0]) > 0.98  # nothing of note lies outside of the picture
    plt.close("all")


# ------------------------------------------------------------------------------------ the answers


def test_answers_are_right():
    answers = tomllib.loads(ANSWERS)["distributions"]
    names = ("forward", "reverse") if ref.order(answers["seed"]) == 0 else ("reverse", "forward")
    assert (answers["plot_A"], answers["plot_B"]) == names
    assert answers["P"] == {"family": "uniform", "low": -1, "high": 1}
    assert answers["Q"] == {"family": "normal", "mean": 0, "std": 1}
    # D(P || Q) by hand: log(sqrt(2 pi) / 2) + E[x^2] / 2 = log(sqrt(pi / 2)) + 1/6; Q is positive outside of [-1, 1].
    x = np.linspace(-1, 1, 2001)
    normal = stats.norm.pdf(x)
    seen = integrate.simpson(0.5 * (np.log(0.5) - np.log(normal)), x=x)
    assert seen == pytest.approx(0.5 * math.log(math.pi / 2) + 1 / 6, abs=1e-12)  # Simpson is exact for a parabola
    assert 2 * stats.norm.sf(1) > 0.3


def test_students_get_empty_answers_with_the_same_keys():
    text, _ = template.cut_toml(ANSWERS, "answers.toml")
    empty = {"seed": 0, "plot_A": "", "plot_B": "", "P": {"family": ""}, "Q": {"family": ""}}
    assert tomllib.loads(text)["distributions"] == empty
    assert tomllib.loads(text).keys() == tomllib.loads(ANSWERS).keys()
    own = text[text.index("[distributions]") : text.index("[distributions.Q]")]
    assert "SOLUTION" not in text and not re.search(r"-1|low = |std = ", own)


# ------------------------------------------------------------------------------------ the notebook


def test_template_leaves_no_trace_of_the_solution():
    text, regions = template.cut_notebook(TEXT, PATH.name)
    assert regions == 2
    assert not any(word in text for word in ("BFGS", "total variance", "overflows", "SOLUTION"))
    bare = run(DEFINITIONS, text)
    with pytest.raises(NotImplementedError, match=r"^kl_divergence: average"):
        bare.kl_divergence([1.0], [1.0])
    with pytest.raises(NotImplementedError, match=r"^fit_gaussian: forward: match moments"):
        bare.fit_gaussian(Mixture((1.0,), (0.0,), (1.0,)), "forward")


def test_template_draws_the_puzzle_without_the_students_functions():
    text, _ = template.cut_notebook(TEXT, PATH.name)
    bare = run(["imports", "distributions", "puzzle"], text)
    target, fits = bare.puzzle_of(5)
    assert (str(target), str(fits)) == tuple(map(str, ref.puzzle_of(5)))


def with_bodies(**bodies):
    """The notebook with other bodies of some of its graded functions."""
    notebook = json.loads(TEXT)
    for cell in notebook["cells"]:
        for name, body in bodies.items():
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and f"def {name}(" in source:
                head, _, _ = source.partition("    # BEGIN SOLUTION")
                cell["source"] = head + "\n".join(f"    {line}" for line in body.split("\n")) + "\n"
    return json.dumps(notebook)


def self_check(text, capsys):
    """The last lines that the two checks print."""
    capsys.readouterr()
    run(["imports", "distributions", "grid", "kl", "check-kl", "fit", "check-fit"], text)
    lines = capsys.readouterr().out.splitlines()
    return lines[-2:]


def test_self_checks_say_kindly_what_is_left(capsys):
    text, _ = template.cut_notebook(TEXT, PATH.name)
    kl_line, fit_line = self_check(text, capsys)
    assert kl_line.startswith("Still to be written: kl_divergence: average")
    assert fit_line.startswith("Still to be written: fit_gaussian: forward: match")


GIVEN_KL = """if isinstance(p, Gaussian):
    return {gaussian}
p, q = np.array(p, dtype=float), np.array(q, dtype=float)
{tables}"""
CLOSED = "np.log(q.std) - np.log(p.std) + ((p.std / q.std) ** 2 + ((p.mean - q.mean) / q.std) ** 2 - 1) / 2"
LOOP = """total = 0.0
for a, b in zip(p, q, strict=True):
    if a > 0:
        total += a * np.log(a / b) if b > 0 else np.inf
return total"""
FIT = """if direction not in ("forward", "reverse"):
    raise ValueError(direction)
x = integration_grid(target)
p = table_of(target, x)
mean = np.sum(p * x)
whole = Gaussian(mean, np.sqrt(np.sum(p * (x - mean) ** 2)))
if direction == "forward":
    return {forward}
starts = {starts}
ends = [
    minimize(
        lambda at: divergence_on_grid(Gaussian(at[0], np.exp(at[1])), target),
        [start.mean, np.log(start.std)],
        method="Nelder-Mead",
    )
    for start in starts
]
best = min(ends, key=lambda end: end.fun)
return Gaussian({reverse})"""
STARTS = "[whole, *map(Gaussian, target.means, target.stds)]"


def other_kl(gaussian=CLOSED, tables=LOOP):
    return GIVEN_KL.format(gaussian=gaussian, tables=tables)


def other_fit(forward="whole", starts=STARTS, reverse="best.x[0], np.exp(best.x[1])"):
    return FIT.format(forward=forward, starts=starts, reverse=reverse)


@pytest.mark.parametrize("tables", [LOOP, LOOP.replace("np.log(a / b)", "np.log(a / (b + 1e-6) + 1e-9)")])
def test_self_checks_accept_other_right_answers(tables, capsys):
    lines = self_check(with_bodies(kl_divergence=other_kl(tables=tables), fit_gaussian=other_fit()), capsys)
    assert lines == [
        "kl_divergence: right for tables, with zeros too, and for Gaussians.",
        "fit_gaussian: a minimum in both directions.",
    ]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (other_kl(tables="return float(np.sum(p * np.log2(p / q)))"), "This is in bits"),
        (other_kl(tables="return float(np.sum(q * np.log(q / p)))"), r"This is D\(q \|\| p\)"),
        (other_kl(tables="return float(np.sum(p * np.log(q / p)))"), "0.143841 was expected, -0.143841 returned"),
        (other_kl(tables="return float(np.mean(p * np.log(p / q)))"), "0.143841 was expected, 0.071921 returned"),
        (other_kl(tables="return p * np.log(p / q)"), "A single float was expected"),
        (other_kl(tables="return float(np.sum(p * np.log(p / q)))"), "0.287682 was expected, nan returned"),
        (other_kl(tables="return float(np.sum(p * np.log((p + 1e-12) / (q + 1e-12))))"), "inf was expected"),
        (other_kl(tables=LOOP.replace("np.log(a / b)", "np.log(a / (b + 1e-5))")), "was expected"),
        (other_kl(tables="p, q = p[(p > 0) & (q > 0)], q[(p > 0) & (q > 0)]\n" + LOOP), "inf was expected"),
        (other_kl(gaussian=CLOSED.replace(" - 1)", ")")), "0.000000 was expected, 0.500000 returned"),
        (other_kl(gaussian=CLOSED.replace("q.std) ** 2 - 1", "q.std) - 1")), "For p = Gaussian"),
        (other_kl(gaussian="(q.std / p.std - 1 + p.std / q.std - 1) / 2 + (p.mean - q.mean) ** 2 / 2"), "Gaussian"),
    ],
)
def test_kl_check_explains(body, sentence, capsys):
    with pytest.raises(AssertionError, match=sentence), np.errstate(all="ignore"):
        self_check(with_bodies(kl_divergence=body), capsys)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (other_fit(forward="Gaussian(whole.mean, whole.std**2)"), "forward: the smallest divergence was expected"),
        (other_fit(forward="Gaussian(np.mean(target.means), whole.std)"), "forward: the smallest"),
        (other_fit(forward="Gaussian(whole.mean, np.mean(target.stds))"), "forward: the smallest"),
        (other_fit(reverse="best.x[0], best.x[1]"), "A mean and a width were expected, not"),
        (other_fit(starts="[whole]"), "reverse: the smallest"),
        (other_fit(starts="[Gaussian(target.means[0], target.stds[0])]"), "reverse: the smallest"),
        (other_fit(reverse="whole.mean, whole.std"), "reverse: the smallest"),
        (other_fit(forward="(whole.mean, whole.std, 1.0)"), "A Gaussian was expected; tuple was returned"),
        (other_fit(reverse="best.x[0] + 0.05 * np.exp(best.x[1]), np.exp(best.x[1])"), "reverse: .* It is no minimum"),
        (other_fit(starts="[Gaussian(target.means[0], target.stds[0])]"), "there is a lower one elsewhere"),
        (other_fit().replace("raise ValueError(direction)", "direction = 'reverse'"), "a ValueError was expected"),
        (other_fit().replace('direction == "forward"', 'direction == "reverse"'), "forward: the smallest"),
    ],
)
def test_fit_check_explains(body, sentence, capsys):
    with pytest.raises(AssertionError, match=sentence):
        self_check(with_bodies(fit_gaussian=body), capsys)


def test_notebook_runs_from_top_to_bottom(capsys):
    shown = []

    def show():
        import matplotlib.pyplot as plt

        figure = plt.gcf()
        figure.canvas.draw()
        shown.append([axis.get_title() for axis in figure.axes if axis.get_title()])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        end = run(sources(), show=show)
    assert [len(titles) for titles in shown] == [2, 3, 2, 2]
    assert shown[-1] == ["Plot A (seed 0)", "Plot B (seed 0)"]
    assert end.my_seed == tomllib.loads(ANSWERS)["distributions"]["seed"]
    printed = capsys.readouterr().out
    assert "right for tables" in printed and "a minimum in both directions" in printed
    height = np.array(end.height)  # (25, 41): the last map drawn, of the reverse direction
    assert np.isfinite(height).all() and height.min() >= end.to_minimise(end.target, end.fit, "reverse")


def test_a_search_that_runs_off_does_not_win():
    """A side valley that almost vanished: the search from there jumps to a width without measure, and to no number."""
    target = Mixture((0.5263470, 0.4736530), (0.0, -2.7926092), (1.2263071, 0.4194986))
    with np.errstate(all="ignore"):
        seen = fit(target, "reverse")
    assert abs(seen.mean + 0.799467) < 1e-4 and abs(seen.std - 1.522922) < 1e-4


@pytest.mark.parametrize("width", [1e-6, 1e-3, 1e3, 1e6])
def test_the_grid_of_a_divergence_goes_along_with_the_first(width):
    """No Gaussian costs less than nothing however narrow or wide: the average is over all of it."""
    target = Mixture((0.6, 0.4), (-2.0, 2.5), (0.8, 0.9))
    gaussian = Gaussian(0.5, width)
    cost = reverse(target, gaussian.mean, gaussian.std)
    assert ref.divergence_on_grid(gaussian, target) == pytest.approx(cost, rel=1e-6)
