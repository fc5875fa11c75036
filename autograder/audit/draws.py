"""Where the draw decides: right solutions on fresh inputs of every exact check, and sound methods one by one.

An exact check has no alpha and no second look, and an upload keeps its draw for ever. So no draw may be such that a
right answer, or a sound way to find one, fails. What is tried a homework tells by a `homework.Draws`.
"""

from __future__ import annotations

import ast
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, homework, parallel
from autograder.audit.falsefails import at_most
from autograder.audit.homework import Method
from autograder.audit.journal import Journal, Key
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, but, nobody
from autograder.audit.solutions import Solution
from autograder.core import Assignment

DRAWS = 100
"""Draws for each method: the targets that are fixed come up in all their forms, and those that are drawn as often."""


@dataclass(frozen=True)
class DrawTally:
    """A right solution's gradings by the exact checks with drawn inputs: how many failed any of them."""

    solution: str
    checks: int
    gradings: int
    failed: Mapping[str, int]
    tolerance_used: float
    cpu: float


@dataclass(frozen=True)
class TriedMethod:
    """What came of a method: `refused` is the sentence of the students' own check, "" where it was content.

    `failed` of `draws` failed; `tolerance_used` is the largest share of what is allowed in the others.
    """

    method: str
    sound: bool
    refused: str
    draws: int
    failed: int
    tolerance_used: float

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
    right: tuple[DrawTally, ...]
    methods: tuple[TriedMethod, ...]
    studies: tuple[Study, ...]
    chosen: tuple[tuple[str, str, str], ...]

    @property
    def gradings(self) -> int:
        return sum(one.gradings for one in self.right)

    @property
    def failed(self) -> list[str]:
        """Right solutions that failed an exact check."""
        return [one.solution for one in self.right if one.failed]

    @property
    def sound(self) -> list[TriedMethod]:
        return [one for one in self.methods if one.sound]

    @property
    def weak(self) -> list[str]:
        """Sound methods that a draw, or the students' own check, fails."""
        return [one.method for one in self.sound if not one.fair]

    @property
    def lucky(self) -> list[str]:
        """Methods that pass the students' own check and fail by their draw."""
        return [one.method for one in self.methods if not one.refused and one.failed]

    @property
    def lost(self) -> list[str]:
        """Studies in which a mark was missed."""
        return [one.what for one in self.studies if one.failed]


# ---------------------------------------------------------------------------------------- what is graded


def exact(assignment: Assignment) -> frozenset[str]:
    """The ids of the checks without an alpha whose inputs are drawn."""
    checks = (check for question in assignment.questions for check in question.checks)
    return frozenset(c.id for c in checks if not c.judge.alpha and not c.request.deterministic and not c.manual)


@lru_cache(maxsize=4096)
def _defined(solution: Solution) -> frozenset[str]:
    return frozenset(getattr(node, "name", "") for node in ast.parse(solution.source).body)


def concerned(assignment: Assignment, wrong: Sequence[Solution], right: Solution) -> frozenset[str]:
    """The exact checks with drawn inputs that a change of the same definitions can fail, as mistakes show."""
    own = _defined(right)
    caught = {c for one in wrong if one.file == right.file and _defined(one) & own for c in one.fails}
    return frozenset(caught & exact(assignment))


def graded(package: str, solution: Solution, checks: Collection[str], times: int, salt: str) -> dict[str, Any]:
    """Many gradings of one right solution by these checks: a row of the journal."""
    assignment = homework.load(package)
    judged = bank.terse(bank.only(bank.of(assignment, solution), checks))
    failed: Counter[str] = Counter()
    used, begun = 0.0, time.process_time()
    with bank.submitted(solution, judged) as received:
        for number in range(times):
            outcome = bank.outcome(received, judged, salt=f"{salt}{number}")
            failed.update(outcome.failed)
            used = max([used, *(result.verdict.tolerance_used or 0.0 for result in outcome.results)])
    return {"failed": dict(failed), "used": used, "cpu": time.process_time() - begun}


def tried(package: str, method: Method, draws: int) -> dict[str, Any]:
    """A method's row of the journal: `refused`, `failed`, `tolerance_used`."""
    return dict(homework.of(homework.load(package)).draws.tried(method, draws))


def studied(package: str, name: str, seeds: int) -> dict[str, Any]:
    """A study's row of the journal: `failed`, `worst`."""
    return dict(homework.of(homework.load(package)).draws.studies[name].measured(seeds))


