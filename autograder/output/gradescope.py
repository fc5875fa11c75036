"""results.json in Gradescope's format, written so that a kill at any moment leaves a valid file."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder import storage
from autograder.core import Assignment, Check, Question, Result, Status, Visibility
from autograder.intake.late import STANDS, HandedIn, Standing
from autograder.message import Message
from autograder.output.markdown import markdown
from autograder.text import clean, shown

if TYPE_CHECKING:  # at run time only where a course.toml is: pydantic takes a moment
    from autograder.intake.settings import Look, Settings

MAX_LOG = 4000
DID_NOT_FINISH = "The grading stopped or ran out of time before it reached this check."
OUR_FAULT = "The grading stopped because of a fault in the grader, not in the submission. Please tell the course staff."


def document(
    assignment: Assignment,
    results: Sequence[Result],
    *,
    remarks: Sequence[str] = (),
    seconds: float = 0.0,
    isolation: str = "",
    reason: str = "",
    leaderboard: bool = False,
    absent: Collection[str] = (),
    settings: Settings | None = None,
    handed_in: HandedIn | None = None,
) -> dict[str, Any]:
    """The whole results.json as plain data. Checks without a result yet stand as not finished, with 0.

    Manual checks stand in it without score and status, which Gradescope shows as information. The checks of a question
    whose files are among `absent` stand in it as one entry, under the question's number; see `Question.missing`.

    `reason` is the sentence for a submission that could not be graded at all. With `leaderboard` the figures that
    passing checks found are shown to the class, as Gradescope does it: by the names that students choose there.
    With a course's `settings` the score is what these make of the points; see `settled`. If they hand hints out one
    after the other, messages hold what the submission `handed_in` is told.
    """
    known = {result.check.id: result for result in results}
    said = [*([reason] if reason else []), *remarks]
    ladder = settings.ladder(handed_in) if settings is not None and handed_in is not None else ""
    look = settings.look(handed_in) if settings is not None and handed_in is not None else None
    tests = []
    for question in assignment.questions:
        missing = question.missing(absent)
        for number, check in question.numbered:
            if check in missing:
                if check is missing[0]:
                    tests.append(_missing(question, missing, graded=not reason))
                continue
            result = known.get(check.id)
            kind = " (for manual grading)" if check.manual else " (optional)" if question.optional else ""
            score = {
                "score": result.score if result else 0.0,
                "max_score": check.points,
                "status": "passed" if result and result.verdict.score == 1 else "failed",
            }
            message = _told(result, reason, look)
            test: dict[str, Any] = {
                "number": number,
                "name": f"{question.title}: {check.name}{kind}",
                **({} if check.manual else score),
                **(_plainly(result.verdict.message) if check.manual and result else _worded(message)),
                "tags": [question.id],
                "visibility": check.visibility,
                "extra_data": _extra(check.id, result),
            }
            if result is None or not check.manual:
                test["extra_data"]["message"] = message.plain()
            tests.append(test)
    board = {
        "leaderboard": [
            {"name": name, "value": round(result.verdict.figures[name], 3), "order": order}
            for name, order in assignment.leaderboard.items()
            for result in results
            if result.verdict.score == 1 and name in result.verdict.figures
        ]
    }
    content = {
        **(board if leaderboard else {}),
        "score": round(sum(test.get("score", 0.0) for test in tests), 4),
        "execution_time": round(seconds, 3),
        "output": "\n".join(filter(None, [*(said or ["All files were found and graded."]), ladder])),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # students' prints may hold hidden inputs: for the staff only
        "extra_data": {
            "assignment": assignment.id,
            **({"for_the_staff": told} if (told := stopped(results)) else {}),
            "isolation": isolation,
            "complete": _complete(assignment, known, () if reason else absent),
        },
        "tests": tests,
    }
    return content if settings is None else settled(content, assignment, settings, handed_in)


def _told(result: Result | None, reason: str, look: Look | None) -> Message:
    """What the student is told of a check, by the hints that are due."""
    message = result.told if result is not None else Message(reason or DID_NOT_FINISH)
    return message if look is None else look(message)


def _worded(message: Message) -> dict[str, Any]:
    return {"output": markdown(message), "output_format": "md"}


def _plainly(text: str) -> dict[str, Any]:
    return {"output": text, "output_format": "text"}


def _missing(question: Question, checks: Sequence[Check], *, graded: bool) -> dict[str, Any]:
    """The one entry of checks that are about files that are not there; `extra_data.checks` holds their points by id.

    It is seen when the least visible of them is, so that it tells nothing earlier than they would.
    """
    line = Message(missing_line(question, checks))
    return {
        "number": str(question.number),
        "name": f"{question.title}: not in the upload{' (optional)' if question.optional else ''}",
        "score": 0.0,
        "max_score": points_of(checks),
        "status": "failed",
        **_worded(line),
        "tags": [question.id],
        "visibility": max((check.visibility for check in checks), key=VISIBILITIES.index),
        "extra_data": {
            "check": question.id,
            "checks": {check.id: None if check.manual else check.points for check in checks},
            "diagnoses": ["missing"],
            "message": line.plain(),
            **({"status": "graded"} if graded else {}),
        },
    }


VISIBILITIES: tuple[Visibility, ...] = ("visible", "after_due_date", "after_published", "hidden")


def points_of(checks: Sequence[Check]) -> float:
    return round(sum(check.points for check in checks), 10)


def missing_line(question: Question, checks: Sequence[Check]) -> str:
    """ "comparing_distributions.ipynb is not in the upload: 0 of 7."""
    first, *others = dict.fromkeys(file for check in checks for file in question.needs(check))
    listed = f"{', '.join(others[:-1])} and {others[-1]}" if len(others) > 1 else "".join(others)
    nor = f", nor {'are' if len(others) > 1 else 'is'} {listed}" if others else ""
    return f"{first} is not in the upload{nor}: 0 of {shown(points_of(checks))}."


