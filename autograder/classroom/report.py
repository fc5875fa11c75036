"""The report on a class as one HTML file that needs nothing else, and a page for each student."""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograder import storage
from autograder.classroom import similarity
from autograder.core import Array, Assignment, Check, Question
from autograder.output import pages

TEMPLATES = Path(__file__).with_name("templates")
CLASS = 20
"""Submissions below which no discrimination is given: with fewer, the 95 % interval of a correlation of 0 is wider
than 2 tanh(1.96 / sqrt(20 - 3)) = 0.88 (Fisher's transformation), so that it would say nothing."""
SLOWEST = 5
DIGEST = re.compile(r"(\w+):[0-9a-z]{8,}", re.ASCII)
"""A note that is equal where what it digests is equal: what that is, and the digest."""


STOPPED = ("unjudgeable", "grader error", "not reached")
"""What a check's grading can end with but a verdict, the one that needs a person first."""


@dataclass(frozen=True)
class Entry:
    """A submission with its verdicts by check.

    `missing` are the checks that are one line, since their files are not there, with that line's number; `settled` is
    what a course's settings made of the points, None without any.
    """

    row: sqlite3.Row
    students: tuple[sqlite3.Row, ...]
    verdicts: dict[str, sqlite3.Row]
    missing: Mapping[str, str]
    settled: sqlite3.Row | None

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def names(self) -> str:
        return ", ".join(student["name"] or student["email"] or student["sid"] for student in self.students)

    @property
    def read(self) -> bool:
        """Whether anything of it was graded."""
        return any(verdict["status"] == "graded" for verdict in self.verdicts.values())

    @property
    def status(self) -> str:
        if self.row["outcome"] == "grader error":
            return "fault of ours"
        if any(verdict["status"] == "unjudgeable" for verdict in self.verdicts.values()):
            return "could not be judged"
        missed = sum(verdict["status"] == "not reached" for verdict in self.verdicts.values())
        return f"{missed} not reached" if missed and self.row["outcome"] == "graded" else str(self.row["outcome"])

    def points(self, questions: Iterable[Question]) -> float:
        checks = (check for question in questions for check in question.checks)
        return sum(self.verdicts[check.id]["score"] or 0.0 for check in checks if check.id in self.verdicts)


@dataclass(frozen=True)
class Item:
    """What a class made of one check; None and a reason where a figure cannot be given."""

    number: str
    question: Question
    check: Check
    judged: int
    passed: float | None
    mean: float | None
    share: float | None
    discrimination: float | None
    reason: str
    seconds: float | None


@dataclass(frozen=True)
class Histogram:
    """Counts between neighbouring edges; the last edge belongs to the last count."""

    title: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def bars(self) -> list[tuple[float, float, int]]:
        return list(zip(self.edges, self.edges[1:], self.counts, strict=False))


def write(book: sqlite3.Connection, assignment: Assignment, out: Path) -> None:
    """Writes report.html and students/ID.html, each by rename, and removes pages of those who are not in the book."""
    entries = _entries(book)
    made = pages.environment(TEMPLATES)
    storage.save(out / "report.html", made.get_template("report.html.j2").render(_report(book, assignment, entries)))
    folder = out / "students"
    folder.mkdir(parents=True, exist_ok=True)
    page = made.get_template("student.html.j2")
    same = {
        "assignment": assignment,
        "required": [question for question in assignment.questions if not question.optional],
        "optional": [question for question in assignment.questions if question.optional],
        "most": assignment.points,
        "extra": assignment.extra,
    }
    for entry in entries:
        storage.save(folder / f"{entry.id}.html", page.render(same, entry=entry))
    known = {f"{entry.id}.html" for entry in entries}
    for path in folder.iterdir():
        if path.name not in known and path.suffix in (".html", ".new"):
            path.unlink()


def _entries(book: sqlite3.Connection) -> list[Entry]:
    students: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in book.execute("SELECT * FROM students ORDER BY submission, place"):
        students[row["submission"]].append(row)
    verdicts: dict[str, dict[str, sqlite3.Row]] = defaultdict(dict)
    for row in book.execute("SELECT * FROM verdicts"):
        verdicts[row["submission"]][row["check_id"]] = row
    rows = book.execute("SELECT * FROM submissions ORDER BY id").fetchall()
    missing: dict[str, dict[str, str]] = defaultdict(dict)
    for row in book.execute("SELECT * FROM missing"):
        missing[row["submission"]][row["check_id"]] = row["number"]
    settled = {row["submission"]: row for row in book.execute("SELECT * FROM settled")}
    return [
        Entry(row, tuple(students[row["id"]]), verdicts[row["id"]], missing.get(row["id"], {}), settled.get(row["id"]))
        for row in rows
    ]


