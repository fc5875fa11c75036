"""No judge crashes on junk, or pays for it: whatever bytes a hostile worker sends, they are judged as values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from autograder.audit import bank
from autograder.audit.inprocess import InProcess
from autograder.core import Check, CheckFailed, Observation, Trial, Values
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient.training import TEST, TRAINING
from autograder.judging.judges import apart, got_and_expected, shown
from autograder.sandbox import wire
from tests.solutions import RIGHT

CHECKS = {check.id: check for question in ASSIGNMENT.questions for check in question.checks if not check.request.file}
"""Where a file alone is read no student's code runs beside the probe; test_log.py spoils what is told of it."""
COUNTED = ("summarization.greedy", "summarization.beam", "_work", "continual_learning.behaviour")
"""Judged by whole numbers, tokens and counts, which cannot be a nan."""

EXAMPLES = 8
"""For each judge and test. `audit --part values` tries some 20,000 for each, of the same kinds and others."""


class Recording:
    """An asker that keeps what a right solution answered to every request."""

    def __init__(self) -> None:
        self.inner = InProcess(ASSIGNMENT.probes)
        self.seen: dict[str, tuple[Values, Values]] = {}

    def ask(self, submission: Any, request: Any, given: Values, *, seed: int, seconds: float) -> Any:
        if request.collector:  # what a kernel would answer, with the network that the loss has just trained
            trained = self.seen[TRAINING.name][1]
            weights = {f"weights.{at}": trained[name][-1] for at, name in enumerate(("w0", "b0", "w1", "b1"))}  # type: ignore[index]
            claim = np.frombuffer(b"67", np.uint8)  # as many percent as the network is right on
            answer = {"file.kind": "", "policy_gradient.final_accuracy": claim, "points": TEST[:1000]}
            observation = Observation({"cells": 3, "ran": 3, "failed": 0, "kind": "", "text": "", **weights, **answer})  # type: ignore[dict-item]
        else:
            observation = self.inner.ask(submission, request, given, seed=seed, seconds=seconds)
        assert observation.values is not None
        self.seen[request.name] = (given, observation.values)
        return observation


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[Values, Values]]:
    recording = Recording()
    with bank.submitted(RIGHT[0], ASSIGNMENT) as received:
        assert all(result.verdict.score == 1 for result in Grading(recording, received, ASSIGNMENT).results())
    return recording.seen


def score(check: Check, given: Values, got: Values) -> float:
    """The judge's score for these values as they would come over the wire; 0 for a CheckFailed."""
    got = wire.decode(*_bytes(got)).values
    try:
        verdict = check.judge(Trial(given, got))
    except CheckFailed:
        return 0.0
    assert 0.0 <= verdict.score <= 1.0
    assert verdict.message
    return verdict.score


def _bytes(got: Values) -> tuple[bytes, bytes]:
    data = wire.encode(wire.Frame("x", values=got))
    header, _ = wire.lengths(data[: wire.PREFIX.size])
    cut = wire.PREFIX.size + header
    return data[wire.PREFIX.size : cut], data[cut:]


def junk() -> st.SearchStrategy[Any]:
    dtypes = st.sampled_from([np.dtype(code) for code in ("f4", "f8", "f2", "i8", "i4", "u1", "?")])
    shapes = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
    return st.one_of(
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        arrays.arrays(dtypes, shapes),
    )


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_junk_is_neither_crashed_on_nor_paid_for(check: str, answers: Any, data: st.DataObject) -> None:
    """All values replaced by junk: no exception but CheckFailed, and no points."""
    given_values, right = answers[CHECKS[check].request.name]
    got = {name: data.draw(junk()) for name in right if data.draw(st.booleans())}
    assert score(CHECKS[check], given_values, got) == 0.0


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_one_value_spoiled_never_crashes_a_judge(check: str, answers: Any, data: st.DataObject) -> None:
    """One right value replaced by junk, or by its own like with a nan, an infinity or another shape."""
    given_values, right = answers[CHECKS[check].request.name]
    name = data.draw(st.sampled_from(sorted(right)))
    value = right[name]
    choices = [junk()]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        spoiled = value.copy()
        spoiled.reshape(-1)[:1] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 1e-45, 0.0]))
        options = [
            spoiled,
            value[..., None],
            value.reshape(-1),
            np.asarray(value * np.nan),
            value.astype(np.float64),
            np.asarray(value * 0),
        ]
        choices.append(st.sampled_from(options))
    score(CHECKS[check], given_values, {**right, name: data.draw(st.one_of(choices))})


