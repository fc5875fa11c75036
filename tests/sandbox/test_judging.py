"""Judges run under limits that hold whatever they do; values that break a judge earn nothing, and the staff is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.core import (
    Assignment,
    Check,
    CheckFailed,
    Counterexample,
    Observation,
    Question,
    Request,
    Spec,
    Specs,
    Submission,
    Trial,
    Values,
    Verdict,
)
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.judging.judges import Exact, Statistical
from autograder.output import gradescope
from autograder.sandbox import returns
from autograder.sandbox.host.judging import Guarded, Inside, JudgementLimits, Judging

BOX = Submission(Path("/nonexistent"), "digest")
REQUEST = Request("module:function", lambda rng: {"x": rng.standard_normal(3)})
SMALL = JudgementLimits(cpu=1, memory=64 * 1024**2, seconds=60.0)


def check(rule: Callable[[Trial], Verdict], name: str = "c", request: Request = REQUEST) -> Check:
    return Check(name, "n", 3, request, Exact(rule))


def homework(*checks: Check) -> Assignment:
    return replace(ASSIGNMENT, questions=(Question("q", 4, "Title", ("file.py",), checks),))


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    judging = Guarded(limits=SMALL)
    yield judging
    judging.close()


# ------------------------------------------------------------------------------------------- the limits


def _loops(trial: Trial) -> Verdict:
    while True:
        pass


def _loops_in_c(trial: Trial) -> Verdict:
    return Verdict(float(sum(range(10**12))), "")  # no signal handler of Python's is called meanwhile


def _allocates(trial: Trial) -> Verdict:
    return Verdict(float(np.ones(10**9).sum() > 0), "fine")


def _appends(trial: Trial) -> Verdict:
    kept = []
    while True:
        kept.append(np.ones(10**5))


def _recurses(trial: Trial) -> Verdict:
    return _recurses(trial)


def _dies(trial: Trial) -> Verdict:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Verdict(1.0, "not reached")


def _exits(trial: Trial) -> Verdict:
    raise SystemExit


def _sleeps(trial: Trial) -> Verdict:
    time.sleep(600)
    return Verdict(1.0, "not reached")


def _not_a_score(trial: Trial) -> Verdict:
    return Verdict(float("nan"), "fine")


BREAK: dict[str, tuple[Callable[[Trial], Verdict], str]] = {
    "an endless loop": (_loops, "CPU seconds"),
    "an endless loop in C": (_loops_in_c, "CPU seconds"),
    "8 GB at once": (_allocates, "MemoryError"),
    "memory bit by bit": (_appends, "MemoryError"),
    "endless recursion": (_recurses, "RecursionError"),
    "a crash": (_dies, "signal 11"),
    "an exit": (_exits, "exit"),
    "a score that is none": (_not_a_score, "a score of nan"),
}


def fine(trial: Trial) -> Verdict:
    return Verdict(0.5, "Fine.", "id", p=0.25, tolerance_used=float("inf"), notes=("a note",), figures={"f": 1.0})


TRIAL = Trial({"n": 2}, {"x": np.arange(3.0), "n": 1, "s": "é"}, {"x": np.zeros((0, 2))}, 1.5, 2.5)


@pytest.mark.parametrize("name", BREAK)
def test_limits_hold_whatever_a_judge_does(name: str, guarded: Guarded) -> None:
    rule, words = BREAK[name]
    started = time.monotonic()
    ruling = guarded.judge(check(rule, "broken"), TRIAL, 300.0)
    assert ruling.verdict is None
    assert words in ruling.broke
    assert "broken" in ruling.broke
    assert guarded.judge(check(fine), TRIAL, 60.0).verdict == fine(TRIAL)  # the next one is judged
    assert time.monotonic() - started < 60


def test_a_judge_that_waits_is_ended(guarded: Guarded) -> None:
    guarded.limits = replace(SMALL, seconds=0.3)
    assert "0.3 seconds" in guarded.judge(check(_sleeps), TRIAL, 60.0).broke
    assert guarded.judge(check(_sleeps), TRIAL, 0.2).late  # the time of the whole upload is used up: nobody's fault


@pytest.mark.slow
def test_each_judgement_has_its_own_limit(guarded: Guarded) -> None:
    """CPU time adds up in the process that judges; a limit for the whole of it would end it at the tenth check."""

    def busy(trial: Trial) -> Verdict:
        until = time.process_time() + 0.6
        while time.process_time() < until:
            pass
        return Verdict(1.0, f"{os.getpid()}")

    one = check(busy)
    told = {verdict.message for _ in range(5) if (verdict := guarded.judge(one, TRIAL, 60.0).verdict)}
    assert len(told) == 1


def test_judging_apart_says_what_judging_inside_says(guarded: Guarded) -> None:
    def looks(trial: Trial) -> Verdict:
        x = trial.got["x"]
        assert isinstance(x, np.ndarray)
        told = f"{x.tolist()} {trial.got['n']} {trial.got['s']} {np.shape(trial.want['x'])} {trial.given}"
        return Verdict(1.0, told + f" {trial.got_cpu} {trial.want_cpu}", p=float("nan"))

    def refuses(trial: Trial) -> Verdict:
        raise CheckFailed("No. Expected: yes.", diagnosis="shape")

    def numpys(trial: Trial) -> Verdict:
        return Verdict(np.float64(0.5), "x", tolerance_used=np.float32(0.5), figures={"f": np.int64(3)})  # type: ignore[arg-type, dict-item]

    for rule in (looks, refuses, numpys, fine):
        one = check(rule)
        assert repr(guarded.judge(one, TRIAL, 60.0)) == repr(Inside().judge(one, TRIAL, 60.0)).replace(
            "np.float64(0.5)", "0.5"
        ).replace("np.float32(0.5)", "0.5").replace("np.int64(3)", "3")


def test_checks_of_one_trial_share_it(guarded: Guarded) -> None:
    """Readings are cached by the trial's identity, so the process that judges must get it once."""
    rules = [check(lambda trial: Verdict(1.0, f"{id(trial)}"), f"c{at}") for at in range(3)]
    guarded._learn(rules)
    told = [guarded.judge(rule, TRIAL, 60.0).verdict for rule in rules]
    assert len({verdict.message for verdict in told if verdict}) == 1
    others = [Trial({"n": at}, {}) for at in range(10)]
    seen = check(lambda trial: Verdict(1.0, f"{trial.given['n']}"), "seen")
    found = [guarded.judge(seen, trial, 60.0).verdict for trial in (*others, *others[::-1])]
    assert [verdict.message for verdict in found if verdict] == [str(at) for at in (*range(10), *range(10)[::-1])]


