"""Points and comments that people give: kept in the gradebook beside what was graded, and put into what is handed out.

A row for each submission and check that somebody touched. It belongs to no run, so that regrading leaves it, and
carries a number that grows with every change: who saves says which state was changed, and a state that somebody else
has changed meanwhile is not written over.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from autograder.classroom.cells import FORMULA, cell
from autograder.core import Assignment, Check, Question
from autograder.intake.points import counting
from autograder.output.markdown import paragraphs
from autograder.text import clean, shown

SCHEMA = """
CREATE TABLE IF NOT EXISTS by_hand ( -- no reference to submissions: it outlives their regrading
    submission TEXT NOT NULL, check_id TEXT NOT NULL, points REAL, comment TEXT NOT NULL, author TEXT NOT NULL,
    changed TEXT NOT NULL, content TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (submission, check_id)
);
CREATE TABLE IF NOT EXISTS worth (check_id TEXT PRIMARY KEY, points REAL NOT NULL); -- of answers for a person
"""
MOST_COMMENT = 4000
MOST_POINTS = 1000.0
READING = " (for manual grading)"
"""How results.json marks a check that a person reads."""


class SaveRefused(Exception):
    """What cannot be saved, as a sentence for the person who grades."""


class Conflict(Exception):
    """Somebody else has changed it since it was read; `row` is what stands there now."""

    def __init__(self, row: Mark | None) -> None:
        super().__init__("Another person has changed this in the meantime.")
        self.row = row


@dataclass(frozen=True)
class Mark:
    """What a person gave to one check of one submission. `points` None leaves the points as they were graded.

    `content` is the digest of the files that were looked at; `version` is 1 for the first change.
    """

    points: float | None
    comment: str
    author: str
    changed: str
    content: str
    version: int


State = Literal["to be read", "left empty", "read", "changed since"]
"""Of an answer for a person: `changed since` was read, but another upload has come meanwhile."""


# ------------------------------------------------------------------------------------------ the book


def marks(book: sqlite3.Connection) -> dict[str, dict[str, Mark]]:
    """All of the book, by submission and check."""
    found: dict[str, dict[str, Mark]] = {}
    for row in book.execute("SELECT * FROM by_hand"):
        found.setdefault(row["submission"], {})[row["check_id"]] = _mark(row)
    return found


def mark(book: sqlite3.Connection, submission: str, check: str) -> Mark | None:
    row = book.execute("SELECT * FROM by_hand WHERE submission = ? AND check_id = ?", (submission, check)).fetchone()
    return None if row is None else _mark(row)


def _mark(row: sqlite3.Row) -> Mark:
    return Mark(*(row[name] for name in ("points", "comment", "author", "changed", "content", "version")))


def worth(book: sqlite3.Connection, assignment: Assignment) -> dict[str, float]:
    """What each check can get by id: as the homework says, and for answers for a person what the staff has set."""
    said = {row["check_id"]: float(row["points"]) for row in book.execute("SELECT * FROM worth")}
    checks = [check for question in assignment.questions for check in question.checks]
    return {check.id: said.get(check.id, check.points) if check.manual else check.points for check in checks}


def added(book: sqlite3.Connection, assignment: Assignment, *, optional: bool = False) -> float:
    """What the answers that people read add to the points of the required, or of the optional, questions."""
    most = worth(book, assignment)
    return sum(
        most[check.id] - check.points
        for question in assignment.questions
        if question.optional == optional
        for check in question.checks
    )


def set_worth(book: sqlite3.Connection, check: Check, points: float) -> None:
    """Says what an answer for a person can get. Raises `Refused` where more was given already, or it makes no sense."""
    if not check.manual:
        raise SaveRefused("Only answers that a person reads can have another number of points.")
    if not math.isfinite(points) or not 0 <= points <= MOST_POINTS:
        raise SaveRefused(f"The points for an answer must be a number from 0 to {MOST_POINTS:g}.")
    given = book.execute("SELECT MAX(points) FROM by_hand WHERE check_id = ?", (check.id,)).fetchone()[0]
    if given is not None and given > points:
        raise SaveRefused(
            f"A student already has {given:g} points for this answer, so it cannot be worth only {points:g}."
        )
    book.execute("INSERT OR REPLACE INTO worth VALUES (?, ?)", (check.id, points))


def save(
    book: sqlite3.Connection, submission: str, check: Check, *, points: float | None, comment: str, version: int,
    author: str, now: str, most: float,
) -> Mark:  # fmt: skip
    """Writes what a person gives, if `version` is still the one in the book (0: nobody has touched it).

    Raises `Conflict` if not, and `Refused` for points that cannot be. The caller's transaction must hold the lock for
    writing: see `writing`.
    """
    comment = clean(comment, limit=MOST_COMMENT).strip()
    if points is not None and (not math.isfinite(points) or points < 0):
        raise SaveRefused("Points must be a number from 0 on, or empty.")
    if points is not None and points > most:
        what = "this answer" if check.manual else "this check"
        raise SaveRefused(f"{points:g} points are more than the {most:g} that {what} is worth.")
    row = book.execute("SELECT content FROM submissions WHERE id = ?", (submission,)).fetchone()
    if row is None:
        raise SaveRefused("This submission is no longer in the gradebook.")
    old = mark(book, submission, check.id)
    if (old.version if old else 0) != version:
        raise Conflict(old)
    if old is not None and (old.points, old.comment, old.content) == (points, comment, row["content"]):
        return old
    new = Mark(points, comment, clean(author, limit=80, line=True), now, row["content"], version + 1)
    values = (new.points, new.comment, new.author, new.changed, new.content, new.version)
    book.execute("INSERT OR REPLACE INTO by_hand VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (submission, check.id, *values))
    return new


@contextmanager
def writing(book: sqlite3.Connection) -> Iterator[None]:
    """Holds the lock for writing from the first look on, so that nobody comes between reading and saving."""
    book.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        book.rollback()
        raise
    book.commit()


def state(check: Check, verdict: sqlite3.Row | None, given: Mark | None, content: str, *, empty: bool) -> State:
    """How far an answer for a person is; `empty` says that the judge found nothing in it."""
    if given is not None and given.points is not None:
        return "read" if given.content == content else "changed since"
    return "left empty" if empty or verdict is None or verdict["status"] != "graded" else "to be read"


# ---------------------------------------------------------------------------------------- results.json


def put(
    content: dict[str, Any], given: Mapping[str, Mark], most: Mapping[str, float], assignment: Assignment
) -> dict[str, Any]:
    """A results.json with the points and comments of people in it; what was graded stays in it, for `taken`.

    A check that has no line of its own, since its files are not in the upload, gets one.
    """
    content = taken(content)
    tests = [_with(test, given.get(test["extra_data"].get("check", "")), most) for test in content["tests"]]
    own = {test["extra_data"].get("check") for test in tests}
    for test in content["tests"]:
        for check in test["extra_data"].get("checks", ()):
            mark = given.get(check)
            if check not in own and mark is not None and (mark.points is not None or mark.comment):
                line = {name: value for name, value in test.items() if name not in ("score", "max_score", "status")}
                line |= {
                    "name": f"{check}: read by a person",
                    "output": "",
                    "extra_data": {"check": check, "diagnoses": []},
                }
                tests.append(_with(line, mark, most))
                tests[-1]["extra_data"]["by_hand"] = None
    points = content["extra_data"].get("points")
    if points is None or "kept" not in points or tests == content["tests"]:
        return _summed(content, tests)
    more = [0.0, 0.0]
    optional = {question.id for question in assignment.questions if question.optional}
    for test in tests:
        old = (test["extra_data"].get("by_hand") or {}) if "by_hand" in test["extra_data"] else test
        more[bool(optional & set(test["tags"]))] += test.get("score", 0.0) - old.get("score", 0.0)
    totals = tuple(
        sum(most.get(check.id, check.points) for q in assignment.questions if q.optional == kind for check in q.checks)
        for kind in (False, True)
    )
    now = _settled(points, (more[0], more[1]), totals[0])
    before = {"score": content["score"], "output": content["output"], "points": points}
    before["said"] = {test["extra_data"]["check"]: test["output"] for test in tests if test["tags"] == [COURSE]}
    tests = [{**test, "output": _told(test["output"], now)} if test["tags"] == [COURSE] else test for test in tests]
    sums = f"{shown(now.required)} of {shown(totals[0])} points"
    sums += f", and {shown(now.optional)} of {shown(totals[1])} optional" if totals[1] else ""
    kept = {name: value for name, value in vars(now).items() if name != "told"}
    return {
        **content,
        "score": now.score,
        "output": SUMS.sub(sums, content["output"], count=1),
        "tests": tests,
        "extra_data": {**content["extra_data"], "points": {**points, **kept}, "graded": before},
    }


COURSE = "course"
"""The tag of entries that are no checks (gradescope.COURSE)."""
SUMS = re.compile(r"^[\d.]+ of [\d.]+ points(?:, and [\d.]+ of [\d.]+ optional)?$", re.MULTILINE)
LATE = re.compile(r"Before: [\d.]+ points\. Now: [\d.]+\.")
COUNTED = re.compile(r"[\d.]+ of the [\d.]+ optional points count\.")
"""Of what a result says about its sums: each is said anew when people's points change them."""


