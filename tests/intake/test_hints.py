"""Hints one after the other, if a course wants that: what each submission is told, through the front door."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autograder.core import Assignment, Result, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.intake import coursefile
from autograder.intake.chosen import Asked
from autograder.intake.course_command import described
from autograder.intake.late import STANDS, HandedIn
from autograder.intake.settings import Settings
from autograder.output import gradescope, terminal
from autograder.sandbox import confine
from tests import helpers
from tests.helpers import VAE, solved
from tests.intake.test_late import DUE

TEXT = "D is not right. It is D(q || p). Expected: the sum. Smallest example: p = [1] gave 2; expected 1."
EXAMPLE, NAMED = "**Smallest example:** p = `[1]`", "It is D(q"


def settings(text: str) -> Settings:
    return coursefile.parsed(text.encode())


def earlier(count: int, **more: Any) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"submission_time": (DUE - timedelta(hours=hour)).isoformat(), "score": 1.0, "results": {}} | more
        for hour in range(1, count + 1)
    )


def told(text: str, handed_in: HandedIn | None) -> dict[str, Any]:
    """The results.json of a submission that fails the first check."""
    own = settings(text)
    made: Assignment = own.applied(ASSIGNMENT)
    question = made.questions[0]
    result = Result(question, question.checks[0], Verdict(0.0, TEXT, "swapped"))
    return gradescope.document(made, [result], settings=own, handed_in=handed_in)


LOOKS = {
    "without the table": ("", HandedIn(DUE), (True, True)),
    "first": ("[hints]", HandedIn(DUE), (False, False)),
    "second": ("[hints]", HandedIn(DUE, previous=earlier(1)), (True, False)),
    "third": ("[hints]", HandedIn(DUE, previous=earlier(2)), (True, True)),
    "tenth": ("[hints]", HandedIn(DUE, previous=earlier(9)), (True, True)),
    "the grader failed before": ("[hints]", HandedIn(DUE, previous=earlier(1, autograder_error=True)), (False, False)),
    "stopped by the day's limit": (
        "[hints]",
        HandedIn(DUE, previous=earlier(2, results={"extra_data": {STANDS: True}})),
        (False, False),
    ),
    "odd records": ("[hints]", HandedIn(DUE, previous=({}, {"submission_time": 3})), (False, False)),
    "no time": ("[hints]", HandedIn(None), (True, True)),
    "on the staff's machine": ("[hints]", None, (True, True)),
    "other numbers": ("[hints]\nexample = 1\nmisconception = 5", HandedIn(DUE, previous=earlier(3)), (True, False)),
}


@pytest.mark.parametrize("name", LOOKS)
def test_each_submission_is_told_what_is_due(name: str) -> None:
    text, handed_in, expected = LOOKS[name]
    content = told(text, handed_in)
    test = content["tests"][0]
    assert test["output"].startswith("D is not right.") and "**Expected:** the sum." in test["output"]
    assert (EXAMPLE in test["output"], NAMED in test["output"]) == expected
    parts = test["extra_data"]["message"]
    assert ("example" in parts, "named" in parts) == expected, "nothing that is not due is in the file"
    assert ("Messages say more" in content["output"]) == (expected != (True, True))
    assert test["extra_data"]["diagnoses"] == ["swapped"], "scripts rely on it"


def test_the_result_says_which_hints_come_later() -> None:
    assert told("[hints]", HandedIn(DUE))["output"].endswith(
        "Messages say more with further submissions: the smallest example from submission 2 on and the name of a known "
        "mistake from submission 3 on. This is submission 1."
    )
    assert told("[hints]", HandedIn(DUE, previous=earlier(1)))["output"].endswith(
        "the name of a known mistake from submission 3 on. This is submission 2."
    )


def test_a_class_shows_all() -> None:
    own = settings("[hints]")
    made = own.applied(ASSIGNMENT)
    question = made.questions[0]
    result = Result(question, question.checks[0], Verdict(0.0, TEXT, "swapped"))
    content = gradescope.settled(gradescope.document(made, [result]), made, own, HandedIn(DUE))
    assert EXAMPLE in content["tests"][0]["output"] and NAMED in content["tests"][0]["output"]
    assert "Messages say more" not in content["output"]


def test_what_is_in_force_is_described() -> None:
    own = settings("[hints]\nmisconception = 4")
    lines = described(own, own.applied(ASSIGNMENT))
    assert (
        "Messages say more with further submissions: the smallest example from submission 2 on and the name of a known "
        "mistake from submission 4 on." in lines
    )
    assert own.digest != settings("").digest != settings("[hints]").digest


@pytest.mark.slow
@pytest.mark.sandbox
def test_hints_on_gradescope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gradescope's folders, its metadata, and a wrong KL term: the student's first and third submission."""
    monkeypatch.setattr(confine, "shield", lambda: None)  # it would be pytest that is shielded
    monkeypatch.setattr(terminal, "_close_to_others", lambda: None)
    monkeypatch.setattr(terminal, "GRADESCOPE", tmp_path)
    monkeypatch.setattr(terminal, "METADATA", tmp_path / "submission_metadata.json")
    wrong = (
        "_old = VAE.negative_elbo_bound\ndef bound(self, x):\n    n, k, r = _old(self, x)\n    return n + k, 2 * k, r\n"
    )
    files = solved(vae=wrong + "VAE.negative_elbo_bound = bound\n")
    assert VAE in files
    for name, data in files.items():
        path = tmp_path / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "results").mkdir()
    course = tmp_path / "course.toml"
    course.write_text("[hints]\n")
    for count, hints in ((0, False), (2, True)):
        metadata = {"created_at": DUE.isoformat(), "previous_submissions": earlier(count)}
        (tmp_path / "submission_metadata.json").write_text(json.dumps(metadata))
        status = terminal.grade(None, None, "autograder.hw11", Asked(only=("vae.bound.kl",), course=course))
        assert status == terminal.GRADED
        content = helpers.is_valid_results(tmp_path / "results" / "results.json")
        (test,) = content["tests"]
        assert test["output_format"] == "md" and "**Expected:**" in test["output"]
        assert ("**Smallest example:** " in test["output"]) == hints == ("factor 1/2 is missing" in test["output"])
        said = " ".join(capsys.readouterr().out.split())
        assert "Smallest example:" in said, "what is printed there is for the staff"