def _report(book: sqlite3.Connection, assignment: Assignment, entries: list[Entry]) -> dict[str, Any]:
    """All that the report's template shows."""
    required = [question for question in assignment.questions if not question.optional]
    read = [entry for entry in entries if entry.read]
    seconds = [entry.row["seconds"] for entry in read]
    memory = [entry.row["memory"] / 2**20 for entry in read if entry.row["memory"] is not None]
    scores = [entry.points(required) for entry in read]
    items = analyse(assignment, read)
    return {
        "assignment": assignment,
        "run": book.execute("SELECT * FROM runs ORDER BY id DESC LIMIT 1").fetchone(),
        "graders": Counter(entry.row["grader"] for entry in entries).most_common(),
        "sandboxes": Counter(entry.row["isolation"] for entry in entries if entry.row["isolation"]).most_common(),
        "entries": entries,
        "by_id": {entry.id: entry for entry in entries},
        "read": read,
        "outcomes": Counter(entry.row["outcome"] for entry in entries),
        "most": assignment.points,
        "quartiles": np.quantile(scores, (0.25, 0.5, 0.75)).tolist() if scores else None,
        "whole": float(np.median([entry.row["score"] for entry in read])) if read else None,
        "scores": histogram("Points in the required questions", "points", scores, assignment.points),
        "questions": [
            (
                question,
                histogram(
                    f"{question.number}: {question.title}",
                    "points",
                    [entry.points([question]) for entry in read],
                    question.points,
                    bins=13,
                ),
            )
            for question in assignment.questions
        ],
        "items": items,
        "hardest": sorted((item for item in items if item.share is not None), key=lambda item: item.share or 0.0)[:3],
        "least": CLASS,
        "stopped": _stopped(assignment, entries),
        "misconceptions": _misconceptions(book, assignment, entries),
        "seconds": histogram("Seconds per submission", "s", seconds, max(seconds, default=1.0)),
        "memory": histogram("Peak memory per submission", "MB", memory, max(memory, default=1.0)),
        "slowest": sorted(read, key=lambda entry: -entry.row["seconds"])[:SLOWEST],
        "equal": _equal((entry.row["content"], entry) for entry in read if entry.row["score"] > 0),
        "alike": similarity.read(book, {entry.id: entry.row["content"] or entry.id for entry in read}),
        "rule": similarity,
        **_notes(book, assignment, entries),
    }


# ------------------------------------------------------------------------------------------- figures


def analyse(assignment: Assignment, read: Sequence[Entry]) -> list[Item]:
    """Classical item analysis of every check over the submissions at which it was judged."""
    places = [(number, question, check) for question in assignment.questions for number, check in question.numbered]
    total = np.array([sum(verdict["score"] or 0.0 for verdict in entry.verdicts.values()) for entry in read])
    items = []
    for number, question, check in places:
        found = [entry.verdicts.get(check.id) for entry in read]
        own = np.array([row is not None and row["status"] == "graded" and row["score"] is not None for row in found])
        judged = [row for row, judged in zip(found, own, strict=True) if row is not None and judged]
        scores = np.array([row["score"] for row in judged], float)  # (judged,)
        times = [row["seconds"] for row in judged if row["seconds"] is not None]
        full = check.points if check.points > 0 else 1.0
        figure, reason = discrimination(scores, total[own] - scores) if judged else (None, "not judged")
        items.append(
            Item(
                *(number, question, check, len(judged)),
                float(np.mean(scores >= full - 1e-9)) if judged else None,
                float(scores.mean()) if judged else None,
                float(scores.mean()) / full if judged else None,
                *(figure, reason),
                float(np.median(times)) if times else None,
            )
        )
    return items


def discrimination(item: Array, rest: Array) -> tuple[float | None, str]:
    """The corrected item-total correlation of (n,) scores with (n,) totals without them, or None and why not.

    It is Pearson's, which for an item that is only right or wrong is the point-biserial one (Lord and Novick 1968,
    section 15.5).
    """
    if len(item) < CLASS:
        return None, "too few"
    if np.ptp(item) < 1e-9 or np.ptp(rest) < 1e-9:  # scores are rounded to 1e-4
        return None, "no variance"
    return float(np.corrcoef(item, rest)[0, 1]), ""


