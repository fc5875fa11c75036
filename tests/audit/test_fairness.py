"""The audit of fair grades: every known variation is covered, and an unfair grade is told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from autograder import version
from autograder.audit import fairness
from autograder.audit.fairness import Found, GradedSolution
from autograder.audit.homework import Variation
from autograder.hw11.audit.variations import VARIATIONS
from tests import small
from tests.solutions import HALF_RIGHT, RIGHT

pytestmark = pytest.mark.slow

SMALL = "tests.small.audited"
ROOT = Path(__file__).resolve().parents[2]
HALF = {solution.id: solution for solution in HALF_RIGHT}


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda one: f"{one.place}, {one.what}")
def test_what_stands_for_a_variation_exists(variation: Variation) -> None:
    assert variation.solutions or variation.tests
    assert {*variation.solutions} <= {solution.id for solution in RIGHT} | HALF.keys()
    for test in variation.tests:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.M), test


def test_every_variation_is_named_once_and_the_bank_is_large() -> None:
    assert len({(one.place, one.what) for one in VARIATIONS}) == len(VARIATIONS)
    assert len(RIGHT) >= 60
    assert len(HALF) >= 20
    assert all(solution.lost > 0 and solution.reason.endswith(".") for solution in HALF_RIGHT)


RIGHT_ONE = GradedSolution(RIGHT[0], "q", (0.0, 0.0), (), 0.05)
HALF_ONE = GradedSolution(HALF["pg-sum"], "q", (2.0, 2.0), ("q.average",), 0.0)
KNOWN = (
    Variation("q", "one", solutions=(RIGHT[0].id,)),
    Variation("q", "two", tests=("tests/a.py::test",)),
)
GOOD = Found((RIGHT_ONE,), (HALF_ONE,), KNOWN)


def test_a_grader_that_keeps_its_promises() -> None:
    assert fairness.section(GOOD).holds


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (replace(GOOD, right=(replace(RIGHT_ONE, lost=(0.0, 0.5)),), variations=KNOWN[1:]), 0),
        (replace(GOOD, right=(replace(RIGHT_ONE, tolerance_used=0.3),)), 1),
        (replace(GOOD, right=(replace(RIGHT_ONE, solution=RIGHT[1]),)), 2),
        (replace(GOOD, variations=(*KNOWN, Variation("q", "three"))), 2),
        (replace(GOOD, half=(replace(HALF_ONE, lost=(2.0, 1.0)),)), 3),
        (replace(GOOD, half=(replace(HALF_ONE, solution=replace(HALF["pg-sum"], lost=1.0)),)), 3),
    ],
)
def test_each_broken_promise_is_told(found: Found, broken: int) -> None:
    kept = [promise.holds for promise in fairness.section(found).promises]
    assert kept == [at != broken for at in range(len(kept))]


def test_a_half_right_solution_in_place_of_a_right_one_would_be_told() -> None:
    row = fairness.graded("autograder.hw11", HALF["bound-kl-monte-carlo"], 2)
    assert row["lost"] == pytest.approx([1.0, 1.0])
    assert row["failed"] == ["vae.bound.closed_form"]
    assert row["question"] == "vae"


def test_what_is_fixed_counts_in_every_grading() -> None:
    # It loses half of what one fixed problem is worth, too.
    row = fairness.graded("autograder.hw11", HALF["epoch-crashes-at-first"], 2)
    assert row["lost"] == pytest.approx([1.5, 1.5])


def test_the_small_homework_is_fair_and_goes_on_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Homework 11's solutions are graded in test_solutions.py, and with other inputs by the audit."""
    monkeypatch.setattr(version, "of", lambda _: "this one")  # whatever is edited meanwhile
    steps: list[tuple[int, int]] = []
    found = fairness.measured(SMALL, tmp_path, tell=lambda *step: steps.append(step))
    section = fairness.section(found)
    assert [promise.holds for promise in section.promises] == [True] * 3  # none about half-right ones: it has none
    assert [(one.solution.id, one.question, one.lost) for one in found.right] == [("sum", "numbers", (0.0, 0.0))]
    assert steps[-1] == (1, 1)
    monkeypatch.setattr(fairness, "graded", None)
    assert fairness.measured(SMALL, tmp_path) == found


def test_without_solutions_the_part_is_left_out() -> None:
    assert fairness.lacks(small.ASSIGNMENT) == ""
    assert (
        fairness.lacks(replace(small.ASSIGNMENT, solutions=())) == "the homework has no right or half-right solutions."
    )
