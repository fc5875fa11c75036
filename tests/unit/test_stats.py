"""The statistical tests' promises: valid p-values under the null, and the effects that they claim to detect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import softmax

from autograder.core import Array
from autograder.hw11 import ASSIGNMENT, gan, policy_gradient
from autograder.hw11.policy_gradient import loss
from autograder.hw11.vae import ALPHA
from autograder.judging import stats

SHAPE = (8, 32, 128)
NOISE = np.random.default_rng(20261122)


def batteries(e: Array, m: Array, v: Array) -> dict[str, list[stats.Finding]]:
    return {
        "marginal": stats.marginal(e),
        "dependence": stats.dependence(e),
        "repetition": stats.repetition(e),
        "parameters": stats.parameters(e, m, v),
    }


def moments(shape: tuple[int, int]) -> tuple[Array, Array]:
    return 1 + 2 * NOISE.standard_normal(shape), np.exp(NOISE.uniform(np.log(1e-4), np.log(50), shape))


def test_p_values_are_valid_under_the_null() -> None:
    """Under the null P(p <= t) <= t, so the number of p below t among R draws is at most Binomial(R, t).

    With R = 400 small draws and four batteries, counts are compared with the Binomial quantile at 1e-9,
    at t = 0.5, 0.1 and 0.01: a wrong formula (one-sided for two-sided, a lost factor) shows at once.
    """
    rounds = 400
    names = ("marginal", "dependence", "repetition", "parameters")
    counts = {t: dict.fromkeys(names, 0) for t in (0.5, 0.1, 0.01)}
    m, v = moments((6, 10))
    for _ in range(rounds):
        e = NOISE.standard_normal((5, 6, 10))
        for name, findings in batteries(e, m, v).items():
            p = stats.smallest_p(findings).p
            for t in counts:
                counts[t][name] += p <= t
    for t, by_name in counts.items():
        assert max(by_name.values()) <= scipy_stats.binom.isf(1e-9, rounds, t), (t, by_name)


def test_the_formulas_agree_with_scipy() -> None:
    """The p-values are those of scipy.stats, a little enlarged by the slack for rounding."""
    e = NOISE.standard_normal((4, 5, 6))
    squares = float((e**2).sum())
    normal = 2 * scipy_stats.norm.sf(abs(e.sum()) / np.sqrt(e.size))
    chi2 = 2 * min(scipy_stats.chi2.cdf(squares, e.size), scipy_stats.chi2.sf(squares, e.size))
    anova = scipy_stats.f_oneway(*e.reshape(4, -1)).pvalue
    anova = 2 * min(anova, 1 - anova)
    pearson = min(scipy_stats.pearsonr(e[i].ravel(), e[j].ravel()).pvalue for i in range(4) for j in range(i))
    assert stats.mean(e).p == pytest.approx(normal, rel=0.01)
    assert stats.variance(e).p == pytest.approx(chi2, rel=0.01)
    assert stats.groups(e, (1, 2), "").p == pytest.approx(anova, rel=0.01)
    assert stats.pairs(e, 0, "").p == pytest.approx(min(1.0, 6 * pearson), rel=1e-6)


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_binomial_tails_are_scipys_and_never_smaller(count: int, n: int, p: float) -> None:
    count = min(count, n)
    exact = min(1.0, 2 * min(scipy_stats.binom.cdf(count, n, p), scipy_stats.binom.sf(count - 1, n, p)))
    found = stats.binomial(count, n, p)
    assert found >= exact * (1 - 1e-9)
    assert found <= exact * 1.02 + 1e-12


def test_float32_normals_from_torch_pass_the_whole_battery() -> None:
    """The noise that right answers use is not ideal: 24-bit uniforms, and an end at 5.8."""
    import torch

    torch.manual_seed(11)
    m, v = moments((32, 128))
    e = torch.randn(SHAPE).double().numpy()
    assert stats.smallest_p([*stats.everything(e, m, v)]).p > 1e-6


# ---------------------------------------------------------------- power: what the checks claim to detect

EFFECTS = {
    "a mean off by 0.07": ("marginal", lambda e, m, v: e + 0.07),
    "a variance off by 10 %": ("marginal", lambda e, m, v: e * np.sqrt(1.10)),
    "four times as many values beyond 3": (
        "marginal",
        lambda e, m, v: np.where(NOISE.random(e.shape) < 0.0081, 3.2, e),
    ),
    "a correlation of 0.07 with m": ("parameters", lambda e, m, v: e + 0.07 * (m - m.mean()) / m.std()),
    "a spread that grows as v^0.02": ("parameters", lambda e, m, v: e * v**0.02),
    "a correlation of 0.02 between all dimensions": (
        "dependence",
        lambda e, m, v: np.sqrt(0.98) * e + np.sqrt(0.02) * NOISE.standard_normal((8, 32, 1)),
    ),
    "a correlation of 0.2 between two calls": (
        "repetition",
        lambda e, m, v: np.concatenate([e[:1], 0.2 * e[:1] + np.sqrt(0.96) * e[1:2], e[2:]]),
    ),
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_effects_of_the_stated_size_are_detected(effect: str) -> None:
    """Each claimed effect is detected 40 times of 40 at the alpha that is in use."""
    name, spoil = EFFECTS[effect]
    m, v = moments((32, 128))
    for _ in range(40):
        e = spoil(NOISE.standard_normal(SHAPE), m, v)
        assert stats.smallest_p(batteries(e, m, v)[name]).p < ALPHA


def test_the_posterior_check_detects_what_it_says() -> None:
    """At 16 x 32 x 16 values: a mean off by 0.14, a variance off by 22 %, 40 times of 40 each."""
    m, v = moments((32, 16))
    for _ in range(40):
        e = NOISE.standard_normal((16, 32, 16))
        assert stats.smallest_p([*stats.everything(e + 0.14, m, v)]).p < ALPHA
        assert stats.smallest_p([*stats.everything(e * np.sqrt(1.22), m, v)]).p < ALPHA


def correlated(first: Array, second: Array, r: float) -> Array:
    """`second` with a correlation of r with `first`."""
    mixed: Array = r * first + np.sqrt(1 - r**2) * second
    return mixed


def test_the_generators_noise_checks_detect_what_they_say() -> None:
    """At 24 x 48 x 7 values, 40 times of 40 each: a mean off by 0.14, a variance off by 22 %, correlations."""
    for _ in range(40):
        e = NOISE.standard_normal((24, 48, 7))
        assert stats.smallest_p(stats.marginal(e + 0.14)).p < ALPHA
        assert stats.smallest_p(stats.marginal(e * np.sqrt(1.22))).p < ALPHA
        calls, images = e.copy(), e.copy()
        calls[1] = correlated(e[0], e[1], 0.6)
        images[:, 1] = correlated(e[:, 0], e[:, 1], 0.75)
        for one in (calls, images):
            assert stats.smallest_p([*stats.dependence(one), *stats.repetition(one)]).p < gan.ALPHA


@pytest.mark.parametrize("size", [0.86, 1.14])
def test_the_policy_gradients_check_detects_a_bias_of_14_percent(size: float) -> None:
    """Ten problems: estimates whose weights are the rewards times `size`, at the actions that the judge draws."""
    for seed in range(10):
        given: Any = loss._sampled(np.random.default_rng(seed))
        p, table = softmax(given["logits"].astype(float), axis=1), given["table"]
        scores = np.eye(loss.CLASSES)[given["actions"]] - p
        got = -(size * given["rewards"][..., None] * scores).mean(0)
        exact = -p * (table - (p * table).sum(1, keepdims=True))
        found, seen = loss._bias(got, exact, p, table)
        assert found < policy_gradient.ALPHA
        assert abs(seen - size) < 0.1
        right, _ = loss._bias(got / size, exact, p, table)
        assert right > 1e-6


def test_the_sum_of_all_alphas_is_below_one_in_a_billion() -> None:
    assert 0 < ASSIGNMENT.alpha < 1e-9
    for question in ASSIGNMENT.questions:
        for check in question.checks:
            assert check.judge.alpha == 0 or getattr(check.judge, "detects", "")  # type: ignore[arg-type]


def test_evenness_bound_is_larger_than_the_exact_probability() -> None:
    """For 12 values in 4 cells the probability of counts within k of 3 can be enumerated."""
    from itertools import product
    from math import factorial

    for k in (0, 1, 2):
        exact = 0.0
        for counts in product(range(13), repeat=4):
            if sum(counts) == 12 and max(abs(count - 3) for count in counts) <= k:
                exact += factorial(12) / np.prod([float(factorial(count)) for count in counts]) / 4.0**12  # type: ignore[assignment]
        places = scipy_stats.norm.ppf((np.arange(4) + 0.5) / 4)
        e = np.repeat(places, (3 + k, 3 - k, 3, 3))
        assert stats.evenness(e, number=4).p >= min(1.0, exact) * (1 - 1e-9)