# ------------------------------------------------------------------------------ a course's settings

COURSE = "course"
"""The tag of entries that are no checks: what a course's settings made of the points."""


def settled(
    content: dict[str, Any], assignment: Assignment, settings: Settings, handed_in: HandedIn | None = None
) -> dict[str, Any]:
    """The results.json with what the course's settings make of it: its score, the entries that say why, the top line.

    Settling anew gives the same. Students read sums only where all checks are visible to them. The entries have no
    score: Gradescope takes the one at the top in place of the sum.
    """
    tests = [test for test in content["tests"] if COURSE not in test["tags"]]
    tally = settings.tally(assignment, scores(tests), handed_in or HandedIn())
    open_to_all = all(test["visibility"] == "visible" for test in tests)
    extra = f", and {shown(tally.optional)} of {shown(assignment.extra)} optional" if assignment.extra else ""
    sums = f"{shown(tally.required)} of {shown(assignment.points)} points{extra}"
    added = []
    if assignment.extra and tally.counted != tally.optional:
        counted = f"{shown(tally.counted)} of the {shown(tally.optional)} optional points count." if open_to_all else ""
        rules = {
            "no": "Points for optional questions are shown and do not count.",
            "capped": f"With optional points the score is at most {shown(assignment.points)}.",
            "beside": "",
        }
        most = settings.course.optional.most
        limit = "" if most is None else f"At most {shown(most)} optional points count."
        told = " ".join(filter(None, (rules[settings.course.optional.count], limit, counted)))
        added.append(_entry("optional", "Optional questions", told))
    if tally.lateness is not None and handed_in is not None:
        told = tally.lateness.told
        if tally.lateness.kept < 1 and open_to_all:
            told += f" Before: {shown(tally.before)} points. Now: {shown(tally.score)}."
        added.append(_entry("late", "Time of submission", told))
    top = [settings.course.words.top, sums if open_to_all else ""]
    said = content["extra_data"].get("said", content["output"])
    points = {
        **{name: getattr(tally, name) for name in ("required", "optional", "counted", "before", "score")},
        "late": round(tally.score - tally.before, 4),
        # For points that people give later, on which the same rules are put.
        "kept": tally.lateness.kept if tally.lateness is not None else 1.0,
        "count": settings.course.optional.count,
        "most": settings.course.optional.most,
    }
    return {
        **content,
        "score": tally.score,
        "output": "\n".join([*filter(None, top), said]),
        "extra_data": {**content["extra_data"], "said": said, "settings": settings.digest, "points": points},
        "tests": [*tests, *added],
    }


