"""results.json in Gradescope's format, written so that a kill at any moment leaves a valid file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder import storage
from autograder.core import Assignment, Result, Status
from autograder.text import clean

MAX_LOG = 4000
DID_NOT_FINISH = "Grading did not get as far as this check: it was stopped or ran out of time before it."
OUR_FAULT = "A fault in the grader, not in the submission, stopped the grading; please tell the course staff."


def document(
    assignment: Assignment,
    results: Sequence[Result],
    *,
    remarks: Sequence[str] = (),
    seconds: float = 0.0,
    isolation: str = "",
    reason: str = "",
    leaderboard: bool = False,
) -> dict[str, Any]:
    """The whole results.json as plain data. Checks without a result yet stand as not finished, with 0.

    Manual checks stand in it without score and status, which Gradescope shows as information.

    `reason` is the sentence for a submission that could not be graded at all. With `leaderboard` the figures that
    passing checks found are shown to the class, as Gradescope does it: by the names that students choose there.
    """
    known = {result.check.id: result for result in results}
    tests = []
    for question in assignment.questions:
        for index, check in enumerate(question.checks, 1):
            result = known.get(check.id)
            kind = " (for manual grading)" if check.manual else " (optional)" if question.optional else ""
            score = {
                "score": result.score if result else 0.0,
                "max_score": check.points,
                "status": "passed" if result and result.verdict.score == 1 else "failed",
            }
            test: dict[str, Any] = {
                "number": f"{question.number}.{index}",
                "name": f"{question.title}: {check.name}{kind}",
                **({} if check.manual else score),
                "output": result.verdict.message if result else reason or DID_NOT_FINISH,
                "output_format": "text",
                "tags": [question.id],
                "visibility": check.visibility,
                "extra_data": _extra(check.id, result),
            }
            tests.append(test)
    board = {
        "leaderboard": [
            {"name": name, "value": round(result.verdict.figures[name], 3), "order": order}
            for name, order in assignment.leaderboard.items()
            for result in results
            if result.verdict.score == 1 and name in result.verdict.figures
        ]
    }
    return {
        **(board if leaderboard else {}),
        "score": round(sum(test.get("score", 0.0) for test in tests), 4),
        "execution_time": round(seconds, 3),
        "output": "\n".join([*([reason] if reason else []), *remarks]) or "Everything was found and graded.",
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # students' prints may hold hidden inputs: for the staff only
        "extra_data": {
            "assignment": assignment.id,
            **({"for_the_staff": told} if (told := stopped(results)) else {}),
            "isolation": isolation,
            "complete": _complete(assignment, known),
        },
        "tests": tests,
    }


def stopped(results: Sequence[Result]) -> list[str]:
    """For the staff: the checks whose grading did not end as it should, those that earned nothing for it first."""
    kinds: dict[Status, str] = {
        "unjudgeable": "no points until a person has looked: what came back broke the judge",
        "grader error": "full points: a fault of ours",
    }
    return [
        f"{result.number} {result.check.name}: {told} ({clean(result.log, limit=300, line=True)})"
        for status, told in kinds.items()
        for result in results
        if result.status == status
    ]


def _complete(assignment: Assignment, known: dict[str, Result]) -> bool:
    return all(check.id in known for question in assignment.questions for check in question.checks)


RUNGS = ("definitions", "registrations", "statements", "whole run")
"""What was run of a notebook for a check, by Result.rung; see notebooks.Source.definitions."""


def _extra(check: str, result: Result | None) -> dict[str, Any]:
    extra: dict[str, Any] = {"check": check, "diagnoses": []}
    if result is not None:
        verdict = result.verdict
        extra |= {
            "status": result.status,
            "attempts": result.attempts,
            "seconds": round(result.seconds, 3),
            "diagnoses": [verdict.diagnosis] if verdict.diagnosis else [],
        }
        if verdict.p is not None and math.isfinite(verdict.p):  # JSON has no NaN
            extra["p"] = float(f"{verdict.p:.3g}")
        if verdict.used is not None and math.isfinite(verdict.used):
            extra["tolerance_used"] = float(f"{verdict.used:.3g}")
        if result.rung:  # more of the notebook was run than the definitions that a function needs
            extra["loaded"] = RUNGS[result.rung]
        if verdict.notes:
            extra["notes"] = list(verdict.notes)
    return extra


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes it as `storage.save` does: whoever reads `path` finds either the old or the new whole file."""
    storage.save(path, json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n")


def logs(results: Sequence[Result]) -> str:
    """What the student's code printed, per ask, for the staff's eyes."""
    seen: dict[str, str] = {}
    for result in results:
        if result.log:
            seen.setdefault(result.check.ask.name, f"[{result.number}] {clean(result.log, limit=MAX_LOG)}")
    return "\n".join(seen.values())
