"""The proof that this homework grades as it should: `python3 -m pytest FOLDER`, with the interpreter of setup.sh."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder import homeworks
from autograder.audit import proof
from autograder.audit.solutions import Solution
from autograder.authoring import template

ASSIGNMENT = homeworks.load(str(Path(__file__).resolve().parents[1]))


@pytest.mark.parametrize("solution", proof.solutions(ASSIGNMENT), ids=lambda solution: solution.id)
def test_solutions_get_what_they_should(solution: Solution) -> None:
    assert proof.surprises(solution, ASSIGNMENT) == []


def test_every_check_has_a_wrong_solution_that_it_must_catch() -> None:
    assert proof.unproved(ASSIGNMENT) == []


def test_the_template_is_what_the_reference_gives() -> None:
    assert template.differences(ASSIGNMENT.reference, ASSIGNMENT.template) == []