@dataclass(frozen=True)
class Settled:
    """A submission's sums by the course's settings, with people's points in them. `late` is what lateness took off."""

    required: float
    optional: float
    counted: float
    before: float
    late: float
    score: float
    told: str = ""


def _settled(old: Mapping[str, Any], more: tuple[float, float], total: float, told: str = "") -> Settled:
    """What `old` becomes with so many points more in the required and the optional questions.

    The rules are those of the grading: the points are the rescaled ones, optional points count as the course says,
    and lateness takes its share of all that counts, whoever gave it.
    """
    required, optional = round(old["required"] + more[0], 2), round(old["optional"] + more[1], 2)
    counted = round(counting(old["count"], old["most"], required, optional, total), 2)
    before = round(required + counted, 2)
    score = round(before * old["kept"], 2)
    now = Settled(required, optional, counted, before, round(score - before, 4), score)
    return replace(now, told=_told(told, now))


def _told(text: str, now: Settled) -> str:
    text = LATE.sub(f"Before: {shown(now.before)} points. Now: {shown(now.score)}.", text)
    return COUNTED.sub(f"{shown(now.counted)} of the {shown(now.optional)} optional points count.", text)


def settled(book: sqlite3.Connection, assignment: Assignment) -> dict[str, Settled]:
    """By submission, where it was graded by settings of the course."""
    optional = {check.id for question in assignment.questions if question.optional for check in question.checks}
    more: dict[str, list[float]] = {}
    for row in book.execute(
        "SELECT by_hand.submission, by_hand.check_id, by_hand.points - COALESCE(score, 0) AS more FROM by_hand "
        "JOIN verdicts ON by_hand.submission = verdicts.submission AND by_hand.check_id = verdicts.check_id "
        "WHERE by_hand.points IS NOT NULL"
    ):
        more.setdefault(row["submission"], [0.0, 0.0])[row["check_id"] in optional] += row["more"]
    total = sum(points for name, points in worth(book, assignment).items() if name not in optional)
    found = {}
    for row in book.execute("SELECT * FROM settled JOIN counting USING (submission)"):
        own = more.get(row["submission"], [0.0, 0.0])
        found[row["submission"]] = _settled(row, (own[0], own[1]), total, row["told"])
    return found