def _entry(name: str, title: str, told: str) -> dict[str, Any]:
    """An entry that only informs: without points."""
    return {
        "name": title,
        **_plainly(told),
        "tags": [COURSE],
        "visibility": "visible",
        "extra_data": {"check": f"{COURSE}.{name}", "diagnoses": []},
    }


def scores(tests: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The points of a results.json by the ids of the checks."""
    return {test["extra_data"]["check"]: test["score"] for test in tests if "score" in test}


def standing(assignment: Assignment, kept: Standing, settings: Settings) -> dict[str, Any]:
    """The results.json of a submission that is not graded: the score and the entries of the one that stands."""
    content = document(assignment, [])
    tests = [test for test in kept.tests if set(test) <= KEYS and isinstance(test.get("tags"), list)]
    board = [entry for entry in kept.board if {"name", "value"} <= set(entry) <= {"name", "value", "order"}]
    top = settings.course.words.top
    return {
        **({"leaderboard": board} if board else {}),
        **content,
        "score": kept.score,
        "output": "\n".join(filter(None, (kept.told, top))),
        "extra_data": {**content["extra_data"], "settings": settings.digest, STANDS: True, "complete": False},
        "tests": tests,
    }


KEYS = frozenset(
    ("number", "name", "score", "max_score", "status", "output", "output_format", "tags", "visibility", "extra_data")
)
"""Of an entry of ours."""


def stopped(results: Sequence[Result]) -> list[str]:
    """For the staff: the checks whose grading did not end as it should, those that earned nothing for it first."""
    kinds: dict[Status, str] = {
        "unjudgeable": "no points until a person has looked: the returned values broke the judge",
        "grader error": "full points: a fault of the grader",
    }
    return [
        f"{result.number} {result.check.name}: {told} ({clean(result.log, limit=300, line=True)})"
        for status, told in kinds.items()
        for result in results
        if result.status == status
    ]


def _complete(assignment: Assignment, known: dict[str, Result], absent: Collection[str]) -> bool:
    return all(
        check.id in known or check in question.missing(absent)
        for question in assignment.questions
        for check in question.checks
    )


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
        if verdict.tolerance_used is not None and math.isfinite(verdict.tolerance_used):
            extra["tolerance_used"] = float(f"{verdict.tolerance_used:.3g}")
        if result.rung:  # more of the notebook was run than the definitions that a function needs
            extra["loaded"] = RUNGS[result.rung]
        if verdict.notes:
            extra["notes"] = list(verdict.notes)
    return extra


def message_of(test: dict[str, Any]) -> Message:
    """The message of an entry in its parts; of an entry of an earlier version, or of an answer, all of it as one."""
    return Message.read(test["extra_data"].get("message"), test["output"])


def write(path: Path, content: dict[str, Any], *, links: bool = True) -> None:
    """Writes it as `storage.save` does: whoever reads `path` finds either the old or the new whole file."""
    storage.save(path, json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n", links=links)


def logs(results: Sequence[Result]) -> str:
    """What the student's code printed, per ask, for the staff's eyes."""
    seen: dict[str, str] = {}
    for result in results:
        if result.log:
            seen.setdefault(result.check.request.name, f"[{result.number}] {clean(result.log, limit=MAX_LOG)}")
    return "\n".join(seen.values())
