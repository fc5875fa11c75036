"""Grades solutions of the reference in-process: which checks each one fails, over many seeds."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.audit.inprocess import InProcess
from autograder.audit.solutions import Solution, write
from autograder.core import Assignment, Result, Submission
from autograder.grade import Grading
from autograder.intake import submission


@contextmanager
def submitted(solution: Solution, assignment: Assignment) -> Iterator[Submission]:
    """The solution as a received submission, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="solution-") as folder:
        upload, workspace = Path(folder, "upload"), Path(folder, "workspace")
        write(solution, assignment.reference, upload)
        workspace.mkdir()
        yield submission.receive(upload, assignment, workspace)


@dataclass(frozen=True)
class Outcome:
    """One grading of a solution: the checks that failed, the diagnoses given, and all results."""

    failed: frozenset[str]
    diagnoses: frozenset[str]
    results: tuple[Result, ...]

    @property
    def score(self) -> float:
        return sum(result.score for result in self.results)


def only(assignment: Assignment, checks: Collection[str]) -> Assignment:
    """The assignment with these checks alone: an audit of one check need not run the others."""
    questions = (
        replace(question, checks=tuple(check for check in question.checks if check.id in checks))
        for question in assignment.questions
    )
    return replace(assignment, questions=tuple(question for question in questions if question.checks))


def of(assignment: Assignment, solution: Solution) -> Assignment:
    """The assignment with the solution's question alone, and of that what is about its file and needs no kernel."""
    questions = (
        replace(
            question,
            checks=tuple(
                check
                for check in question.checks
                if not check.request.collector and check.request.file in ("", solution.file)
            ),
        )
        for question in assignment.questions
        if solution.file in question.files
    )
    return replace(assignment, questions=tuple(questions))


def terse(assignment: Assignment) -> Assignment:
    """The assignment whose messages show no smallest example: the verdicts are the same, and found sooner."""
    questions = (
        replace(question, checks=tuple(replace(check, counterexample=None) for check in question.checks))
        for question in assignment.questions
    )
    return replace(assignment, questions=tuple(questions))


def drawn(assignment: Assignment) -> Assignment:
    """The assignment without the checks that request the same of everybody."""
    kept = {
        check.id for question in assignment.questions for check in question.checks if not check.request.deterministic
    }
    return only(assignment, kept)


def outcome(received: Submission, assignment: Assignment, *, salt: str = "") -> Outcome:
    """Grades once, in this process. Another `salt` gives other random inputs."""
    salted = replace(received, digest=received.digest + salt)
    results = tuple(Grading(InProcess(assignment.probes), salted, assignment).results())
    ours = [result for result in results if result.status != "graded"]
    assert not ours, f"grader error: {ours[0].log}"
    return Outcome(
        frozenset(result.check.id for result in results if result.verdict.score < 1 and not result.check.manual),
        frozenset(result.verdict.diagnosis for result in results if result.verdict.diagnosis),
        results,
    )