def test_another_way_to_ask_is_no_other_judge(guarded: Guarded) -> None:
    """How much of a notebook is run is tried in several ways: none of them starts the process anew."""
    one = check(lambda _: Verdict(1.0, f"{os.getpid()}"))
    asked = [replace(one, request=replace(one.request, seconds=float(second))) for second in range(1, 5)]
    told = [guarded.judge(each, TRIAL, 60.0).verdict for each in asked]
    assert len({verdict.message for verdict in told if verdict}) == 1


def test_nothing_outlives_the_judge() -> None:
    judging = Guarded(limits=SMALL)
    told = judging.judge(check(lambda _: Verdict(1.0, f"{os.getpid()}")), TRIAL, 60.0).verdict
    assert told
    assert int(told.message) != os.getpid()
    del judging  # whoever forgets to close it
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.message), 0)


# ------------------------------------------------------------------------------------- whose fault it is


@dataclass
class Answers:
    """An asker that answers as it is told: `right` is the reference's answer, `got` the submission's."""

    got: Values
    right: Values | None = field(default_factory=lambda: {"x": 1.0})
    asked: list[bool] = field(default_factory=list)

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        self.asked.append(submission.ours)
        if submission.ours and self.right is None:
            return Observation(error="no worker", cause="grader")
        return Observation(self.right if submission.ours else self.got)


