"""Losses that stand in the training loop: whatever their wrapping and names, they are graded for what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from autograder.hw11 import ASSIGNMENT
from autograder.isolation.wall import Pool, Wall
from tests import helpers
from tests import written_notebooks as written
from tests.notebook_helpers import NAME

QUESTION = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
ASKED = replace(
    ASSIGNMENT,
    questions=(replace(QUESTION, checks=tuple(c for c in QUESTION.checks if "answer" not in c.id and not c.manual)),),
)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(Wall(ASSIGNMENT.probes)) as started:
        yield started


def lost(pool: Pool, data: bytes) -> dict[str, tuple[float, str]]:
    """What the checks give that do not give all, by the last word of their id, with the message."""
    graded = helpers.grade(pool, {NAME: data}, assignment=ASKED)
    assert all(result.status == "graded" for result in graded.results), [result.log for result in graded.results]
    return {
        result.check.id.rpartition(".")[2]: (result.score, result.verdict.message)
        for result in graded.results
        if result.score < result.check.points
    }


@pytest.mark.parametrize("name", written.RIGHT)
def test_right_ones_get_full_marks(pool: Pool, name: str) -> None:
    assert lost(pool, written.RIGHT[name]) == {}
