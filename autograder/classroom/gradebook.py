"""One SQLite file that holds a class: runs, submissions, checks, verdicts, diagnoses; and the tables made from it."""

from __future__ import annotations

import base64
import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder import storage
from autograder.authoring import template
from autograder.classroom import byhand
from autograder.classroom.cells import cell
from autograder.classroom.records import said_by
from autograder.classroom.roster import Upload
from autograder.core import Assignment
from autograder.output import gradescope
from autograder.sandbox import fingerprints

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, grader TEXT NOT NULL, jobs TEXT NOT NULL,
    question TEXT NOT NULL, graded INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS checks (
    id TEXT PRIMARY KEY, question TEXT NOT NULL, title TEXT NOT NULL, optional INTEGER NOT NULL,
    number TEXT NOT NULL, name TEXT NOT NULL, points REAL NOT NULL, place INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS submissions (
    id TEXT PRIMARY KEY, run INTEGER REFERENCES runs, created_at TEXT NOT NULL, upload TEXT NOT NULL,
    content TEXT NOT NULL, grader TEXT NOT NULL, outcome TEXT NOT NULL, score REAL NOT NULL, seconds REAL NOT NULL,
    cpu REAL, memory INTEGER, isolation TEXT NOT NULL, output TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS students (
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, place INTEGER NOT NULL,
    name TEXT NOT NULL, sid TEXT NOT NULL, email TEXT NOT NULL, PRIMARY KEY (submission, place)
);
CREATE TABLE IF NOT EXISTS verdicts (
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, check_id TEXT NOT NULL,
    score REAL, points REAL, status TEXT NOT NULL, message TEXT NOT NULL, seconds REAL,
    attempts INTEGER, p REAL, tolerance_used REAL, PRIMARY KEY (submission, check_id)
);
CREATE TABLE IF NOT EXISTS diagnoses (
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, check_id TEXT NOT NULL, diagnosis TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS notes (
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, check_id TEXT NOT NULL, note TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS told ( -- a verdict's message in its parts, as JSON
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, check_id TEXT NOT NULL, parts TEXT NOT NULL,
    PRIMARY KEY (submission, check_id)
);
CREATE TABLE IF NOT EXISTS fingerprints ( -- submission '' is the template; hashes are sorted little-endian int64
    submission TEXT NOT NULL, file TEXT NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (submission, file)
);
CREATE TABLE IF NOT EXISTS missing ( -- checks that are one line of the results: their files are not in the upload
    submission TEXT NOT NULL REFERENCES submissions ON DELETE CASCADE, check_id TEXT NOT NULL, number TEXT NOT NULL,
    PRIMARY KEY (submission, check_id)
);
CREATE TABLE IF NOT EXISTS settled ( -- what the course's settings made of the points, where there are any
    submission TEXT PRIMARY KEY REFERENCES submissions ON DELETE CASCADE, required REAL NOT NULL,
    optional REAL NOT NULL, counted REAL NOT NULL, before REAL NOT NULL, late REAL NOT NULL, told TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counting ( -- by which rules that was: the share that lateness left, optional questions
    submission TEXT PRIMARY KEY REFERENCES submissions ON DELETE CASCADE, kept REAL NOT NULL, count TEXT NOT NULL,
    most REAL
);
CREATE TABLE IF NOT EXISTS settings ( -- of the course, by the grader that they are a part of
    grader TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (grader, key)
);
CREATE TABLE IF NOT EXISTS noted (name TEXT PRIMARY KEY, value TEXT NOT NULL); -- such as which homework this is
CREATE INDEX IF NOT EXISTS diagnoses_of ON diagnoses (submission);
CREATE INDEX IF NOT EXISTS notes_of ON notes (submission);
"""
    + byhand.SCHEMA
)


@dataclass(frozen=True)
class Gradebook:
    """The file at `path`. Every change is one transaction: a kill leaves the old or the new state."""

    path: Path

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection whose rows are mappings; what was done is kept if nothing was raised."""
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(SCHEMA)
            with connection:
                yield connection


def begin(book: sqlite3.Connection, assignment: Assignment, *, grader: str, jobs: str, question: str, now: str) -> int:
    """Notes that a run begins, and what the homework's checks are; returns the run's id."""
    book.execute("DELETE FROM checks")
    place = 0
    for each in assignment.questions:
        for number, check in each.numbered:
            place += 1
            row = (
                check.id,
                each.id,
                each.title,
                each.optional,
                number,
                check.name,
                check.points,
                place,
            )
            book.execute("INSERT INTO checks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    book.execute("DELETE FROM fingerprints WHERE submission = ''")
    for path in sorted(assignment.template.rglob("*")):
        if path.suffix in (".py", ".ipynb"):
            hashes = fingerprints.of_texts(_code(path)).astype("<i8").tobytes()
            name = path.relative_to(assignment.template).as_posix()
            book.execute("INSERT INTO fingerprints VALUES ('', ?, ?)", (name, hashes))
    cursor = book.execute(
        "INSERT INTO runs (started, grader, jobs, question) VALUES (?, ?, ?, ?)", (now, grader, jobs, question)
    )
    return int(cursor.lastrowid or 0)


def _code(path: Path) -> list[str]:
    """The text of one of the template's modules, or its notebook's cells of code."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return [text]
    return template.code_cells(text)


def keep_settings(book: sqlite3.Connection, grader: str, settings: Mapping[str, str]) -> None:
    """Notes by which settings of the course this grader grades; none are noted where there are none."""
    rows = [(grader, key, value) for key, value in settings.items()]
    book.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", rows)


def note(book: sqlite3.Connection, name: str, value: str) -> None:
    book.execute("INSERT OR REPLACE INTO noted VALUES (?, ?)", (name, value))


def noted(book: sqlite3.Connection, name: str) -> str:
    """What was noted under this name, "" where nothing was."""
    row = book.execute("SELECT value FROM noted WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row["value"])


def finish(book: sqlite3.Connection, run: int, *, graded: int, now: str) -> None:
    book.execute("UPDATE runs SET finished = ?, graded = ? WHERE id = ?", (now, graded, run))


def record(book: sqlite3.Connection, upload: Upload, content: dict[str, Any], run: int | None) -> None:
    """Puts one submission's results.json in the place of what the book had of it. `run` None keeps the old run."""
    content = byhand.taken(content)
    extra = content["extra_data"]
    if run is None:
        old = book.execute("SELECT run FROM submissions WHERE id = ?", (upload.id,)).fetchone()
        run = None if old is None else old["run"]
    tables = ("students", "verdicts", "told", "diagnoses", "notes", "fingerprints", "missing", "settled", "counting")
    for table in tables:
        book.execute(f"DELETE FROM {table} WHERE submission = ?", (upload.id,))
    row: tuple[object, ...] = (
        *(upload.id, run, upload.created_at, extra.get("upload", ""), extra.get("content", "")),
        *(said_by(extra), extra.get("outcome", ""), content["score"], content["execution_time"]),
        *(extra.get("cpu"), extra.get("memory"), extra.get("isolation", ""), content["output"]),
    )
    book.execute(f"INSERT OR REPLACE INTO submissions VALUES ({', '.join('?' * len(row))})", row)
    for place, student in enumerate(upload.students):
        row = (upload.id, place, student.name, student.sid, student.email)
        book.execute("INSERT INTO students VALUES (?, ?, ?, ?, ?)", row)
    for file, hashes in extra.get("code", {}).items():
        book.execute("INSERT INTO fingerprints VALUES (?, ?, ?)", (upload.id, file, base64.b64decode(hashes)))
    if "points" in extra:
        told = " ".join(test["output"] for test in content["tests"] if test["tags"] == [gradescope.COURSE])
        points = [extra["points"][name] for name in ("required", "optional", "counted", "before", "late")]
        book.execute("INSERT INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)", (upload.id, *points, told))
        if "kept" in extra["points"]:
            rule = [extra["points"][name] for name in ("kept", "count", "most")]
            book.execute("INSERT INTO counting VALUES (?, ?, ?, ?)", (upload.id, *rule))
    for test in content["tests"]:
        own = test["extra_data"]
        if test["tags"] == [gradescope.COURSE]:
            continue
        one = {own["check"]: test.get("max_score")}
        if "checks" in own:  # each of them has the line's words, and no points
            one = own["checks"]
            rows = [(upload.id, check, test["number"]) for check in one]
            book.executemany("INSERT INTO missing VALUES (?, ?, ?)", rows)
        message = gradescope.message_of(test)
        said = test["output"] if "message" not in own else message.line
        for check, points in one.items():
            if "message" in own:
                parts = json.dumps(message.plain(), ensure_ascii=False)
                book.execute("INSERT INTO told VALUES (?, ?, ?)", (upload.id, check, parts))
            row = (
                *(upload.id, check, None if points is None else test.get("score"), points),
                *(own.get("status", "not reached"), said, own.get("seconds"), own.get("attempts")),
                *(own.get("p"), own.get("tolerance_used")),
            )
            book.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            for table, values in (("diagnoses", own.get("diagnoses", ())), ("notes", own.get("notes", ()))):
                rows = [(upload.id, check, value) for value in values]
                book.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)


def keep_only(book: sqlite3.Connection, uploads: Sequence[Upload]) -> int:
    """Takes out what is no longer among the uploads; returns how many that were."""
    known = {upload.id for upload in uploads}
    gone = [row["id"] for row in book.execute("SELECT id FROM submissions") if row["id"] not in known]
    for table, column in (("submissions", "id"), ("fingerprints", "submission")):
        book.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(name,) for name in gone])
    return len(gone)


# -------------------------------------------------------------------------------------------- tables


def grades(book: sqlite3.Connection, assignment: Assignment, path: Path) -> None:
    """grades.csv: a row for each student, in the columns that Gradescope exports and imports, and one per question."""
    worth = byhand.worth(book, assignment)
    most = [sum(worth[check.id] for check in question.checks) for question in assignment.questions]
    titles = [
        f"{question.number}: {question.title} ({points:g} pts)"
        for question, points in zip(assignment.questions, most, strict=True)
    ]
    head = ["Name", "SID", "Email", "Total Score", "Max Points", "Status", "Submission ID", "Submission Time", *titles]
    settled = byhand.settled(book, assignment)
    rows = list(_rows(book, assignment))
    if settled:  # by a course's settings: what counted before lateness, and what that took
        head += ["Before Lateness", "Lateness", "Why"]
        for row in rows:
            own = settled.get(str(row[ID]))
            row += [None, None, ""] if own is None else [own.before, own.late, own.told]
    said: dict[str, list[str]] = {}
    for row in book.execute(
        "SELECT submission, number, comment FROM by_hand JOIN checks ON check_id = checks.id "
        "WHERE comment != '' ORDER BY submission, place"
    ):
        said.setdefault(row["submission"], []).append(f"{row['number']}: {row['comment']}")
    _write(path, [[*head, "Comments"], *([*row, "; ".join(said.get(str(row[ID]), ()))] for row in rows)])


ID = 6
"""The column of a submission's id."""


def canvas(book: sqlite3.Connection, assignment: Assignment, path: Path) -> None:
    """grades-canvas.csv: Canvas's five identifying columns and one assignment, with its second line of points."""
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment.title]
    points = ["    Points Possible", "", "", "", "", assignment.points + byhand.added(book, assignment)]
    rows = [[row[0], "", row[1], row[2], "", row[3]] for row in _rows(book, assignment)]
    _write(path, [head, points, *rows])


def _rows(book: sqlite3.Connection, assignment: Assignment) -> Iterator[list[object]]:
    scores: dict[tuple[str, str], float] = {
        (row["submission"], row["question"]): row["score"]
        for row in book.execute(
            "SELECT verdicts.submission, question, SUM(COALESCE(by_hand.points, score)) AS score "
            "FROM verdicts JOIN checks ON verdicts.check_id = checks.id "
            "LEFT JOIN by_hand ON by_hand.submission = verdicts.submission AND by_hand.check_id = verdicts.check_id "
            "GROUP BY verdicts.submission, question"
        )
    }
    more: dict[str, float] = {  # what people's points add to the grader's
        row["submission"]: row["more"]
        for row in book.execute(
            "SELECT by_hand.submission, SUM(by_hand.points - COALESCE(score, 0)) AS more FROM by_hand "
            "JOIN verdicts ON by_hand.submission = verdicts.submission AND by_hand.check_id = verdicts.check_id "
            "WHERE by_hand.points IS NOT NULL GROUP BY by_hand.submission"
        )
    }
    most, settled = assignment.points + byhand.added(book, assignment), byhand.settled(book, assignment)
    query = (
        "SELECT submissions.*, COALESCE(name, '') AS name, COALESCE(sid, '') AS sid, COALESCE(email, '') AS email "
        "FROM submissions LEFT JOIN students ON submission = submissions.id ORDER BY submissions.id, place"
    )
    for row in book.execute(query):
        own = [round(scores.get((row["id"], question.id)) or 0.0, 4) for question in assignment.questions]
        status = {"graded": "Graded", "unjudgeable": "Graded", "not gradable": "Not gradable"}.get(
            row["outcome"], "Grader error"
        )
        total = round(row["score"] + more.get(row["id"], 0.0), 4)
        total = settled[row["id"]].score if row["id"] in settled else total
        yield [
            *(row["name"] or row["id"], row["sid"], row["email"], total),
            *(most, status),
            *(row["id"], row["created_at"], *own),
        ]


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([cell(value) for value in row] for row in rows)
    storage.save(path, table.getvalue())
