"""Fair grades: right solutions differently written have full marks, half-right ones lose what a fair TA would take.

A homework says in `audit/variations.py` which harmless variations of students' work are known, and what of its bank
or of the tests stands for each.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, parallel
from autograder.audit.journal import Journal, Key
from autograder.audit.section import Promise, Section, Table, Tell, nobody
from autograder.audit.solutions import Solution
from autograder.core import Assignment, Result

SEEDS = 2
"""Gradings of a right solution, with other inputs each. What is asked of everybody alike is asked once."""
ALARM = 0.2
"""A right answer that uses more than this share of a rounding bound is too near to being failed."""
EXACT = 1e-3
"""Points: scores are kept to four decimals, and thirds of points add up to less than this beside them."""


@dataclass(frozen=True)
class Variation:
    """A harmless way in which work differs: where, what, and the solutions of the bank or the tests that have it."""

    place: str
    what: str
    solutions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graded:
    """A solution of the bank: points lost in each grading, the checks that took them, the largest share of a bound.

    `solution.lost` is what a fair TA would take; 0 for a right solution.
    """

    solution: Solution
    question: str
    lost: tuple[float, ...]
    failed: tuple[str, ...]
    used: float

    @property
    def fair(self) -> bool:
        return all(abs(lost - self.solution.lost) < EXACT for lost in self.lost)


@dataclass(frozen=True)
class Found:
    """The gradings of right and of half-right solutions, and the known variations."""

    right: tuple[Graded, ...]
    half: tuple[Graded, ...]
    variations: tuple[Variation, ...]

    def uncovered(self) -> list[Variation]:
        """Variations that nothing stands for: a solution that was not graded, or graded unfairly, counts as nothing."""
        fair = {one.solution.id for one in (*self.right, *self.half) if one.fair}
        return [one for one in self.variations if not one.tests and not (one.solutions and {*one.solutions} <= fair)]


def graded(homework: str, solution: Solution, seeds: int) -> dict[str, Any]:
    """A row of the journal: a solution, graded with so many inputs."""
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    own = bank.of(assignment, solution)
    lost: list[float] = []
    failed: set[str] = set()
    used = 0.0
    with bank.submitted(solution, own) as received:
        first = bank.outcome(received, own, salt="fair")
        fixed = _lost([result for result in first.results if result.check.ask.fixed])
        again = bank.terse(bank.drawn(own))
        more = (
            [bank.outcome(received, again, salt=f"fair{seed}") for seed in range(1, seeds)] if again.questions else []
        )
        for at, outcome in enumerate((first, *more)):
            lost.append(_lost(outcome.results) + (fixed if at else 0.0))
            failed |= outcome.failed
            used = max([used, *(result.verdict.used or 0.0 for result in outcome.results)])
    return {"question": own.questions[0].id, "lost": lost, "failed": sorted(failed), "used": used}


def _lost(results: Sequence[Result]) -> float:
    return sum(result.check.points - result.score for result in results)


def measured(homework: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades every `every`-th right and half-right solution; goes on from the journal in `out`."""
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    both = casefiles.bank_of(assignment)
    variations: tuple[Variation, ...] = importlib.import_module(f"{homework}.audit.variations").VARIATIONS
    journal, grader = Journal(out / "fairness.jsonl"), version.of(assignment)
    right, half = both.right[::every], both.half_right[::every]
    chosen = [*right, *half]

    def key(solution: Solution) -> Key:
        return solution.id, solution.code, str(SEEDS), grader

    parallel.kept(journal, graded, {key(solution): (homework, solution, SEEDS) for solution in chosen}, jobs, tell)

    def read(solution: Solution) -> Graded:
        row = journal.rows[key(solution)]
        lost, failed = tuple(row["lost"]), tuple(row["failed"])
        return Graded(solution, row["question"], lost, failed, row["used"])

    # Of a slice only those variations are looked at whose solutions are all in it.
    known = {solution.id for solution in chosen}
    asked = tuple(one for one in variations if every == 1 or {*one.solutions} <= known)
    return Found(tuple(read(solution) for solution in right), tuple(read(solution) for solution in half), asked)


# ------------------------------------------------------------------------------------------ the report


def _points(points: float) -> str:
    return f"{points:g}"


def _range(lost: Sequence[float]) -> str:
    return _points(round(min(lost), 3)) if max(lost) - min(lost) < EXACT else f"{min(lost):.3g} to {max(lost):.3g}"


def section(found: Found) -> Section:
    """Who lost what, question by question, and which variations are covered by what."""
    gradings = sum(len(one.lost) for one in found.right)
    full, fair = sum(one.fair for one in found.right), sum(one.fair for one in found.half)
    used = max((one.used for one in found.right), default=0.0)
    uncovered = found.uncovered()
    by_tests = sum(bool(one.tests) for one in found.variations)
    promises = (
        Promise(
            "right solutions, differently written, have full marks",
            f"{full} of {len(found.right)}, in {gradings:,} gradings",
            full == len(found.right),
        ),
        Promise(
            f"none uses more than {ALARM:.0%} of a rounding bound",
            f"the largest share is {used:.1%}",
            used <= ALARM,
        ),
        Promise(
            "every known harmless variation of students' work is covered",
            f"{len(found.variations) - len(uncovered)} of {len(found.variations)}, "
            f"{len(found.variations) - by_tests} by solutions and {by_tests} by tests of intake and notebooks",
            not uncovered,
        ),
        Promise(
            "half-right solutions lose what a fair TA would take",
            f"{fair} of {len(found.half)}",
            fair == len(found.half),
        ),
    )
    questions = dict.fromkeys(one.question for one in (*found.right, *found.half))
    counted = Table(
        "Solutions by question",
        ("question", "right", "with full marks", "half-right", "as expected"),
        tuple(
            (
                question,
                sum(one.question == question for one in found.right),
                sum(one.question == question and one.fair for one in found.right),
                sum(one.question == question for one in found.half),
                sum(one.question == question and one.fair for one in found.half),
            )
            for question in questions
        ),
    )
    unfair = Table(
        "Unfair grades",
        ("solution", "what it does", "expected to lose", "lost", "in"),
        tuple(
            (one.solution.id, one.solution.about, one.solution.lost, _range(one.lost), ", ".join(one.failed))
            for one in (*found.right, *found.half)
            if not one.fair
        ),
    )
    missing = Table(
        "Variations that nothing stands for",
        ("where", "variation"),
        tuple((one.place, one.what) for one in uncovered),
    )
    lost = {one.solution.id: one.solution.lost for one in found.half}
    variations = Table(
        "Harmless variations of students' work",
        ("where", "variation", "solutions of the bank", "tests"),
        tuple(
            (
                *(one.place, one.what),
                ", ".join(f"{id} (-{_points(lost[id])})" if id in lost else id for id in one.solutions),
                ", ".join(one.tests),
            )
            for one in found.variations
        ),
        folded=True,
    )
    halves = Table(
        "Half-right solutions",
        ("solution", "what it does", "expected to lose", "lost", "because"),
        tuple(
            (one.solution.id, one.solution.about, one.solution.lost, _range(one.lost), one.solution.reason)
            for one in found.half
        ),
        folded=True,
    )
    return Section(
        "fairness",
        "Fair grades",
        "The same right answer can be written in many ways, and none may cost a point. A half-right one is to lose "
        "what a person would take for it, which the bank states beforehand, with the reason.",
        promises,
        (counted, unfair, missing, variations, halves),
    )
