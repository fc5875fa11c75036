"""The audit of luck: what each check can see is what simulation finds, and no false fail goes unnoticed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import softmax

from autograder import version
from autograder.audit import falsefails
from autograder.audit.falsefails import FalseFailTally, Found, Power
from autograder.audit.homework import FalsePositiveBound
from autograder.core import Array
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit import proofs
from autograder.hw11.policy_gradient import loss
from autograder.judging import stats
from tests import small
from tests.solutions import RIGHT, WRONG

NOISE = np.random.default_rng(20261123)
SHAPE = (4, 6, 5)
N = int(np.prod(SHAPE))
P = 1e-3
MISSED = 0.2
ROUNDS = 2000
BEYOND = 2 * float(scipy_stats.norm.sf(2.0))
ROWS = np.repeat([1.0, -1.0], N // 2).reshape(SHAPE)


def noise(*shape: int) -> Array:
    return NOISE.standard_normal(shape or SHAPE)


def pair(r: float) -> Array:
    first = noise(40)
    return np.stack([first, r * first + math.sqrt(1 - r * r) * noise(40)])


EFFECTS: dict[str, tuple[Callable[[], float], Callable[[float], float]]] = {
    "shift": (lambda: falsefails.shift(N, P), lambda by: stats.mean(noise() + by).p),
    "scale, below": (lambda: falsefails.scale(N, P)[0], lambda by: stats.variance(noise() * by).p),
    "scale, above": (lambda: falsefails.scale(N, P)[1], lambda by: stats.variance(noise() * by).p),
    "covariate": (lambda: falsefails.covariate(N, P), lambda by: stats.contrast(noise() + by * ROWS, ROWS, "").p),
    "correlation": (lambda: falsefails.correlation(40, P), lambda by: stats.pairs(pair(by), 0, "").p),
    "shared": (
        lambda: falsefails.shared(6, 20, P),
        lambda by: stats.groups(math.sqrt(1 - by) * noise() + math.sqrt(by) * noise(4, 1, 5), (1,), "").p,
    ),
    "halves": (
        lambda: falsefails.halves(N, P),
        lambda by: stats.ratio(np.where(ROWS > 0, by, 1.0) * noise(), ROWS > 0, "").p,
    ),
    "tail": (
        lambda: falsefails.tail(2000, P, 2.0),
        lambda by: stats.binomial(NOISE.binomial(2000, by * BEYOND), 2000, BEYOND),
    ),
}  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_of_the_size_found_is_missed_as_often_as_was_asked(
    effect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one miss in five in place of one in a million, so that 2,000 draws of the real tests can tell.

    The number of misses is Binomial(2000, 0.2), but for the tests' slack for rounding, which takes 1e-3 at most.
    """
    monkeypatch.setattr(falsefails, "MISS", MISSED)
    size, p_of = EFFECTS[effect][0](), EFFECTS[effect][1]
    misses = sum(p_of(size) >= P for _ in range(ROUNDS))
    low, high = scipy_stats.binom.ppf([1e-9, 1 - 1e-9], ROUNDS, MISSED)
    assert low <= misses <= high + ROUNDS * 1e-3


def test_clopper_and_pearsons_bounds() -> None:
    assert falsefails.at_most(0, 20_000) == pytest.approx(3 / 20_000, rel=2e-3)  # the rule of three
    assert falsefails.at_least(0, 5) == 0
    for caught, times in ((1, 1), (7, 9), (200, 200)):
        bound = falsefails.at_least(caught, times)
        assert scipy_stats.binom.sf(caught - 1, times, bound) == pytest.approx(0.05)


# ------------------------------------------------------------------------------------- what is claimed


@pytest.mark.slow
def test_every_statistical_check_says_what_it_rests_on() -> None:
    statistical = {c.id for question in ASSIGNMENT.questions for c in question.checks if c.judge.alpha > 0}
    proved = proofs.bounds(ASSIGNMENT)
    assert falsefails.drawn(ASSIGNMENT).keys() <= proved.keys() <= statistical
    assert (
        statistical - proved.keys()
        <= proofs.MARGINS.keys()
        <= {check.id for question in ASSIGNMENT.questions for check in question.checks}
    )
    assert not proved.keys() & proofs.MARGINS.keys()
    assert all(one.proof and one.effects and one.tests > 0 and one.values > 0 for one in proved.values())


def test_the_batteries_are_as_large_as_is_told() -> None:
    e, m, v = noise(3, 4, 5), noise(4, 5), np.exp(noise(4, 5))
    assert len(stats.marginal(e)) == proofs.MARGINAL
    assert len(stats.dependence(e)) == proofs.DEPENDENCE
    assert len(stats.repetition(e)) == proofs.REPETITION
    assert len(stats.parameters(e, m, v)) == proofs.PARAMETERS


