"""Losses that stand in the training loop: whatever their wrapping and names, they are graded for what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers
from tests import written_notebooks as written
from tests.notebook_helpers import ALL_RAN, NAME
from tests.sandbox.test_notebooks import grade

pytestmark = pytest.mark.sandbox

QUESTION = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
ASKED = replace(
    ASSIGNMENT,
    questions=(replace(QUESTION, checks=tuple(c for c in QUESTION.checks if "answer" not in c.id and not c.manual)),),
)
POINTS = sum(check.points for check in ASKED.questions[0].checks)


def lost(sandbox: Sandbox, data: bytes) -> dict[str, tuple[float, str]]:
    """What the checks give that do not give all, by the last word of their id, with the message."""
    graded = helpers.grade(sandbox, {NAME: data}, assignment=ASKED)
    assert all(result.status == "graded" for result in graded.results), [result.log for result in graded.results]
    return {
        result.check.id.rpartition(".")[2]: (result.score, result.verdict.message)
        for result in graded.results
        if result.score < result.check.points
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", written.RIGHT)
def test_right_ones_get_full_marks(sandbox: Sandbox, name: str) -> None:
    assert lost(sandbox, written.RIGHT[name]) == {}


@pytest.mark.slow
def test_a_wrong_loss_loses_its_points_and_the_supervised_network_earns_none(sandbox: Sandbox) -> None:
    for name in ("flipped", "flipped, own names, in a function"):
        seen = lost(sandbox, written.WRONG[name][0])
        assert {check: score for check, (score, _) in seen.items()} == {"sign": 0, "training": 0, "notebook": ALL_RAN}
        assert "the network that learns from the rewards is right on only" in seen["notebook"][1]


def failed(verdicts: dict[str, Any]) -> dict[str, str]:
    return {name: verdict.diagnosis for name, verdict in verdicts.items() if verdict.score < 1 and name != "answer"}


@pytest.mark.slow
@pytest.mark.parametrize("name", written.WRONG)
def test_wrong_ones_are_told_by_name(tmp_path: Path, name: str) -> None:
    data, expected = written.WRONG[name]
    assert failed(grade(tmp_path, data)) == expected


@pytest.mark.parametrize("name", written.STEPPED)
def test_the_step_behind_the_gradients_counts(tmp_path: Path, name: str) -> None:
    data, expected = written.STEPPED[name]
    assert failed(grade(tmp_path, data)) == expected


@pytest.mark.parametrize("name", written.UNFILLED)
def test_unfilled_ones_are_told_so(tmp_path: Path, name: str) -> None:
    verdicts = grade(tmp_path, written.UNFILLED[name])
    assert set(failed(verdicts)) == {check.id.partition(".")[2] for check in ASKED.questions[0].checks} - {"notebook"}
    assert verdicts["gradient"].message.startswith("Not filled in yet: ")
    assert "code cell 5" in verdicts["gradient"].message


@pytest.mark.slow
def test_an_unfilled_starter_earns_nothing_with_its_supervised_network(sandbox: Sandbox) -> None:
    seen = lost(sandbox, written.UNFILLED["none"])
    assert len(seen) == len(ASKED.questions[0].checks)
    assert {score for score, _ in seen.values()} == {0}
    assert "AttributeError: 'NoneType' object has no attribute 'backward'" in seen["notebook"][1]


@pytest.mark.parametrize("name", written.UNCUT)
def test_what_cannot_be_cut_out_is_told_with_its_cell(tmp_path: Path, name: str) -> None:
    data, words = written.UNCUT[name]
    message = grade(tmp_path, data)["gradient"].message
    assert words in message
    assert "code cell" in message
    assert "RecursionError" not in message


def test_a_loss_in_the_loop_counts_where_the_function_was_left_as_handed_out(tmp_path: Path) -> None:
    stub = 'def policy_gradient_loss(logprob, predicted, reward):\n    """Yours."""\n    raise NotImplementedError("x")'
    loop = written.loop(written.CHOSEN + "loss = -(chosen * reward).mean()")
    assert failed(grade(tmp_path, written.public(stub, loop))) == {}


def test_a_function_counts_before_a_loss_in_the_loop(tmp_path: Path) -> None:
    wrong = "def policy_gradient_loss(logprob, predicted, reward):\n    return F.nll_loss(logprob, predicted)"
    loop = written.loop(written.CHOSEN + "loss = -(chosen * reward).mean()")
    assert failed(grade(tmp_path, written.public(wrong, loop)))["gradient"] == "reward_ignored"
