"""The one path: equal requests are put once, luck is asked twice, our faults cost nothing, seeds come from content."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.core import Assignment, Check, Observation, Question, Request, Submission, Trial, Values, Verdict
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.vae import sample
from autograder.intake import submission
from autograder.judging.judges import Exact, Statistical
from autograder.output import gradescope
from autograder.sandbox.host.sandbox import Sandbox
from tests.helpers import reachable_folder

BOX = Submission(Path("/nonexistent"), "digest")


def draw(rng: np.random.Generator) -> Values:
    return {"x": rng.standard_normal(3)}


REQUEST = Request("module:function", draw)
OTHER = Request("module:other", draw)


@dataclass
class Echo:
    """An asker that answers what it was given, and remembers what it was asked."""

    asked: list[tuple[str, bytes, int]] = field(default_factory=list)
    answer: Observation | None = None

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        x = given["x"]
        assert isinstance(x, np.ndarray)
        self.asked.append((request.probe, x.tobytes(), seed))
        return self.answer or Observation(dict(given))


def homework(*checks: Check) -> Assignment:
    return replace(ASSIGNMENT, questions=(Question("q", 4, "Title", ("file.py",), checks),))


def passes(_trial: Trial) -> Verdict:
    return Verdict(1.0, "Fine.")


def scripted(*scores: float) -> Callable[[Trial, float], Verdict]:
    """A statistical rule that gives these scores one after the other."""
    left = list(scores)
    return lambda _trial, _alpha: Verdict(left.pop(0), "As scripted.")


def test_equal_asks_are_put_once() -> None:
    checks = [Check(f"c{i}", "n", 1, REQUEST, Exact(passes)) for i in range(3)]
    checks.append(Check("c3", "n", 1, Request("module:function", draw), Exact(passes)))
    checks.append(Check("c4", "n", 1, OTHER, Exact(passes)))
    echo = Echo()
    assert len(list(Grading(echo, BOX, homework(*checks)).results())) == 5
    assert [probe for probe, _, _ in echo.asked] == ["module:function", "module:other"]


@pytest.mark.parametrize(
    ("own", "sibling", "score", "attempts"),
    [
        ((1.0,), (1.0,), 1.0, 1),
        ((0.0, 1.0), (1.0, 1.0), 1.0, 2),  # bad luck once
        ((0.0, 0.0), (1.0, 1.0), 0.0, 2),
        ((0.0, 1.0), (0.0, 1.0), 0.0, 2),  # a wrong answer may break another property the second time
    ],
)
def test_luck_is_asked_twice(own: Any, sibling: Any, score: float, attempts: int) -> None:
    first = Check("c", "n", 2, REQUEST, Statistical(scripted(*own), 1e-11, "x"))
    second = Check("d", "n", 1, REQUEST, Statistical(scripted(*sibling), 1e-11, "x"))
    exact = Check("e", "n", 1, REQUEST, Exact(lambda _: Verdict(0.0, "no")))  # its failure is not a matter of luck
    echo = Echo()
    grading = Grading(echo, BOX, homework(first, second, exact))
    result = grading.check(grading.assignment.questions[0], first)
    assert (result.verdict.score, result.attempts) == (score, attempts)
    assert len({inputs for _, inputs, _ in echo.asked}) == attempts  # fresh inputs


def test_an_exact_check_is_asked_once() -> None:
    echo = Echo()
    check = Check("c", "n", 1, REQUEST, Exact(lambda _: Verdict(0.0, "no")))
    (result,) = Grading(echo, BOX, homework(check)).results()
    assert (result.verdict.score, len(echo.asked)) == (0.0, 1)


def test_a_fault_of_ours_costs_nothing_and_is_told() -> None:
    def broken(_trial: Trial) -> Verdict:
        raise ZeroDivisionError

    broken_judge = Check("c", "n", 3, REQUEST, Exact(broken))
    (result,) = Grading(Echo(), BOX, homework(broken_judge)).results()
    assert (result.score, result.status) == (3.0, "grader error")
    broken_wall = Echo(answer=Observation(error="no worker", cause="grader"))
    (result,) = Grading(broken_wall, BOX, homework(Check("c", "n", 3, REQUEST, Exact(passes)))).results()
    assert (result.score, result.status) == (3.0, "grader error")
    assert "not in your work" in result.verdict.message


def test_a_fault_of_the_students_costs_the_check() -> None:
    echo = Echo(answer=Observation(error="The code raised an exception.", diagnosis="raised"))
    (result,) = Grading(echo, BOX, homework(Check("c", "n", 3, REQUEST, Exact(passes)))).results()
    assert (result.score, result.verdict.diagnosis) == (0.0, "raised")


def test_seeds_come_from_content_ask_attempt_and_secret() -> None:
    check = Check("c", "n", 1, REQUEST, Exact(passes))
    other = Check("d", "n", 1, OTHER, Exact(passes))

    def inputs(digest: str, secret: bytes = b"") -> list[bytes]:
        echo = Echo()
        list(Grading(echo, replace(BOX, digest=digest), homework(check, other), secret).results())
        return [given for _, given, _ in echo.asked]

    assert inputs("one") == inputs("one")
    assert len({*inputs("one"), *inputs("two"), *inputs("one", b"key")}) == 6


def test_what_time_does_not_allow_is_said() -> None:
    echo = Echo()
    check = Check("c", "n", 1, REQUEST, Exact(passes))
    (result,) = Grading(echo, BOX, homework(check), seconds=0.5).results()
    assert (result.status, result.score, echo.asked) == ("not reached", 0.0, [])


# ----------------------------------------------------------------------------------- through the sandbox


def results_of(sandbox: Sandbox, *, more: str = "") -> dict[str, Any]:
    """results.json of the reference, with a comment put behind utils.py."""
    with reachable_folder() as folder:
        (folder / "upload/gan_vae/models").mkdir(parents=True)
        for name in ("utils.py", "models/vae.py"):
            text = (ASSIGNMENT.reference / "gan_vae" / name).read_text()
            (folder / "upload/gan_vae" / name).write_text(text + (more if name == "utils.py" else ""))
        (folder / "workspace").mkdir()
        received = submission.receive(folder / "upload", ASSIGNMENT, folder / "workspace", group=sandbox.uid)
        document = gradescope.document(ASSIGNMENT, list(Grading(sandbox, received, ASSIGNMENT).results()))
    for test in document["tests"]:
        del test["extra_data"]["seconds"]
    return document


def test_the_same_upload_gets_the_same_results_to_the_letter(sandbox: Sandbox) -> None:
    """But for times. Another upload gets other inputs, which p-values and rounding errors show."""
    first, again, other = results_of(sandbox), results_of(sandbox), results_of(sandbox, more="# a remark\n")
    assert json.dumps(first) == json.dumps(again)
    assert json.dumps(first) != json.dumps(other)
    assert first["score"] == other["score"]


def test_the_reference_is_asked_the_same(sandbox: Sandbox) -> None:
    """With reference=True the judge sees the reference's answer to the same inputs and the same seed."""
    seen: list[Trial] = []

    def look(trial: Trial) -> Verdict:
        seen.append(trial)
        return Verdict(1.0, "Fine.")

    check = Check("c", "n", 1, replace(sample.REQUEST, reference=True), Exact(look))
    with reachable_folder() as folder:
        (folder / "workspace").mkdir()
        received = submission.receive(ASSIGNMENT.reference, ASSIGNMENT, folder / "workspace", group=sandbox.uid)
        (result,) = Grading(sandbox, received, homework(check)).results()
    assert result.status == "graded"
    (trial,) = seen
    assert set(trial.want) == set(trial.got)
    assert all(np.array_equal(trial.got[name], trial.want[name]) for name in trial.want)


def test_a_yardstick_is_measured_once_for_many(sandbox: Sandbox) -> None:
    """With yardstick=True the judge sees the reference's CPU time, which the first of several gradings measures."""
    seen: list[Trial] = []
    asked: list[Submission] = []

    class Counting:
        def ask(self, submission: Submission, request: Request, given: Any, *, seed: int, seconds: float) -> Any:
            asked.append(submission)
            return sandbox.ask(submission, request, given, seed=seed, seconds=seconds)

    def look(trial: Trial) -> Verdict:
        seen.append(trial)
        return Verdict(1.0, "Fine.")

    check = Check("c", "n", 1, replace(sample.REQUEST, baseline_cpu=True), Exact(look))
    with reachable_folder() as folder:
        (folder / "workspace").mkdir()
        received = submission.receive(ASSIGNMENT.reference, ASSIGNMENT, folder / "workspace", group=sandbox.uid)
        shared: dict[str, float] = {}
        for _ in range(3):
            list(Grading(Counting(), received, homework(check), baseline_cpus=shared).results())
    assert [one.ours for one in asked] == [False, True, False, False]
    assert len({trial.want_cpu for trial in seen}) == 1
    assert seen[0].want_cpu > 0
    assert all(trial.want == {} for trial in seen)