def histogram(title: str, unit: str, values: Sequence[float], top: float, *, bins: int = 20) -> Histogram:
    """Counts of values from 0 to `top` in at most `bins` steps whose width is 1, 2 or 5 times a power of ten."""
    top = max(top, 1e-3)
    least = top / bins
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    edges = step * np.arange(math.ceil(top / step - 1e-9) + 1)
    # Sums of points such as 0.1 + 0.2 lie beside their edge; scores have four decimals.
    counts, _ = np.histogram(np.clip(np.round(np.array(values, float), 4), edges[0], edges[-1]), np.round(edges, 4))
    return Histogram(title, unit, tuple(np.round(edges, 4).tolist()), tuple(counts.tolist()))


# -------------------------------------------------------------------------------------------- groups


def _stopped(assignment: Assignment, entries: Sequence[Entry]) -> list[tuple[str, str, list[Entry]]]:
    """What could not be judged, faults of ours and checks that were not reached: what, which kind, where."""
    graded = [entry for entry in entries if entry.read or entry.row["outcome"] == "graded"]
    found = []
    for kind in STOPPED:
        for question in assignment.questions:
            for number, check in question.numbered:
                met = [e for e in graded if check.id in e.verdicts and e.verdicts[check.id]["status"] == kind]
                if met:
                    found.append((f"{number} {check.name}", kind, met))
    lost = [entry for entry in entries if entry.row["outcome"] == "grader error" and not entry.read]
    at = sum(kind == "unjudgeable" for _, kind, _ in found)  # these stay first: they may have lost points for it
    return [*found[:at], *([("all checks", "grader error", lost)] if lost else []), *found[at:]]


def _misconceptions(
    book: sqlite3.Connection, assignment: Assignment, entries: Sequence[Entry]
) -> list[tuple[str, int, list[str], str]]:
    """Diagnosis, number of submissions, numbers of the checks, and the commonest message, without names."""
    numbers = {check.id: number for question in assignment.questions for number, check in question.numbered}
    by_id = {entry.id: entry for entry in entries}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for submission, check, diagnosis in book.execute("SELECT submission, check_id, diagnosis FROM diagnoses"):
        if check in numbers:
            found[diagnosis].append((submission, check))
    lines = []
    for diagnosis, places in found.items():
        messages = Counter(by_id[submission].verdicts[check]["message"] for submission, check in places)
        example = min(messages, key=lambda message: (-messages[message], len(message), message))
        tellers = [by_id[name] for name, check in places if by_id[name].verdicts[check]["message"] == example]
        for entry in tellers:
            example = _nameless(example, entry)
        met = {check for _, check in places}
        checks = [number for check, number in numbers.items() if check in met]
        lines.append((diagnosis, len({submission for submission, _ in places}), checks, example))
    return sorted(lines, key=lambda line: (-line[1], line[0]))


def _nameless(message: str, entry: Entry) -> str:
    """The message without the names of those who handed in, which an exception's text may hold."""
    told = [entry.id, *(student[key] for student in entry.students for key in ("name", "sid", "email"))]
    words = {word for text in told for word in (text, *text.split(), text.partition("@")[0]) if len(word) > 2}
    for word in sorted(words, key=len, reverse=True):
        message = re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", "(name)", message, flags=re.IGNORECASE)
    return message


def _equal(pairs: Iterable[tuple[str, Entry]]) -> list[list[Entry]]:
    """Entries with one key, where there is more than one; an empty key is none."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in pairs:
        groups[key].append(entry)
    return [group for key, group in groups.items() if key and len(group) > 1]


def _notes(book: sqlite3.Connection, assignment: Assignment, entries: Sequence[Entry]) -> dict[str, Any]:
    """The staff's notes: `copies` are equal digests, where the check earned points; `odd` are all others."""
    by_id = {entry.id: entry for entry in entries}
    numbers = {
        check.id: f"{number} {check.name}" for question in assignment.questions for number, check in question.numbered
    }
    digests: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    odd: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for submission, check, note in book.execute("SELECT DISTINCT submission, check_id, note FROM notes"):
        entry = by_id[submission]
        if check in numbers and DIGEST.fullmatch(note) is None:
            odd[numbers[check], note].append(entry)
        elif check in numbers and entry.verdicts[check]["score"]:
            digests[numbers[check], note].append(entry)
    return {
        "copies": [(check, note.partition(":")[0], met) for (check, note), met in digests.items() if len(met) > 1],
        "odd": sorted(((check, note, met) for (check, note), met in odd.items()), key=lambda line: len(line[2])),
    }
