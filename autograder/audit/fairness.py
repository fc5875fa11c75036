"""Fair grades: right solutions differently written have full marks, half-right ones lose what a fair TA would take.

A homework says which harmless variations of students' work are known, and what of its bank or of the tests stands for
each (`homework.Variation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, homework, parallel
from autograder.audit.homework import Variation
from autograder.audit.journal import Journal, Key
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, nobody
from autograder.audit.solutions import Solution
from autograder.core import Assignment, Result

SEEDS = 2
"""Gradings of a right solution, with other inputs each. What is asked of everybody alike is asked once."""
ALARM = 0.2
"""A right answer that uses more than this share of a rounding bound is too near to being failed."""
EXACT = 1e-3
"""Points: scores are kept to four decimals, and thirds of points add up to less than this beside them."""


@dataclass(frozen=True)
class GradedSolution:
    """A solution of the bank: points lost in each grading, the checks that took them, the largest share of a bound.

    `solution.lost` is what a fair TA would take; 0 for a right solution.
    """

    solution: Solution
    question: str
    lost: tuple[float, ...]
    failed: tuple[str, ...]
    tolerance_used: float

    @property
    def fair(self) -> bool:
        return all(abs(lost - self.solution.lost) < EXACT for lost in self.lost)


@dataclass(frozen=True)
class Found:
    """The gradings of right and of half-right solutions, and the known variations."""

    right: tuple[GradedSolution, ...]
    half: tuple[GradedSolution, ...]
    variations: tuple[Variation, ...]

    @property
    def everything(self) -> tuple[GradedSolution, ...]:
        return (*self.right, *self.half)

    def uncovered(self) -> list[Variation]:
        """Variations that nothing stands for: a solution that was not graded, or graded unfairly, counts as nothing."""
        fair = {one.solution.id for one in self.everything if one.fair}
        return [one for one in self.variations if not one.tests and not (one.solutions and {*one.solutions} <= fair)]


def graded(package: str, solution: Solution, seeds: int) -> dict[str, Any]:
    """A row of the journal: a solution, graded with so many inputs."""
    assignment = homework.load(package)
    own = bank.of(assignment, solution)
    lost: list[float] = []
    failed: set[str] = set()
    used = 0.0
    with bank.submitted(solution, own) as received:
        first = bank.outcome(received, own, salt="fair")
        fixed = _lost([result for result in first.results if result.check.request.deterministic])
        again = bank.terse(bank.drawn(own))
        more = (
            [bank.outcome(received, again, salt=f"fair{seed}") for seed in range(1, seeds)] if again.questions else []
        )
        for at, outcome in enumerate((first, *more)):
            lost.append(_lost(outcome.results) + (fixed if at else 0.0))
            failed |= outcome.failed
            used = max([used, *(result.verdict.tolerance_used or 0.0 for result in outcome.results)])
    return {"question": own.questions[0].id, "lost": lost, "failed": sorted(failed), "used": used}


def _lost(results: Sequence[Result]) -> float:
    return sum(result.check.points - result.score for result in results)


def lacks(assignment: Assignment) -> str:
    """Why nothing can be graded, "" if it can."""
    known = casefiles.bank_of(assignment)
    return "" if known.right or known.half_right else "the homework has no right or half-right solutions."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades every `every`-th right and half-right solution; goes on from the journal in `out`."""
    assignment = homework.load(package)
    both = casefiles.bank_of(assignment)
    variations = homework.of(assignment).variations
    journal, grader = Journal(out / "fairness.jsonl"), version.of(assignment)
    right, half = both.right[::every], both.half_right[::every]
    chosen = [*right, *half]

    def key(solution: Solution) -> Key:
        return solution.id, solution.code, str(SEEDS), grader

    parallel.kept(journal, graded, {key(solution): (package, solution, SEEDS) for solution in chosen}, jobs, tell)

    def read(solution: Solution) -> GradedSolution:
        row = journal.rows[key(solution)]
        lost, failed = tuple(row["lost"]), tuple(row["failed"])
        return GradedSolution(solution, row["question"], lost, failed, row["used"])

    # Of a slice only those variations are looked at whose solutions are all in it.
    known = {solution.id for solution in chosen}
    asked = tuple(one for one in variations if every == 1 or {*one.solutions} <= known)
    return Found(tuple(read(solution) for solution in right), tuple(read(solution) for solution in half), asked)