@pytest.mark.parametrize("check", [check for check in CHECKS if not any(word in check for word in COUNTED)])
def test_every_spelling_of_not_a_number_fails(check: str, answers: Any) -> None:
    """`error <= tolerance` is false for a nan; `not error > tolerance` would not be."""
    given_values, right = answers[CHECKS[check].request.name]
    spoiled = {
        name: np.asarray(value * np.float32(np.nan))
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        else value
        for name, value in right.items()
    }
    assert score(CHECKS[check], given_values, spoiled) == 0.0


@pytest.mark.parametrize("check", CHECKS)
def test_the_right_values_pass(check: str, answers: Any) -> None:
    """What the two tests above spoil is worth full marks before."""
    given_values, right = answers[CHECKS[check].request.name]
    assert score(CHECKS[check], given_values, right) == 1.0


class Constant:
    """An asker whose worker answers what a worker of another submission answered."""

    def __init__(self, seen: dict[str, tuple[Values, Values]]) -> None:
        self.seen = seen

    def ask(self, submission: Any, request: Any, given: Values, *, seed: int, seconds: float) -> Any:
        # The smallest example is asked of wrong answers only, so nothing was recorded for it.
        return Observation(self.seen[request.name][1] if request.name in self.seen else {})


@pytest.mark.slow
def test_a_replayed_answer_of_another_submission_is_worthless(answers: Any) -> None:
    """Another upload gets other inputs, so yesterday's right values are wrong today.

    What does not depend on the inputs still passes: files and fixed problems, which are the same for everybody; shapes
    and finite values, noise at m = 0, v = 1, which is as random as any, losses that a doubled batch leaves alone;
    counts of work, and caches as many as there are layers: what is in them is looked at where the states are right. A
    sign is one of two, and right by chance as often as not.
    """
    with bank.submitted(RIGHT[0], ASSIGNMENT) as received:
        other = replace(received, digest=received.digest + "another")
        passed = {r.check.id for r in Grading(Constant(answers), other, ASSIGNMENT).results() if r.verdict.score == 1}
    fixed = {check.id for question in ASSIGNMENT.questions for check in question.checks if check.request.deterministic}
    assert passed - fixed <= {
        "summarization.layer_work",
        "summarization.stack_cache",
        "summarization.stack_work",
        "summarization.greedy_work",
        "summarization.beam_work",
        "vae.sample.contract",
        "vae.sample.noise",
        "vae.sample.independence",
        "vae.sample.fresh",
        "vae.bound.contract",
        "gan.contract",
        "gan.stable",
        "gan.noise",
        "gan.fresh",
        "policy_gradient.contract",
        "policy_gradient.sign",
        "policy_gradient.average",
    }


@pytest.mark.parametrize(
    ("got", "want", "told"),
    [
        (15.5801, 15.5849, "15.58; expected 15.58"),
        (1226.2, 1226.4, "1226; expected 1226"),
        (1.0004, 1, "1; expected 1"),
        ([1.0, 2.00001], [1.0, 2.0], "[1, 2]; expected [1, 2]"),
        (1.0, 1.0 + 2**-52, "1; expected 1"),
        (1e300, 1.00001e300, "1e+300; expected 1e+300"),
    ],
)
def test_two_numbers_are_told_with_as_many_digits_as_tell_them_apart(got: Any, want: Any, told: str) -> None:
    assert f"{shown(got)}; expected {shown(want)}" == told  # with four digits they would look the same
    one, other = apart(got, want)
    assert one != other
    assert got_and_expected(got, want) == f"{one}; expected {other}."


def test_numbers_that_are_the_same_get_no_further_digits() -> None:
    assert apart(0.1, 0.1) == ("0.1", "0.1")
    assert apart(2 / 3, 0.5) == ("0.6667", "0.5")
    assert apart(2 / 3, 0.5, 2) == ("0.67", "0.5")
    assert apart(float("nan"), 1.0) == ("nan", "1")
