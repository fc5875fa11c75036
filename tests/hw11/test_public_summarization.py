"""The course's public summarization notebook through the front door: layer and stack are graded by what they are."""

from __future__ import annotations

import pytest

from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers, public_summarization
from tests.hw11.test_summarization import BEAM, FULL, GREEDY, LAYER, NOTEBOOK, STACK, limited, points

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SEARCHES = tuple(f"summarization.{name}" for name in ("greedy", "greedy_work", "beam", "beam_work"))


def graded(sandbox: Sandbox, data: bytes) -> helpers.Graded:
    # To import PreTrainedModel takes 4 s of a CPU, and a busy machine longer.
    return helpers.grade(sandbox, {NOTEBOOK: data}, assignment=limited(200.0), seconds=900.0)


@pytest.mark.parametrize("name", ["FIRST", "SECOND"])
def test_layer_and_stack_get_all_points_and_the_missing_searches_are_told_once(sandbox: Sandbox, name: str) -> None:
    found = graded(sandbox, getattr(public_summarization, name))
    assert points(found) == {**FULL, "greedy": 0.0, "beam": 0.0}, found.messages()
    told = {result.check.id: result.verdict for result in found.results if result.score == 0}
    assert set(told) == set(SEARCHES)
    first, *others = (told[check].message for check in SEARCHES)
    assert "greedy_decode and beam_search are missing" in first
    assert "generate() of transformers" in first
    assert "ten points" in first
    assert all(len(each) < 100 and 'see the check "greedy_decode: tokens"' in each for each in others)
    assert {verdict.diagnosis for verdict in told.values()} == {"missing"}


def test_unfilled_it_earns_nothing_and_says_so(sandbox: Sandbox) -> None:
    found = graded(sandbox, public_summarization.UNFILLED)
    assert points(found) == dict.fromkeys(FULL, 0.0)
    diagnoses = {result.check.id: result.verdict.diagnosis for result in found.results}
    assert {diagnoses[check] for check in diagnoses if check not in SEARCHES} == {"unfilled"}


def test_a_mistake_in_it_costs_what_it_would_cost_elsewhere(sandbox: Sandbox) -> None:
    found = graded(sandbox, public_summarization.WRONG)
    assert points(found) == {"layer": LAYER, "stack": STACK - 4, "greedy": 0.0, "beam": 0.0}
    diagnoses = {result.check.id: result.verdict.diagnosis for result in found.results}
    assert diagnoses["summarization.stack_cached"] == "sum_positions_restart"
    assert GREEDY + BEAM == 10
