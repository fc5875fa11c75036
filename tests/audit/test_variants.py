"""Grades the bank: every wrong solution fails the checks that it names, every right one gets full marks."""

from __future__ import annotations

import pytest

from autograder.audit import bank
from autograder.audit.variants import Variant
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.solutions import HALF_RIGHT, RIGHT, WRONG

CHECKS = {
    check.id: check
    for question in ASSIGNMENT.questions
    for check in question.checks
    if not check.ask.collector and not check.ask.file
}
"""What grades code, and needs no kernel; test_notebook_runs.py and test_log.py grade the rest."""
ALARM = 0.2
"""A right answer that uses more than this share of a rounding bound is too near to being failed."""


def graded(variant: Variant, *, terse: bool = False, whole: bool = True) -> bank.Outcome:
    own = bank.of(ASSIGNMENT, variant)
    own = bank.terse(own) if terse else own
    if not whole:
        asks = {CHECKS[check].ask for check in variant.caught_by}
        own = bank.only(own, {check for check in CHECKS if CHECKS[check].ask in asks})
    with bank.submitted(variant, own) as received:
        return bank.outcome(received, own)


def named(variant: Variant) -> str:
    return variant.id


def assert_helpful(message: str) -> None:
    """A sentence that says what was seen and what was expected, or which exception the student's code raised."""
    assert 20 < len(message) < 600
    assert "xpected" in message or "raised" in message or "returned" in message or "could not be used" in message
    assert "Traceback" not in message
    assert "/autograder/" not in message


@pytest.mark.parametrize("variant", RIGHT, ids=named)
def test_right_solutions_get_full_marks_with_room_to_spare(variant: Variant) -> None:
    outcome = graded(variant)
    lost = {result.check.id: result.verdict.message for result in outcome.results if result.verdict.score < 1}
    assert lost == {}
    assert max(result.verdict.used or 0.0 for result in outcome.results) <= ALARM
    assert all(result.attempts == 1 for result in outcome.results)


@pytest.mark.parametrize(("place", "variant"), enumerate(WRONG), ids=lambda x: getattr(x, "id", ""))
def test_wrong_solutions_fail_the_checks_that_they_name(place: int, variant: Variant) -> None:
    """Every fourth is put all asks of its question, the others those that it must fail (`bench --question`: all)."""
    outcome = graded(variant, terse=True, whole=place % 4 == 0)  # the smallest examples are audited with the feedback
    expected = set(variant.caught_by)
    assert expected <= outcome.failed
    # Beyond those only a statistical check may fail (where noise is shared or seeded the others see fewer values than
    # they count on), or what comes of a whole training.
    extras = (CHECKS[extra] for extra in outcome.failed - expected - set(variant.sometimes))
    assert all(check.judge.alpha > 0 or check.ask.fixed for check in extras)
    if variant.diagnosis:
        assert variant.diagnosis in outcome.diagnoses
    for result in outcome.results:
        if result.verdict.score < 1:
            assert_helpful(result.verdict.message)


@pytest.mark.parametrize(
    ("variant", "lost"), [(v, lost) for v, lost, _ in HALF_RIGHT], ids=lambda x: getattr(x, "id", "")
)
def test_half_right_solutions_lose_what_a_fair_ta_would_take(variant: Variant, lost: float) -> None:
    outcome = graded(variant)
    assert outcome.failed == set(variant.caught_by)
    assert outcome.score == sum(result.check.points for result in outcome.results) - lost


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_the_only_one_to_catch_something(check: str) -> None:
    half = [variant for variant, _, _ in HALF_RIGHT]
    assert any(variant.caught_by == (check,) for variant in [*WRONG, *half])


def test_the_bank_is_large_and_every_variant_is_named_once() -> None:
    everything = [*WRONG, *RIGHT, *(variant for variant, _, _ in HALF_RIGHT)]
    assert len({variant.id for variant in everything}) == len(everything)
    assert len(WRONG) >= 30
    assert len(RIGHT) >= 12
    assert all(variant.caught_by and {*variant.caught_by, *variant.sometimes} <= set(CHECKS) for variant in WRONG)
    assert not any(variant.caught_by for variant in RIGHT)