def _summed(old: dict[str, Any], tests: list[dict[str, Any]]) -> dict[str, Any]:
    """The results with other tests; what else is in the score, such as lateness, stays."""
    more = sum(test.get("score", 0.0) for test in tests) - sum(test.get("score", 0.0) for test in old["tests"])
    return {**old, "tests": tests, "score": round(old["score"] + more, 4)}


def _with(test: dict[str, Any], given: Mark | None, most: Mapping[str, float]) -> dict[str, Any]:
    if given is None or (given.points is None and not given.comment):
        return test
    own = {name: test[name] for name in ("name", "score", "max_score", "status", "output") if name in test}
    new = {**test, "extra_data": {**test["extra_data"], "by_hand": own}}
    if given.points is not None:
        full = most.get(test["extra_data"]["check"], test.get("max_score", given.points))
        new |= {"score": round(given.points, 4), "max_score": full}
        new["status"] = "passed" if given.points >= full else "failed"
        new["name"] = test["name"].removesuffix(READING)
    if given.comment:
        said = f"Comment of the course staff: {given.comment}"
        said = paragraphs(said) if test.get("output_format") == "md" else said
        new["output"] = f"{test['output']}\n\n{said}".lstrip()
    return new


def taken(content: dict[str, Any]) -> dict[str, Any]:
    """The results.json as it was graded."""
    if not any("by_hand" in test.get("extra_data", ()) for test in content["tests"] if isinstance(test, dict)):
        return content
    tests = []
    for test in content["tests"]:
        own = test["extra_data"].get("by_hand", test)
        if isinstance(own, dict) and own is not test:
            extra = {name: value for name, value in test["extra_data"].items() if name != "by_hand"}
            plain = {name: value for name, value in test.items() if name not in ("score", "max_score", "status")}
            tests.append({**plain, **own, "extra_data": extra})
        elif own is test:
            tests.append(test)
    before = content["extra_data"].get("graded")
    if before is None:
        return _summed(content, tests)
    said = before["said"]
    tests = [{**test, "output": said.get(test["extra_data"]["check"], test["output"])} for test in tests]
    extra = {name: value for name, value in content["extra_data"].items() if name != "graded"}
    extra["points"] = before["points"]
    return {**content, "score": before["score"], "output": before["output"], "tests": tests, "extra_data": extra}


# ------------------------------------------------------------------------------------------- a table

HEAD = ("Submission", "Name", "Question", "Check", "What", "State", "Answer", "Points", "Worth", "Comment", "Version")
LONGEST = 2000
"""Characters of an answer in the table."""


