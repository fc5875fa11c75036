"""Batteries and identities for judges of any homework: their examples, their false fails, what they see."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from autograder.core import Array, CheckFailed
from autograder.judging import batteries
from autograder.judging.stats import Finding, binomial, mean, smallest_p, variance

SHAPE = (16, 32, 16)


def test_the_examples_in_the_documentation_are_right() -> None:
    failed, tried = doctest.testmod(batteries, extraglobs={"np": np})
    assert failed == 0
    assert tried > 20


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_right_masks_have_p_values_that_are_no_smaller_than_they_should_be(p: float) -> None:
    rng = np.random.default_rng(3)
    found = np.array([smallest_p(batteries.bernoulli(rng.random(SHAPE) < p, p)).p for _ in range(300)])
    for level in (0.02, 0.1, 0.3):  # Binomial(300, level) is above this with a probability below 1e-5
        assert (found < level).mean() <= level + 4.5 * np.sqrt(level * (1 - level) / 300)


@pytest.mark.parametrize("p", [np.array([[0.7, 0.2, 0.1]] * 4), np.array([[0.5, 0.5], [0.9, 0.1], [0.01, 0.99]])])
def test_right_draws_have_p_values_that_are_no_smaller_than_they_should_be(p: Array) -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        drawn = np.stack([rng.choice(p.shape[1], 200, p=row) for row in p], axis=1)
        found.append(smallest_p(batteries.categorical(drawn, p)).p)
    for level in (0.02, 0.1, 0.3):
        assert (np.array(found) < level).mean() <= level + 4.5 * np.sqrt(level * (1 - level) / 300)


def _shuffled_exactly(rng: Generator) -> Array:
    """Each call keeps exactly p of its entries."""
    size = SHAPE[1] * SHAPE[2]
    one = np.arange(size) < round(0.8 * size)
    return np.stack([rng.permutation(one).reshape(SHAPE[1:]) for _ in range(SHAPE[0])])


WRONG_MASKS: dict[str, tuple[Callable[[Generator], Array], str]] = {
    "drops with p": (lambda rng: rng.random(SHAPE) < 0.2, "the share of entries"),
    "one mask for all rows": (lambda rng: np.repeat(rng.random(SHAPE)[:, :1] < 0.8, SHAPE[1], 1), "rows of a batch"),
    "whole rows": (lambda rng: np.repeat(rng.random(SHAPE)[..., :1] < 0.8, SHAPE[2], 2), "dimensions of a sample"),
    "one mask for all calls": (lambda rng: np.repeat(rng.random(SHAPE)[:1] < 0.8, SHAPE[0], 0), "between one call"),
    "exactly p": (_shuffled_exactly, "the regularity"),
    "always": (lambda _rng: np.ones(SHAPE, bool), "the share of entries"),
}


@pytest.mark.parametrize("name", WRONG_MASKS)
def test_wrong_masks_are_found_by_what_is_wrong(name: str) -> None:
    make, what = WRONG_MASKS[name]
    findings = batteries.bernoulli(make(np.random.default_rng(5)), 0.8)
    told = [finding.what for finding in findings if finding.p < 1e-9]
    assert any(what in one for one in told), told


@pytest.mark.parametrize(
    ("drawn", "what"),
    [
        (lambda rng, p: np.tile(p.argmax(1), (2000, 1)), "the frequency of class"),
        (lambda rng, p: np.repeat(rng.choice(3, (2000, 1), p=p[0]), 4, 1), "two rows"),
        (lambda rng, p: np.repeat(rng.choice(3, (1000, 4), p=p[0]), 2, 0), "two calls"),
        (lambda rng, p: rng.choice(4, (2000, 4)), "a class that does not exist was drawn"),
        (lambda rng, p: rng.choice(3, (2000, 4)), "the frequency of class"),
    ],
)
def test_wrong_draws_are_found_by_what_is_wrong(drawn: Callable[[Generator, Array], Array], what: str) -> None:
    p = np.array([[0.6, 0.3, 0.1]] * 4)
    told = [one.what for one in batteries.categorical(drawn(np.random.default_rng(6), p), p) if one.p < 1e-9]
    assert any(what in one for one in told), told


@pytest.mark.parametrize(("n", "p", "alpha"), [(2000, 0.8, 1e-9), (500, 0.1, 1e-6), (4096, 0.5, 1e-10)])
def test_the_smallest_bias_is_seen_nearly_always_and_a_smaller_one_is_not(n: int, p: float, alpha: float) -> None:
    bias, rng = batteries.smallest_bias(n, p, alpha), np.random.default_rng(7)

    def seen(by: float) -> float:
        return float(np.mean([binomial(int(count), n, p) < alpha for count in rng.binomial(n, p + by, 400)]))

    assert min(seen(bias), seen(-bias) if bias < p else 1.0) == 1.0
    assert min(seen(0.4 * bias), seen(-0.4 * bias)) < 0.5


def test_a_nan_is_no_evidence_for_a_right_answer() -> None:
    e = np.random.default_rng(0).standard_normal((4, 8, 8))
    e[0, 0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        assert smallest_p([Finding(float("nan"), "x"), *batteries.standard_normal(e)]).p == 0


def test_an_identity_tells_the_first_entry_that_is_wrong() -> None:
    want = np.arange(6.0).reshape(2, 3)
    got = want.copy()
    got[1, 0] = 3.5
    with pytest.raises(CheckFailed, match=r"Entry \[1, 0\] is 3.5; expected 3\."):
        batteries.identity(got, want, 1e-6, what="y", expected="Expected: y.", right="y is right.")
    with pytest.raises(CheckFailed, match="It is nan"):
        batteries.identity(np.array(np.nan), np.array(1.0), 1e-6, what="y", expected="", right="")


@pytest.mark.parametrize(
    ("values", "diagnosis"),
    [((1, 1, 2), "summed_over_batch"), ((1, 2, 1), "order_of_rows"), ((1, 1, 1.5), "not_averaged")],
)
def test_what_is_no_average_is_named(values: tuple[float, ...], diagnosis: str) -> None:
    with pytest.raises(CheckFailed) as fault:
        batteries.averages(dict(zip(("once", "moved", "doubled"), values, strict=True)), 1e-6, what="The loss")
    assert fault.value.diagnosis == diagnosis


def test_an_average_of_zero_is_no_sum() -> None:
    assert batteries.averages({"once": 0.0, "moved": 0.0, "doubled": 0.0}, 1e-6, what="The loss").score == 1


def test_a_biased_estimator_is_no_expectation() -> None:
    p, reward = np.array([0.2, 0.3, 0.5]), np.array([1.0, 2.0, 3.0])
    exact = p * (reward - (p * reward).sum())
    halved, bound = batteries.expectation(0.5 * reward[:, None] * (np.eye(3) - p), p)
    assert (np.abs(halved - exact) > bound).any()
    assert batteries.factor(halved, exact, bound) == pytest.approx(0.5)


def test_the_smallest_shift_and_scale_of_normal_noise_are_seen() -> None:
    rng, alpha, n = np.random.default_rng(8), 1e-9 / 22, 128 * 128
    shift, scale = batteries.smallest_shift(n, alpha), batteries.smallest_scale(n, alpha)

    def seen(by: float, times: float) -> float:
        drawn = (by + times * rng.standard_normal((1, 128, 128)) for _ in range(50))
        return float(np.mean([min(mean(e).p, variance(e).p) < alpha for e in drawn]))

    assert seen(shift, 1) == seen(-shift, 1) == seen(0, scale) == seen(0, 1 / scale) == 1
    assert seen(shift / 2, 1) < 0.6
    assert seen(0, 1 + (scale - 1) / 2) < 0.6
