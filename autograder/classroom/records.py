"""The result files of a class: one results.json for each submission, written by rename, which is all that must survive.

Everything else (gradebook, tables, report) is made from them, so a run that was killed goes on from what is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.classroom.jobs import Task
from autograder.output import gradescope

FOLDER = "results"
MAX_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Records:
    """The folder of results below `out`."""

    out: Path

    def path(self, upload: str) -> Path:
        return self.out / FOLDER / f"{upload}.json"

    def load(self, upload: str) -> dict[str, Any] | None:
        """What was recorded, or None where there is nothing that could be used."""
        try:
            path = self.path(upload)
            content = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_BYTES else None
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(content, dict) or not isinstance(content.get("extra_data"), dict):
            return None
        return content if isinstance(content.get("tests"), list) else None

    def save(self, upload: str, content: dict[str, Any]) -> None:
        gradescope.write(self.path(upload), content)


def holds(record: dict[str, Any] | None, task: Task, fingerprint: str, again: str = "") -> bool:
    """Whether a record is this grader's word on this very upload, so that it need not be graded anew.

    With `again`, the id of a run that was asked to grade anew, only what that run wrote holds. A fault of ours is
    always tried again.
    """
    if record is None:
        return False
    extra = record["extra_data"]
    others = extra.get("regraded", {})
    graders = [others[task.question]] if task.question in others else [extra.get("grader"), *others.values()]
    return (
        extra.get("upload") == fingerprint
        and all(grader == task.grader for grader in graders)
        and extra.get("outcome") != "grader error"
        and extra.get("runs") == task.runs
        and (not again or extra.get("again") == again)
    )


def merged(old: dict[str, Any], new: dict[str, Any], question: str) -> dict[str, Any]:
    """The old record with the tests of one question taken from the new one, in the old order.

    Where the grader has changed since, `regraded` names the questions that are the word of another one than `grader`,
    so that a later run grades the rest anew as well.
    """
    fresh = {test["extra_data"]["check"]: test for test in new["tests"]}
    others = [test for test in old["tests"] if test["tags"] != [question]]
    place = next((at for at, test in enumerate(old["tests"]) if test["tags"] == [question]), len(others))
    tests = [*others[:place], *fresh.values(), *others[place:]]
    score = round(sum(test.get("score", 0.0) for test in tests), 4)
    grader = old["extra_data"].get("grader")
    graders = {**old["extra_data"].get("regraded", {}), question: new["extra_data"]["grader"]}
    extra = {**new["extra_data"], "grader": grader, "regraded": {q: g for q, g in graders.items() if g != grader}}
    return {**new, "tests": tests, "score": score, "output": old["output"], "extra_data": extra}


def said_by(extra: dict[str, Any]) -> str:
    """Whose word a record is, for people: "1.2", or "1.2 (gan by 1.3)"."""
    others = ", ".join(f"{question} by {version}" for question, version in sorted(extra.get("regraded", {}).items()))
    return str(extra.get("grader", "")) + (f" ({others})" if others else "")