def handle(submission: str) -> str:
    """How a submission is called where nobody is to be named, the same every time."""
    return f"anon-{hashlib.sha256(submission.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def table(lines: Sequence[Sequence[object]]) -> str:
    """The csv of `exported` lines."""
    made = io.StringIO(newline="")
    csv.writer(made).writerows([HEAD, *([cell(value) for value in line] for line in lines)])
    return made.getvalue()


@dataclass(frozen=True)
class TableRow:
    """A line of a table that came back: its number there, and what it says."""

    line: int
    submission: str
    check: str
    points: float | None
    worth: float | None
    comment: str
    version: int | None


def rows(text: str) -> list[TableRow]:
    """What a spreadsheet made of the table: commas, semicolons or tabs between cells, a comma for a decimal point.

    Raises `Refused` with the first line that makes no sense: nothing is taken of a table that is broken.
    """
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between)
    try:
        head = [name.strip() for name in next(reader, [])]
        needed = ("Submission", "Check", "Points", "Comment")
        if absent := [name for name in needed if name not in head]:
            raise SaveRefused(
                f"The table has no column {' and no column '.join(absent)}. It needs the columns {', '.join(needed)}."
            )
        found = []
        for cells in reader:
            told = dict(zip(head, cells, strict=False))
            if any(cells):
                found.append(_row(reader.line_num, told))
    except csv.Error as error:
        raise SaveRefused(f"The table cannot be read after line {reader.line_num}: {error}.") from None
    return found


def _row(line: int, told: Mapping[str, str]) -> TableRow:
    numbers: dict[str, float | None] = {}
    for name in ("Points", "Worth", "Version"):
        text = told.get(name, "").strip().replace(",", ".")
        try:
            numbers[name] = float(text) if text else None
        except ValueError:
            raise SaveRefused(
                f"Line {line}: {name} is {clean(text, limit=40, line=True)!r}. Expected: a number."
            ) from None
        if numbers[name] is not None and not math.isfinite(numbers[name] or 0.0):
            raise SaveRefused(f"Line {line}: {name} is {text}. Expected: a finite number.")
    version = numbers["Version"]
    comment = told.get("Comment", "").strip()
    return TableRow(
        line,
        _plain(told.get("Submission", "").strip()),
        _plain(told.get("Check", "").strip()),
        points=numbers["Points"],
        worth=numbers["Worth"],
        comment=_plain(comment),
        version=None if version is None else int(version),
    )


def _plain(text: str) -> str:
    """A cell without the mark that kept a spreadsheet from running it."""
    return text[1:] if text.startswith("'") and text[1:].lstrip().startswith(FORMULA) else text


@dataclass(frozen=True)
class Imported:
    """What became of a table: how many rows changed something, and the sentences for those that were left."""

    changed: int
    same: int
    left: tuple[str, ...]


def take(
    book: sqlite3.Connection, assignment: Assignment, found: Sequence[TableRow], *, author: str, now: str
) -> Imported:
    """Puts a table's rows into the book, all in one transaction. Raises `Refused`, and then nothing was changed.

    A row whose version is not the book's any more is left, and told.
    """
    checks = {check.id: check for question in assignment.questions for check in question.checks}
    known = {row["id"] for row in book.execute("SELECT id FROM submissions")}
    names = {handle(name): name for name in known} | {name: name for name in known}
    changed, same, left = 0, 0, []
    with writing(book):
        for row in found:
            check, name = checks.get(row.check), names.get(row.submission)
            if check is None or name is None:
                what = f"check {row.check!r}" if check is None else f"submission {row.submission!r}"
                raise SaveRefused(
                    f"Line {row.line}: there is no {clean(what, limit=120, line=True)} in this gradebook."
                )
            if check.manual and row.worth is not None and row.worth != worth(book, assignment)[check.id]:
                set_worth(book, check, row.worth)
                changed += 1
        most = worth(book, assignment)
        for row in found:
            check, name = checks[row.check], names[row.submission]
            old = mark(book, name, check.id)
            comment = row.comment
            if old is not None and _flat(old.comment) == _flat(comment):
                comment = old.comment  # a table has no line breaks
            if (old.points if old else None, old.comment if old else "") == (row.points, comment):
                same += 1
                continue
            version = old.version if old else 0
            if row.version is not None and row.version != version:
                left.append(f"Line {row.line}: {name} changed {check.id}, {old.author if old else 'nobody'} after "
                            f"the table "
                    "was written, so it was not replaced.")  # fmt: skip
                continue
            try:
                save(book, name, check, points=row.points, comment=comment, version=version, author=author, now=now,
                     most=most[check.id])  # fmt: skip
            except SaveRefused as fault:
                raise SaveRefused(f"Line {row.line}: {fault}") from None
            changed += 1
    return Imported(changed, same, tuple(left))


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def reads(question: Question) -> list[Check]:
    """The question's checks that a person reads."""
    return [check for check in question.checks if check.manual]
