"""Writes what is made from the gradebook: tables, report, students' pages, and people's points in results.json."""

from __future__ import annotations

import datetime
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder import homeworks
from autograder.classroom import byhand, gradebook, report
from autograder.classroom.gradebook import Gradebook
from autograder.classroom.records import Records
from autograder.core import Assignment, CheckFailed, Question
from autograder.output import gradescope
from autograder.storage import alone

BOOK = "gradebook.sqlite"
DONE, UNUSABLE = 0, 2
"""Exit statuses of the commands that work on a graded class."""


def everything(book: sqlite3.Connection, assignment: Assignment, out: Path) -> None:
    """Tables, results and pages, each by rename: whoever reads one finds an old or a new whole file."""
    tables(book, assignment, out)
    marks, worth = byhand.marks(book), byhand.worth(book, assignment)
    results(out, assignment, (row["id"] for row in book.execute("SELECT id FROM submissions")), marks, worth)
    report.write(book, assignment, out)


def tables(book: sqlite3.Connection, assignment: Assignment, out: Path) -> None:
    gradebook.grades(book, assignment, out / "grades.csv")
    gradebook.canvas(book, assignment, out / "grades-canvas.csv")


def results(
    out: Path, assignment: Assignment, submissions: Iterable[str], marks: Mapping[str, Mapping[str, byhand.Mark]],
    worth: Mapping[str, float],
) -> None:  # fmt: skip
    """Puts what people gave into the result files of these submissions, and takes out what they took back."""
    records = Records(out)
    for name in submissions:
        try:
            path = records.path(name)
            touched = b'"by_hand"' in path.read_bytes() or name in marks
        except OSError:
            continue
        graded: dict[str, Any] | None = records.load(name) if touched else None
        if graded is not None:
            gradescope.write(path, byhand.put(graded, marks.get(name, {}), worth, assignment))


@dataclass(frozen=True)
class Class:
    """A folder that `class` wrote: its gradebook, and the homework with the checks that were graded."""

    out: Path
    book: Gradebook
    homework: str
    assignment: Assignment


def _kept(question: Question, graded: Mapping[str, tuple[float, bool]]) -> Question | None:
    """The question with the checks that were graded, as they counted, with their numbers; None without any."""
    kept = [
        (int(number.rpartition(".")[2]), replace(check, points=graded[check.id][0]))
        for number, check in question.numbered
        if check.id in graded
    ]
    if not kept:
        return None
    checks, places = tuple(check for _, check in kept), tuple(place for place, _ in kept)
    return replace(question, checks=checks, places=places, optional=graded[checks[0].id][1])


def opened(out: Path, homework: str = "") -> Class:
    """The class at `out`; `homework` where the book does not say which. Raises `CheckFailed` where there is none."""
    path = out / BOOK
    if not path.is_file():
        raise CheckFailed(f"There is no gradebook in {out}. Expected: the folder that `class --out` made.")
    book = Gradebook(path)
    try:
        with book.open() as opened:
            name = homework or gradebook.noted(opened, "homework") or homeworks.DEFAULT
            rows = opened.execute("SELECT id, points, optional FROM checks")
            graded = {row["id"]: (row["points"], bool(row["optional"])) for row in rows}
    except sqlite3.Error as error:
        raise CheckFailed(f"{path} cannot be read: {error}.") from None
    try:
        assignment = homeworks.load(name)
    except homeworks.NoHomework as fault:
        raise CheckFailed(f"{fault} Give the place of this gradebook's homework with --homework.") from None
    narrowed = replace(assignment, questions=tuple(filter(None, (_kept(one, graded) for one in assignment.questions))))
    if not narrowed.questions:
        raise CheckFailed(f"The gradebook in {out} holds no check of {name}. Give its homework with --homework.")
    return Class(out, book, name, narrowed)


def status(action: Callable[[], int], place: Path) -> int:
    """What the action returns.

    UNUSABLE, with a sentence, where it raises CheckFailed, or OSError on a file or `place`.
    """
    try:
        return action()
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or place} cannot be used: {error.strerror or error}.", file=sys.stderr)
    return UNUSABLE


def written(opened: Class) -> bool:
    """Writes tables, results and pages anew, unless `class` is at it: it will write them itself. Whether it did."""
    try:
        with alone(opened.out), opened.book.open() as book:
            everything(book, opened.assignment, opened.out)
    except CheckFailed:
        print("`class` is writing there right now. It will put these points into tables and pages.")
        return False
    print(f"Tables, results and pages in {opened.out} are up to date.")
    return True


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
