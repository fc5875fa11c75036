"""Grades the bank: every wrong solution fails the checks that it names, every right one gets full marks."""

from __future__ import annotations

import pytest

from autograder.audit import bank
from autograder.audit.solutions import Solution
from autograder.hw11 import ASSIGNMENT
from tests.solutions import BANK, HALF_RIGHT, RIGHT, WRONG

pytestmark = pytest.mark.slow

CHECKS = {
    check.id: check
    for question in ASSIGNMENT.questions
    for check in question.checks
    if not check.request.collector and not check.request.file
}
"""What grades code, and needs no kernel; test_notebook_runs.py and test_log.py grade the rest."""
ALARM = 0.2
"""A right answer that uses more than this share of a rounding bound is too near to being failed."""


def graded(solution: Solution, *, terse: bool = False, whole: bool = True) -> bank.Outcome:
    own = bank.of(ASSIGNMENT, solution)
    own = bank.terse(own) if terse else own
    if not whole:
        requests = {CHECKS[check].request for check in solution.fails}
        own = bank.only(own, {check for check in CHECKS if CHECKS[check].request in requests})
    with bank.submitted(solution, own) as received:
        return bank.outcome(received, own)


def named(solution: Solution) -> str:
    return solution.id


def assert_helpful(message: str) -> None:
    """A sentence that says what was seen and what was expected, or which exception the student's code raised."""
    assert 20 < len(message) < 600
    assert "xpected" in message or "raised" in message or "returned" in message or "could not be used" in message
    assert "Traceback" not in message
    assert "/autograder/" not in message


@pytest.mark.parametrize("solution", RIGHT, ids=named)
def test_right_solutions_get_full_marks_with_room_to_spare(solution: Solution) -> None:
    outcome = graded(solution)
    lost = {result.check.id: result.verdict.message for result in outcome.results if result.verdict.score < 1}
    assert lost == {}
    assert max(result.verdict.tolerance_used or 0.0 for result in outcome.results) <= ALARM
    assert all(result.attempts == 1 for result in outcome.results)


@pytest.mark.parametrize(("place", "solution"), enumerate(WRONG), ids=lambda x: getattr(x, "id", ""))
def test_wrong_solutions_fail_the_checks_that_they_name(place: int, solution: Solution) -> None:
    """Every twelfth is put all requests of its question; the audit's feedback part does so with all."""
    outcome = graded(solution, terse=True, whole=place % 12 == 0)  # the smallest examples are audited with the feedback
    expected = set(solution.fails)
    assert expected <= outcome.failed
    # Beyond those only a statistical check may fail (where noise is shared or seeded the others see fewer values than
    # they count on), or what comes of a whole training.
    extras = (CHECKS[extra] for extra in outcome.failed - expected - set(solution.sometimes))
    assert all(check.judge.alpha > 0 or check.request.deterministic for check in extras)
    if solution.diagnosis:
        assert solution.diagnosis in outcome.diagnoses
    for result in outcome.results:
        if result.verdict.score < 1:
            assert_helpful(result.verdict.message)


@pytest.mark.parametrize("solution", HALF_RIGHT, ids=named)
def test_half_right_solutions_lose_what_a_fair_ta_would_take(solution: Solution) -> None:
    outcome = graded(solution)
    assert outcome.failed == set(solution.fails)
    assert outcome.score == sum(result.check.points for result in outcome.results) - solution.lost


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_the_only_one_to_catch_something(check: str) -> None:
    assert any(solution.fails == (check,) for solution in (*WRONG, *HALF_RIGHT))


def test_the_bank_is_large_and_every_solution_is_named_once() -> None:
    everything = BANK.everything
    assert len({solution.id for solution in everything}) == len(everything)
    assert len(WRONG) >= 30
    assert len(RIGHT) >= 12
    assert all(solution.fails and {*solution.fails, *solution.sometimes} <= set(CHECKS) for solution in WRONG)
    assert not any(solution.fails for solution in RIGHT)
