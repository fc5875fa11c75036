"""Where the draw decides: right solutions on fresh inputs of every exact check, and sound methods one by one.

An exact check has no alpha and no second look, and an upload keeps its draw for ever. So no draw may be such that a
right answer, or a sound way to find one, fails. A homework says in its module `audit/draws.py` how often each right
solution of a file is graded (`ROUNDS`), which methods are tried (`METHODS`, by `tried`), what is measured beside them
(`STUDIES`, by `studied`), and which numbers are chosen and not derived (`CHOSEN`).
"""

from __future__ import annotations

import ast
import importlib
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, parallel
from autograder.audit.falsefails import at_most
from autograder.audit.journal import Journal, Key
from autograder.audit.section import Promise, Section, Table, Tell, nobody
from autograder.audit.solutions import Solution
from autograder.core import Assignment

DRAWS = 100
"""Draws for each method: the targets that are fixed come up in all their forms, and those that are drawn as often."""


@dataclass(frozen=True)
class Method:
    """A way to find what is asked for: a solution, the name of the students' own check, and whether it must work.

    One that is not `sound` may fail, but then always: the students' own check must refuse it before it is handed in.
    """

    solution: Solution
    check: str
    sound: bool


@dataclass(frozen=True)
class Tally:
    """A right solution's gradings by the exact checks with drawn inputs: how many failed any of them."""

    solution: str
    checks: int
    gradings: int
    failed: Mapping[str, int]
    used: float
    cpu: float


@dataclass(frozen=True)
class Tried:
    """What came of a method: `refused` is the sentence of the students' own check, "" where it was content.

    `failed` of `draws` failed; `used` is the largest share of what is allowed in the others.
    """

    method: str
    sound: bool
    refused: str
    draws: int
    failed: int
    used: float

    @property
    def fair(self) -> bool:
        """Whether no draw decides: who passes the students' own check passes always, and a sound method passes both."""
        return self.failed == 0 and not self.refused if self.sound else bool(self.refused) or self.failed == 0


@dataclass(frozen=True)
class Study:
    """Something else that was measured over many seeds: what, what must hold, how many, how many did not."""

    what: str
    mark: str
    seeds: int
    failed: int
    worst: str


@dataclass(frozen=True)
class Found:
    right: tuple[Tally, ...]
    methods: tuple[Tried, ...]
    studies: tuple[Study, ...]
    chosen: tuple[tuple[str, str, str], ...]


# ---------------------------------------------------------------------------------------- what is graded


def exact(assignment: Assignment) -> frozenset[str]:
    """The ids of the checks without an alpha whose inputs are drawn."""
    checks = (check for question in assignment.questions for check in question.checks)
    return frozenset(c.id for c in checks if not c.judge.alpha and not c.ask.fixed and not c.manual)


@lru_cache(maxsize=4096)
def _defined(solution: Solution) -> frozenset[str]:
    return frozenset(getattr(node, "name", "") for node in ast.parse(solution.source).body)


def concerned(assignment: Assignment, wrong: Sequence[Solution], right: Solution) -> frozenset[str]:
    """The exact checks with drawn inputs that a change of the same definitions can fail, as mistakes show."""
    own = _defined(right)
    caught = {c for one in wrong if one.file == right.file and _defined(one) & own for c in one.fails}
    return frozenset(caught & exact(assignment))


def graded(homework: str, solution: Solution, checks: Collection[str], times: int, salt: str) -> dict[str, Any]:
    """Many gradings of one right solution by these checks: a row of the journal."""
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    judged = bank.terse(bank.only(bank.of(assignment, solution), checks))
    failed: Counter[str] = Counter()
    used, begun = 0.0, time.process_time()
    with bank.submitted(solution, judged) as received:
        for number in range(times):
            outcome = bank.outcome(received, judged, salt=f"{salt}{number}")
            failed.update(outcome.failed)
            used = max([used, *(result.verdict.used or 0.0 for result in outcome.results)])
    return {"failed": dict(failed), "used": used, "cpu": time.process_time() - begun}


def tried(homework: str, method: Method, draws: int) -> dict[str, Any]:
    """A method's row of the journal: `refused`, `failed`, `used`."""
    row: dict[str, Any] = importlib.import_module(f"{homework}.audit.draws").tried(method, draws)
    return row


def studied(homework: str, name: str, seeds: int) -> dict[str, Any]:
    """A study's row of the journal: `failed`, `worst`."""
    row: dict[str, Any] = importlib.import_module(f"{homework}.audit.draws").studied(name, seeds)
    return row