def test_the_bias_that_is_seen_is_seen() -> None:
    """At the derived factors Bernstein's bound is below alpha with 1 - MISS in every problem, and so in all of ten."""
    alpha = 1e-11
    for side in (-1, 1):
        factor = proofs._bias(alpha, side, problems=10)
        assert 0 < side * (factor - 1) < 0.2
        for seed in range(10):
            given: Any = loss._sampled(np.random.default_rng(seed))
            p, table = softmax(given["logits"].astype(float), axis=1), given["table"].astype(float)
            got = -(factor * given["rewards"][..., None] * (np.eye(loss.CLASSES)[given["actions"]] - p)).mean(0)
            exact = -p * (table - (p * table).sum(1, keepdims=True))
            assert loss._bias(got, exact, p, table)[0] < alpha


def test_checks_are_concerned_with_what_their_mistakes_are_in() -> None:
    concerned = falsefails.concerned(ASSIGNMENT, WRONG, "gan_vae/models/gan.py")
    assert concerned == {"gan.noise", "gan.fresh"}
    files = {solution.file for solution in RIGHT if falsefails.concerned(ASSIGNMENT, WRONG, solution.file)}
    assert files == proofs.ROUNDS.keys()
    gradings = sum(proofs.ROUNDS.get(solution.file, 0) for solution in RIGHT)
    assert gradings >= 20_000


# ---------------------------------------------------------------------------------------- what is found

CHECK = falsefails.drawn(ASSIGNMENT)["gan.noise"]
TALLY = FalseFailTally("v", 1000, 0, 0, 1.0, {"gan.noise": 1000}, {"gan.noise": 1000}, {"gan.noise": (97, 11, 1)})
POWER = Power("gan.noise", "w", 1e-30, 200, 200, 17)
GOOD = Found(((CHECK, FalsePositiveBound("exact", 1, 1, "all")),), {}, (TALLY,), (POWER,))


def test_a_grader_that_keeps_its_promises() -> None:
    section = falsefails.section(GOOD)
    assert section.holds
    assert GOOD.alpha == CHECK.judge.alpha
    assert GOOD.twice == CHECK.judge.alpha**2


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (replace(GOOD, checks=((replace(CHECK, judge=replace(CHECK.judge, alpha=1e-8)), GOOD.checks[0][1]),)), 0),  # type: ignore[type-var]
        (replace(GOOD, checks=(*GOOD.checks, (CHECK, None))), 1),
        (replace(GOOD, right=(replace(TALLY, failed=1),)), 2),
        (replace(GOOD, right=(replace(TALLY, second=1),)), 3),
        (replace(GOOD, right=(replace(TALLY, below={"gan.noise": (97, 11, 20)}),)), 4),
        (replace(GOOD, power=(replace(POWER, caught=199),)), 5),
    ],
)
def test_each_broken_promise_is_told(found: Found, broken: int) -> None:
    kept = [promise.holds for promise in falsefails.section(found).promises]
    assert kept == [at != broken for at in range(len(kept))]


def test_a_homework_without_proofs_promises_none() -> None:
    texts = [promise.what for promise in falsefails.section(replace(GOOD, checks=((CHECK, None),))).promises]
    assert len(texts) == len(falsefails.section(GOOD).promises) - 1
    assert "every alpha is a proved bound" not in texts


def test_a_wrong_solution_in_place_of_a_right_one_would_be_counted() -> None:
    solution = next(solution for solution in WRONG if solution.id == "sample-variance-as-std")
    row = falsefails.graded("autograder.hw11", solution, {"vae.sample.parameters"}, 2, "")
    assert row["any"] == 2 == row["second"]
    assert row["failed"] == {"vae.sample.parameters": 2}
    assert row["below"]["vae.sample.parameters"] == [2, 2, 2]


@pytest.mark.slow
def test_a_slice_keeps_the_promises_and_goes_on_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "of", lambda _: "this one")  # whatever is edited meanwhile
    steps: list[tuple[int, int]] = []
    found = falsefails.measured("autograder.hw11", tmp_path, every=250, tell=lambda *step: steps.append(step))
    broken = [promise.what for promise in falsefails.section(found).promises if not promise.holds]
    assert set(broken) <= {"every alpha is a proved bound"}
    assert {power.check for power in found.power} == falsefails.drawn(ASSIGNMENT).keys()
    assert steps[-1][0] == steps[-1][1]
    monkeypatch.setattr(falsefails, "graded", None)
    assert falsefails.measured("autograder.hw11", tmp_path, every=250) == found


def test_without_statistical_checks_the_part_is_left_out() -> None:
    assert falsefails.lacks(ASSIGNMENT) == ""
    assert falsefails.lacks(small.ASSIGNMENT) == "the homework has no statistical check."