# ------------------------------------------------------------------------------------------ the report


def _points(points: float) -> str:
    return f"{points:g}"


def _range(lost: Sequence[float]) -> str:
    return _points(round(min(lost), 3)) if max(lost) - min(lost) < EXACT else f"{min(lost):.3g} to {max(lost):.3g}"


def _covered(found: Found) -> str:
    of, by_tests = len(found.variations), sum(bool(one.tests) for one in found.variations)
    told = f"{of - len(found.uncovered())} of {of}"
    return f"{told}, {of - by_tests} by solutions and {by_tests} by tests of intake and notebooks" if of else told


def _most_used(found: Found) -> float:
    return max((one.tolerance_used for one in found.right), default=0.0)


@dataclass(frozen=True)
class _Counted:
    """The gradings of one question."""

    question: str
    right: tuple[GradedSolution, ...]
    half: tuple[GradedSolution, ...]


def _by_question(found: Found) -> list[_Counted]:
    return [
        _Counted(
            question,
            tuple(one for one in found.right if one.question == question),
            tuple(one for one in found.half if one.question == question),
        )
        for question in dict.fromkeys(one.question for one in found.everything)
    ]


def _variations(found: Found) -> list[tuple[Variation, str]]:
    """Each with the solutions that have it, and what half-right ones are to lose."""
    lost = {one.solution.id: one.solution.lost for one in found.half}
    return [
        (one, ", ".join(f"{id} (-{_points(lost[id])})" if id in lost else id for id in one.solutions))
        for one in found.variations
    ]


FORM = SectionForm[Found](
    "fairness",
    "Fair grades",
    "The same right answer can be written in many ways, and none may cost a point. A half-right one is to lose "
    "what a person would take for it, which the bank states beforehand, with the reason.",
    (
        Claim[Found](
            "right solutions, differently written, have full marks",
            lambda found: (
                f"{sum(one.fair for one in found.right)} of {len(found.right)}, in "
                f"{sum(len(one.lost) for one in found.right):,} gradings"
            ),
            lambda found: all(one.fair for one in found.right),
        ),
        Claim[Found](
            f"none uses more than {ALARM:.0%} of a rounding bound",
            lambda found: f"the largest share is {_most_used(found):.1%}",
            lambda found: _most_used(found) <= ALARM,
        ),
        Claim[Found](
            "every known harmless variation of students' work is covered",
            _covered,
            lambda found: not found.uncovered(),
            when=lambda found: found.variations,
        ),
        Claim[Found](
            "half-right solutions lose what a fair TA would take",
            lambda found: f"{sum(one.fair for one in found.half)} of {len(found.half)}",
            lambda found: all(one.fair for one in found.half),
            when=lambda found: found.half,
        ),
    ),
    (
        TableForm[Found](
            "Solutions by question",
            _by_question,
            {
                "question": lambda row: row.question,
                "right": lambda row: len(row.right),
                "with full marks": lambda row: sum(one.fair for one in row.right),
                "half-right": lambda row: len(row.half),
                "as expected": lambda row: sum(one.fair for one in row.half),
            },
        ),
        TableForm[Found](
            "Unfair grades",
            lambda found: [one for one in found.everything if not one.fair],
            {
                "solution": lambda one: one.solution.id,
                "what it does": lambda one: one.solution.about,
                "expected to lose": lambda one: one.solution.lost,
                "lost": lambda one: _range(one.lost),
                "in": lambda one: ", ".join(one.failed),
            },
        ),
        TableForm[Found](
            "Variations that nothing stands for",
            lambda found: found.uncovered(),
            {"where": lambda one: one.place, "variation": lambda one: one.what},
        ),
        TableForm[Found](
            "Harmless variations of students' work",
            _variations,
            {
                "where": lambda row: row[0].place,
                "variation": lambda row: row[0].what,
                "solutions of the bank": lambda row: row[1],
                "tests": lambda row: ", ".join(row[0].tests),
            },
            folded=True,
        ),
        TableForm[Found](
            "Half-right solutions",
            lambda found: found.half,
            {
                "solution": lambda one: one.solution.id,
                "what it does": lambda one: one.solution.about,
                "expected to lose": lambda one: one.solution.lost,
                "lost": lambda one: _range(one.lost),
                "because": lambda one: one.solution.reason,
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("right solutions written differently, and half-right ones", 12, measured, FORM, lacks)
