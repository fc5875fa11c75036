"""A homework of one file and three checks, for tests of what grades many submissions."""

from __future__ import annotations

from pathlib import Path

from autograder.core import Assignment, Check, CheckFailed, Question, Request, Spec, Trial, Verdict
from autograder.judging.judges import Exact

HERE = Path(__file__).resolve().parent
TWICE = Request(
    "probes:twice",
    lambda rng: {"x": float(rng.integers(1, 100))},
    seconds=3.0,
    reference=True,
    returns=lambda _given: {"value": Spec(scalars=(float,), what="The value returned")},
)
HELLO = Request(
    "probes:hello",
    lambda _rng: {},
    seconds=3.0,
    deterministic=True,
    returns=lambda _given: {"text": Spec(scalars=(str,), most=100, what="The text returned")},
)


def twice(trial: Trial) -> Verdict:
    if trial.got.get("value") != trial.want["value"]:
        raise CheckFailed("The value returned is not twice x. Expected: 2 x.", diagnosis="not_twice")
    return Verdict(1.0, "Twice x was returned.")


def hello(trial: Trial) -> Verdict:
    return Verdict(1.0 if trial.got.get("text") == "hello" else 0.0, "hello() was called; expected: the text hello.")


ASSIGNMENT = Assignment(
    id="small",
    title="Small",
    questions=(
        Question("numbers", 1, "Numbers", ("answer.py",), (Check("numbers.twice", "twice", 2, TWICE, Exact(twice)),)),
        Question("words", 2, "Words", ("answer.py",), (Check("words.hello", "hello", 1, HELLO, Exact(hello)),)),
    ),
    probes="tests.small",
    reference=HERE / "reference",
    template=HERE / "template",
    solutions=(HERE / "solutions.cases",),
)