def divides(trial: Trial) -> Verdict:
    x: Any = trial.got["x"]
    return Verdict(1.0, f"{1 / x}")


def both(test: Callable[[Judging], None]) -> Any:
    return pytest.mark.parametrize("judging", [Inside(), Guarded(limits=SMALL)], ids=["inside", "guarded"])(test)


@both
def test_values_that_break_a_judge_earn_nothing(judging: Judging) -> None:
    asker = Answers({"x": 0.0})
    (result,) = Grading(asker, BOX, homework(check(divides)), judging=judging).results()
    assert (result.score, result.status, result.verdict.diagnosis) == (0.0, "unjudgeable", "unjudgeable")
    assert asker.asked == [False, True]
    assert "could not be judged" in result.verdict.message
    assert "ZeroDivisionError in the judge of c, test_judging.py line" in result.log
    assert result.verdict.notes == (result.log,)


@both
def test_where_the_reference_breaks_it_too_the_fault_is_ours(judging: Judging) -> None:
    for right in ({"x": 0.0}, {}, None):
        (result,) = Grading(Answers({"x": 0.0}, right), BOX, homework(check(divides)), judging=judging).results()
        assert (result.score, result.status) == (3.0, "grader error")
        assert "not in your work" in result.verdict.message


def test_a_limit_that_values_pass_is_no_fault_of_ours() -> None:
    def long(trial: Trial) -> Verdict:
        return _loops(trial) if trial.got["x"] == 0 else fine(trial)

    def large(trial: Trial) -> Verdict:
        return _allocates(trial) if trial.got["x"] == 0 else fine(trial)

    for rule in (long, large):
        judging = Guarded(limits=SMALL)
        (result,) = Grading(Answers({"x": 0.0}), BOX, homework(check(rule)), judging=judging).results()
        assert (result.score, result.status) == (0.0, "unjudgeable")


def test_a_second_look_that_breaks_earns_nothing() -> None:
    looks = iter([Verdict(0.0, "bad luck?"), None])

    def rule(trial: Trial, alpha: float) -> Verdict:
        verdict = next(looks, Verdict(1.0, "the reference's"))
        if verdict is None:
            raise KeyError("z")
        return verdict

    one = Check("c", "n", 2, REQUEST, Statistical(rule, 1e-11, "x"))
    (result,) = Grading(Answers({"x": 0.0}), BOX, homework(one)).results()
    assert (result.score, result.status, result.attempts) == (0.0, "unjudgeable", 2)


def test_a_broken_search_for_a_counterexample_changes_no_score() -> None:
    def describe(failed: Trial, tiny: Trial) -> str:
        return f"{1 // 0}"

    smallest = Counterexample(Request("m:tiny", lambda _rng: {}, seconds=1, deterministic=True), describe)
    one = replace(check(lambda _: Verdict(0.5, "Half.")), counterexample=smallest)
    for judging in (Inside(), Guarded(limits=SMALL)):
        (result,) = Grading(Answers({"x": 0.0}), BOX, homework(one), judging=judging).results()
        assert (result.verdict.score, result.verdict.message, result.status) == (0.5, "Half.", "graded")
        assert "ZeroDivisionError" in result.verdict.notes[0]


def test_the_staff_is_told_first() -> None:
    broken = homework(check(lambda _: Verdict(1.0, "ok"), "a"), check(divides, "b"), check(divides, "c"))
    results = list(Grading(Answers({"x": 0.0}), BOX, broken).results())
    results[1] = replace(results[1], status="grader error")
    told = gradescope.stopped(results)
    assert [line.partition(" ")[0] for line in told] == ["4.3", "4.2"]  # what may have lost points comes first
    content = gradescope.document(broken, results)
    assert content["extra_data"]["for_the_staff"] == told
    assert "for_the_staff" not in gradescope.document(broken, results[:1])["extra_data"]


