"""What the tests of a homework ask: do its solutions get what they should, and is every check needed?"""

from __future__ import annotations

from autograder.audit import bank, casefiles
from autograder.audit.solutions import Solution
from autograder.core import Assignment

TIMES = 3
"""Gradings of each solution, with other inputs each time."""


def solutions(assignment: Assignment) -> tuple[Solution, ...]:
    """All solutions of its case files. Raises CaseError."""
    return casefiles.bank_of(assignment).everything


def surprises(solution: Solution, assignment: Assignment, *, times: int = TIMES) -> list[str]:
    """A sentence for each way in which a grading of the solution was not as its case says; none where all was.

    It is graded in this process, without the sandbox: only for solutions that are the staff's own.
    """
    found = []
    with bank.submitted(solution, assignment) as received:
        for number in range(times):
            seen = bank.outcome(received, bank.of(assignment, solution), salt=str(number))
            told = {result.check.id: result.verdict.message for result in seen.results}
            for check in sorted(seen.failed - {*solution.fails, *solution.sometimes}):
                found.append(f"{solution.id} should not fail {check}, but is told: {told[check]}")
            for check in sorted(set(solution.fails) - seen.failed):
                found.append(f"{solution.id} should fail {check}, but passes.")
            if solution.diagnosis and solution.diagnosis not in seen.diagnoses:
                named = ", ".join(sorted(seen.diagnoses)) or "nothing"
                found.append(f"{solution.id} should be diagnosed as {solution.diagnosis}, but {named} is named.")
    return list(dict.fromkeys(found))


def unproved(assignment: Assignment) -> list[str]:
    """The checks that no wrong solution fails: nothing shows that they catch anything."""
    caught = {check for solution in solutions(assignment) for check in solution.fails}
    checks = (check for question in assignment.questions for check in question.checks if not check.manual)
    return [check.id for check in checks if check.id not in caught]
