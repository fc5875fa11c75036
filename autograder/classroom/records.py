"""The result files of a class: one results.json for each submission, written by rename, which is all that must survive.

Everything else (gradebook, tables, report) is made from them, so a run that was killed goes on from what is there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.classroom import byhand
from autograder.classroom.jobs import Task
from autograder.output import gradescope
from autograder.text import shown

FOLDER = "results"
FORMER = "results-former"
"""Where results go whose submissions are there no more, or under another id."""
MAX_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Records:
    """The folder of results below `out`."""

    out: Path

    def path(self, upload: str) -> Path:
        return self.out / FOLDER / f"{upload}.json"

    def load(self, upload: str) -> dict[str, Any] | None:
        """What was graded, without what people gave, or None where there is nothing that could be used."""
        try:
            path = self.path(upload)
            content = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_BYTES else None
        except (OSError, ValueError, RecursionError):
            return None
        return byhand.taken(content) if isinstance(content, dict) and _is_record(content) else None

    def stray(self, known: Collection[str]) -> list[Path]:
        """Result files of none of these ids, sorted."""
        return sorted(path for path in (self.out / FOLDER).glob("*.json") if path.stem not in known)

    def put_away(self, path: Path) -> Path:
        """Moves a result file out of the way, to where nothing is ever overwritten; returns its new place."""
        folder = self.out / FORMER
        folder.mkdir(exist_ok=True)
        places = itertools.chain([path.name], (f"{path.stem}.{count}{path.suffix}" for count in itertools.count(2)))
        target = next(folder / name for name in places if not (folder / name).exists())
        return path.rename(target)

    def save(self, upload: str, content: dict[str, Any]) -> None:
        gradescope.write(self.path(upload), content)


def _is_record(content: object) -> bool:
    """Whether all is there that is looked for in a record. One that was edited by hand may lack something."""
    if not isinstance(content, dict) or not isinstance(content.get("extra_data"), dict):
        return False
    tests = content.get("tests")
    return isinstance(tests, list) and all(
        isinstance(test, dict)
        and isinstance(test.get("extra_data"), dict)
        and isinstance(test["extra_data"].get("check"), str)
        and isinstance(test.get("tags"), list)
        and len(test["tags"]) > 0
        for test in tests
    )


def holds(record: dict[str, Any] | None, task: Task, fingerprint: str, again: str = "") -> bool:
    """Whether a record is this grader's word on this very upload, so that it need not be graded anew."""
    return not why(record, task, fingerprint, again)


def why(record: dict[str, Any] | None, task: Task, fingerprint: str, again: str = "") -> str:
    """Why an upload has to be graded, as people count such cases: "new", "changed since", ...; "" where it need not.

    With `again`, the id of a run that was asked to grade anew, only what that run wrote holds. A fault of ours is
    always tried again.
    """
    if record is None:
        return "new"
    extra = record["extra_data"]
    if extra.get("upload") != fingerprint:
        return "changed since"
    if extra.get("outcome") == "grader error":
        return "with a grader error before"
    if again and extra.get("again") != again:
        return "graded before"
    graders = {check: by for check, by in _graders(record).items() if not task.checks or check in task.checks}
    if extra.get("runs") != task.runs or not graders.keys() >= set(task.checks):
        return "graded for other checks before"
    return "" if set(graders.values()) <= {task.grader} and graders else "graded by another grader before"


def _graders(record: dict[str, Any]) -> dict[str, str]:
    """Whose word each check's result is."""
    extra = record["extra_data"]
    others, usual = extra.get("regraded", {}), str(extra.get("grader"))
    return {
        check: others.get(check) or others.get(_question(test), usual)
        for test in _checked(record)
        for check in _ids(test)
    }


def _checked(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries that are about checks; the others say what a course's settings made of the points."""
    return [test for test in record["tests"] if test["tags"] != [gradescope.COURSE]]


def _ids(test: dict[str, Any]) -> tuple[str, ...]:
    """The check that an entry is about, or the checks, where their files are not in the upload."""
    extra = test["extra_data"]
    return tuple(extra["checks"]) if isinstance(extra.get("checks"), dict) else (extra["check"],)


def _question(test: dict[str, Any]) -> str:
    return str(test["tags"][0])


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old record with the tests that the new one has taken from there, in the old order.

    Where the grader has changed since, `regraded` names the questions, or the single checks, that are the word of
    another one than `grader`, so that a later run grades the rest anew as well.
    """
    tests = _merged(_checked(old), _checked(new))
    score = round(sum(test.get("score", 0.0) for test in tests), 4)
    grader = str(old["extra_data"].get("grader"))
    graders = {**_graders(old), **dict.fromkeys(_graders(new), str(new["extra_data"]["grader"]))}
    extra = {**new["extra_data"], "grader": grader, "regraded": _others(tests, graders, grader)}
    extra |= {"said": old["extra_data"]["said"]} if "said" in old["extra_data"] else {}
    return {**new, "tests": tests, "score": score, "output": old["output"], "extra_data": extra}


def _merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of both, the new ones in the places of the old.

    A line for what is not in the upload stays if a new one says so of no more checks than it does.
    """
    fresh = {check: test for test in new for check in _ids(test)}
    tests: list[dict[str, Any]] = []
    placed = set[int]()
    for test in old:
        mine = {id(fresh[check]): fresh[check] for check in _ids(test) if check in fresh}
        is_line = "checks" in test["extra_data"]
        if not mine or (
            is_line
            and all("checks" in one["extra_data"] and set(_ids(one)) <= set(_ids(test)) for one in mine.values())
        ):
            tests.append(test)
        else:
            first = [one for place, one in mine.items() if place not in placed]
            # A check keeps its number: of a part, checks are counted anew.
            tests += [one if is_line or "checks" in one["extra_data"] else _numbered(one, test) for one in first]
            tests += _without(test, fresh) if is_line else []
        placed.update(mine)
    return [*tests, *(test for test in new if id(test) not in placed)]


def _numbered(test: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    return {**test, "number": like["number"]} if "number" in like else test


def _without(line: dict[str, Any], checks: Collection[str]) -> list[dict[str, Any]]:
    """A line for what is not in the upload without some of its checks; none where it has no other."""
    left = {check: points for check, points in line["extra_data"]["checks"].items() if check not in checks}
    if not left:
        return []
    most = round(sum(points or 0.0 for points in left.values()), 10)
    extra = {**line["extra_data"], "checks": left}
    told = f"{line['output'].rpartition(': 0 of ')[0]}: 0 of {shown(most)}."
    if "message" in extra:
        extra["message"] = {"found": f"{extra['message']['found'].rpartition(': 0 of ')[0]}: 0 of {shown(most)}."}
    return [{**line, "max_score": most, "output": told, "extra_data": extra}]


def _others(tests: list[dict[str, Any]], graders: dict[str, str], usual: str) -> dict[str, str]:
    """Who else had a word: by question where it is one's in whole, else by check."""
    found: dict[str, str] = {}
    for question in dict.fromkeys(map(_question, tests)):
        own = {check: graders[check] for test in tests if _question(test) == question for check in _ids(test)}
        found |= {question: next(iter(own.values()))} if len(set(own.values())) == 1 else own
    return {name: grader for name, grader in found.items() if grader != usual}


def said_by(extra: dict[str, Any]) -> str:
    """Whose word a record is, for people: "1.2", or "1.2 (gan by 1.3)"."""
    others = ", ".join(f"{name} by {version}" for name, version in sorted(extra.get("regraded", {}).items()))
    return str(extra.get("grader", "")) + (f" ({others})" if others else "")