def measured(homework: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades the right solutions and tries the methods; goes on from the journal in `out`.

    With `every` > 1 each `every`-th solution and method is taken, an `every`-th as often.
    """
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    known = casefiles.bank_of(assignment)
    room = importlib.import_module(f"{homework}.audit.draws")
    journal, grader = Journal(out / "draws.jsonl"), version.of(assignment)

    right: list[tuple[Solution, frozenset[str], int]] = []
    for solution in known.right[::every]:
        checks, times = concerned(assignment, known.wrong, solution), room.ROUNDS.get(solution.file, 0)
        if checks and times:
            right.append((solution, checks, max(1, times // every)))
    methods: Sequence[Method] = room.METHODS[::every]
    draws = max(2, DRAWS // every)
    studies = {
        name: max(2, seeds // every) for name, (_, _, seeds) in list(room.STUDIES.items())[:: max(1, every // 4)]
    }

    first: dict[Key, tuple[Any, ...]] = {
        ("right", v.id, v.code, ",".join(sorted(checks)), str(times), grader): (homework, v, checks, times, "draws")
        for v, checks, times in right
    }
    second: dict[Key, tuple[Any, ...]] = {
        ("method", one.solution.id, one.solution.code, str(draws), grader): (homework, one, draws) for one in methods
    }
    third: dict[Key, tuple[Any, ...]] = {
        ("study", name, str(seeds), grader): (homework, name, seeds) for name, seeds in studies.items()
    }
    total, done = len(first) + len(second) + len(third), 0
    rows: list[list[dict[str, Any]]] = []
    for function, work in ((graded, first), (tried, second), (studied, third)):
        rows.append(parallel.kept(journal, function, work, jobs, _beside(tell, done, total)))
        done += len(work)
    return Found(
        tuple(
            Tally(v.id, len(checks), times, row["failed"], row["used"], row["cpu"])
            for (v, checks, times), row in zip(right, rows[0], strict=True)
        ),
        tuple(
            Tried(one.solution.about, one.sound, row["refused"], draws, row["failed"], row["used"])
            for one, row in zip(methods, rows[1], strict=True)
        ),
        tuple(
            Study(room.STUDIES[name][0], room.STUDIES[name][1], seeds, row["failed"], row["worst"])
            for (name, seeds), row in zip(studies.items(), rows[2], strict=True)
        ),
        tuple(room.CHOSEN),
    )


def _beside(tell: Tell, before: int, total: int) -> Tell:
    """Tells of a piece of work that comes behind others."""
    return lambda done, _of: tell(before + done, total)


# ------------------------------------------------------------------------------------------ the report


def section(found: Found) -> Section:
    """What was promised of draws, and the tables."""
    gradings = sum(one.gradings for one in found.right)
    failed = [one.solution for one in found.right if one.failed]
    sound = [one for one in found.methods if one.sound]
    weak = [one.method for one in sound if not one.fair]
    lucky = [one.method for one in found.methods if not one.refused and one.failed]
    lost = [one.what for one in found.studies if one.failed]
    trials = sum(one.draws for one in found.methods)
    bound = f"; at most {at_most(0, gradings):.2g} of all are (95 %)" if gradings and not failed else ""
    promises = (
        Promise(
            "no right solution fails an exact check by its draw",
            f"{len(failed)} of {len(found.right)} right solutions, in {gradings:,} gradings{bound}"
            + (f": {', '.join(failed)}" if failed else ""),
            not failed,
        ),
        Promise(
            "every sound method passes the students' own check and every draw",
            f"{len(sound) - len(weak)} of {len(sound)}" + (f": not {', '.join(weak)}" if weak else ""),
            not weak,
        ),
        Promise(
            "no method passes the students' own check and fails by its draw",
            f"{len(lucky)} of {len(found.methods)} in {trials:,} draws" + (f": {', '.join(lucky)}" if lucky else ""),
            not lucky,
        ),
        Promise(
            "marks of trained networks are reached whatever the seed",
            f"{len(found.studies) - len(lost)} of {len(found.studies)} kinds"
            + (f": not {', '.join(lost)}" if lost else ""),
            not lost,
        ),
    )
    order = sorted(found.methods, key=lambda one: (one.fair, not one.sound))
    methods = Table(
        "Sound methods by draw, and methods that the students' own check refuses",
        ("method", "sound", "the students' own check", "draws", "failed", "share of what is allowed"),
        tuple(
            (
                one.method,
                "yes" if one.sound else "no",
                "refuses it" if one.refused else "passes",
                *(one.draws, one.failed, f"{one.used:.1g}"),
            )
            for one in order
        ),
        folded=True,
    )
    studies = Table(
        "Marks of trained networks over seeds",
        ("what", "mark", "seeds", "failed", "worst"),
        tuple((one.what, one.mark, one.seeds, one.failed, one.worst) for one in found.studies),
    )
    right = Table(
        "Right solutions on fresh inputs of the exact checks",
        ("solution", "checks", "gradings", "failed", "share of a bound", "CPU seconds"),
        tuple(
            (one.solution, one.checks, one.gradings, sum(one.failed.values()), f"{one.used:.1g}", one.cpu)
            for one in found.right
        ),
        folded=True,
    )
    chosen = Table("Numbers that are chosen, not derived", ("number", "value", "rests on"), found.chosen)
    return Section(
        "draws",
        "Draws",
        "An exact check asks once, and an upload keeps its draw. So every right solution is graded with fresh inputs "
        "again and again, and numerical methods are tried on whatever can be drawn: each must always work, or be "
        "refused by the check that students run themselves.",
        promises,
        (methods, studies, right, chosen),
    )