def test_time_that_is_used_up_is_no_fault_of_ours() -> None:
    """The reference is asked after the submission: who used up the time must not get the points for that."""

    class Slow(Answers):
        def ask(
            self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float
        ) -> Observation:
            if submission.ours:
                return Observation(error="The code was still running", diagnosis="deadline")
            return super().ask(submission, request, given, seed=seed, seconds=seconds)

    for seconds, status in ((5.0, "not reached"), (60.0, "grader error")):
        one = check(fine, request=replace(REQUEST, reference=True))
        (result,) = Grading(Slow({"x": 0.0}), BOX, homework(one), seconds=seconds).results()
        assert result.status == status


# ------------------------------------------------------------------------------------ what is declared


def declared(_given: Values) -> Specs:
    return {
        "z": returns.numbers(2, None, most=10, what="the sample"),
        "n": returns.count(5),
        "kind": returns.word("", "a list"),
        **returns.parts(a={"x": returns.numbers(most=4)}, b={"y": returns.flag()}),
    }


DECLARED = replace(REQUEST, returns=declared)


def admitted(**values: Any) -> Observation:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return returns.admitted(DECLARED, {}, Observation(named))


def test_what_was_declared_comes_through() -> None:
    values: Any = {"z": np.zeros((2, 5)), "n": 5, "kind": "a list", "a.x": np.ones(4, np.int32), "b.y": True}
    assert returns.admitted(DECLARED, {}, Observation(values)).values == values
    fault = {"a.fault.kind": "raised", "a.fault.text": "ValueError", "a.fault.where": ""}
    assert returns.admitted(DECLARED, {}, Observation(fault)).values == fault
    assert returns.admitted(REQUEST, {}, Observation({"anything": 1})).values == {"anything": 1}


def test_what_nobody_asked_for_reaches_no_judge() -> None:
    assert admitted(n=1, other=2, c__x=3, a__fault__more="x").values == {"n": 1}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"z": np.zeros((2, 6))}, "the sample: it has shape [2, 6]"),
        ({"z": np.zeros((3, 3))}, "but shape [2, any] was expected"),
        ({"z": np.zeros(2)}, "shape"),
        ({"z": 1.0}, "a float was returned"),
        ({"n": 6}, "out of range"),
        ({"n": -1}, "out of range"),
        ({"n": 10**15}, "16 digits"),
        ({"n": True}, "a bool was returned"),
        ({"n": np.array(3)}, "an array of int64"),
        ({"kind": "another"}, "a text was returned that is not allowed"),
        ({"b.fault.kind": "x" * 41, "z": 1}, "was returned"),
    ],
)
def test_what_was_not_declared_is_refused(value: dict[str, Any], words: str) -> None:
    seen = returns.admitted(DECLARED, {}, Observation(value))
    assert seen.values is None
    assert words in seen.error
    assert seen.diagnosis == "unusable"


@pytest.mark.parametrize("value", [np.zeros(5), np.zeros((10**6, 0)), np.array(["x"]), "text", 3])
def test_a_part_that_was_not_declared_so_costs_that_part_alone(value: Any) -> None:
    seen = admitted(a__x=value, b__y=True, n=1).values
    assert seen is not None
    assert (seen["b.y"], seen["n"], seen["a.fault.kind"]) == (True, 1, "unusable")
    assert "a.x" not in seen


def test_an_answer_has_as_many_bytes_as_it_can_have_reason_for() -> None:
    assert returns.largest(REQUEST, {}) == 16 * 1024**2
    assert returns.largest(DECLARED, {}) == returns.LEAST + 8 * (10 + 4)


def test_room_for_a_wrong_shape() -> None:
    assert returns.entries(32).most >= 32 * 32  # (n, n) in place of (n,)
    assert returns.entries(1).most >= 16
    assert returns.entries(5000).most == 200_000
    assert returns.entries(10**6).most == 4 * 10**6
    assert Spec() == Spec()