def lacks(assignment: Assignment) -> str:
    """Why there is nothing to try, "" if there is."""
    return "" if exact(assignment) else "the homework has no exact check whose inputs are drawn."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades the right solutions and tries the methods; goes on from the journal in `out`.

    With `every` > 1 each `every`-th solution and method is taken, an `every`-th as often.
    """
    assignment = homework.load(package)
    known, given = casefiles.bank_of(assignment), homework.of(assignment).draws
    journal, grader = Journal(out / "draws.jsonl"), version.of(assignment)

    right: list[tuple[Solution, frozenset[str], int]] = []
    for solution in known.right[::every]:
        checks = concerned(assignment, known.wrong, solution)
        times = given.rounds.get(solution.file, given.usual_rounds)
        if checks and times:
            right.append((solution, checks, max(1, times // every)))
    methods = given.methods[::every]
    draws = max(2, DRAWS // every)
    plans = list(given.studies.items())[:: max(1, every // 4)]
    studies = {name: max(2, plan.seeds // every) for name, plan in plans}

    first: dict[Key, tuple[Any, ...]] = {
        ("right", v.id, v.code, ",".join(sorted(checks)), str(times), grader): (package, v, checks, times, "draws")
        for v, checks, times in right
    }
    second: dict[Key, tuple[Any, ...]] = {
        ("method", one.solution.id, one.solution.code, str(draws), grader): (package, one, draws) for one in methods
    }
    third: dict[Key, tuple[Any, ...]] = {
        ("study", name, str(seeds), grader): (package, name, seeds) for name, seeds in studies.items()
    }
    total, done = len(first) + len(second) + len(third), 0
    rows: list[list[dict[str, Any]]] = []
    for function, work in ((graded, first), (tried, second), (studied, third)):
        rows.append(parallel.kept(journal, function, work, jobs, _beside(tell, done, total)))
        done += len(work)
    return Found(
        tuple(
            DrawTally(v.id, len(checks), times, row["failed"], row["used"], row["cpu"])
            for (v, checks, times), row in zip(right, rows[0], strict=True)
        ),
        tuple(
            TriedMethod(one.solution.about, one.sound, row["refused"], draws, row["failed"], row["used"])
            for one, row in zip(methods, rows[1], strict=True)
        ),
        tuple(
            Study(given.studies[name].what, given.studies[name].mark, seeds, row["failed"], row["worst"])
            for (name, seeds), row in zip(studies.items(), rows[2], strict=True)
        ),
        given.chosen,
    )


def _beside(tell: Tell, before: int, total: int) -> Tell:
    """Tells of a piece of work that comes behind others."""
    return lambda done, _of: tell(before + done, total)


# ------------------------------------------------------------------------------------------ the report


def _bound(found: Found) -> str:
    """What is proved by none that failed."""
    if found.failed or not found.gradings:
        return ""
    return f"; at most {at_most(0, found.gradings):.2g} of all are (95 %)"


def _named(names: Sequence[str]) -> str:
    return f": {', '.join(names)}" if names else ""


FORM = SectionForm[Found](
    "draws",
    "Draws",
    "An exact check asks once, and an upload keeps its draw. So every right solution is graded with fresh inputs "
    "again and again, and numerical methods are tried on whatever can be drawn: each must always work, or be "
    "refused by the check that students run themselves.",
    (
        Claim[Found](
            "no right solution fails an exact check by its draw",
            lambda found: (
                f"{len(found.failed)} of {len(found.right)} right solutions, in {found.gradings:,} gradings"
                f"{_bound(found)}{_named(found.failed)}"
            ),
            lambda found: not found.failed,
        ),
        Claim[Found](
            "every sound method passes the students' own check and every draw",
            lambda found: but(len(found.sound) - len(found.weak), len(found.sound), found.weak),
            lambda found: not found.weak,
            when=lambda found: found.sound,
        ),
        Claim[Found](
            "no method passes the students' own check and fails by its draw",
            lambda found: (
                f"{len(found.lucky)} of {len(found.methods)} in {sum(one.draws for one in found.methods):,} draws"
                f"{_named(found.lucky)}"
            ),
            lambda found: not found.lucky,
            when=lambda found: found.methods,
        ),
        Claim[Found](
            "marks of trained networks are reached whatever the seed",
            lambda found: f"{but(len(found.studies) - len(found.lost), len(found.studies), found.lost)} kinds",
            lambda found: not found.lost,
            when=lambda found: found.studies,
        ),
    ),
    (
        TableForm[Found](
            "Sound methods by draw, and methods that the students' own check refuses",
            lambda found: sorted(found.methods, key=lambda one: (one.fair, not one.sound)),
            {
                "method": lambda one: one.method,
                "sound": lambda one: "yes" if one.sound else "no",
                "the students' own check": lambda one: "refuses it" if one.refused else "passes",
                "draws": lambda one: one.draws,
                "failed": lambda one: one.failed,
                "share of what is allowed": lambda one: f"{one.tolerance_used:.1g}",
            },
            folded=True,
        ),
        TableForm[Found](
            "Marks of trained networks over seeds",
            lambda found: found.studies,
            {
                "what": lambda one: one.what,
                "mark": lambda one: one.mark,
                "seeds": lambda one: one.seeds,
                "failed": lambda one: one.failed,
                "worst": lambda one: one.worst,
            },
        ),
        TableForm[Found](
            "Right solutions on fresh inputs of the exact checks",
            lambda found: found.right,
            {
                "solution": lambda one: one.solution,
                "checks": lambda one: one.checks,
                "gradings": lambda one: one.gradings,
                "failed": lambda one: sum(one.failed.values()),
                "share of a bound": lambda one: f"{one.tolerance_used:.1g}",
                "CPU seconds": lambda one: one.cpu,
            },
            folded=True,
        ),
        TableForm[Found](
            "Numbers that are chosen, not derived",
            lambda found: found.chosen,
            {"number": lambda row: row[0], "value": lambda row: row[1], "rests on": lambda row: row[2]},
        ),
    ),
)
section = FORM.filled
PART = AuditPart("right solutions and numerical methods, draw by draw", 40, measured, FORM, lacks)
