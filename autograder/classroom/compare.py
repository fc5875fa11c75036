"""Two gradings of a class side by side: who gained or lost points where, and what either grading said."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from autograder import homeworks
from autograder.text import clean, many

COMPARED, NOT_COMPARABLE = 0, 2
SHOWN = 200
"""Kinds of changes that are listed; the counts are of all."""
NAMED = 10
"""Submissions that are named where many could be."""
NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class CheckLine:
    """What a grading said of one check of one submission. `score` is None where it was for reading only."""

    number: str
    name: str
    score: float | None
    points: float | None
    status: str
    message: str
    diagnoses: tuple[str, ...]


@dataclass(frozen=True)
class Book:
    """A grading as it is compared: its grader, the totals, and every line by submission and check.

    `settings` are those of the course by key, of the graders whose word it holds.
    """

    grader: str
    totals: dict[str, float]
    contents: dict[str, str]
    lines: dict[tuple[str, str], CheckLine]
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    submission: str
    check: str
    old: CheckLine
    new: CheckLine

    @property
    def gain(self) -> float:
        return round((self.new.score or 0.0) - (self.old.score or 0.0), 4)


def read(place: Path) -> Book:
    """The gradebook at `place`, a file or the folder that holds it. Raises OSError or sqlite3.Error."""
    path = place / "gradebook.sqlite" if place.is_dir() else place
    with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as book:
        book.row_factory = sqlite3.Row
        diagnoses: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in book.execute("SELECT * FROM diagnoses ORDER BY diagnosis"):
            key = row["submission"], row["check_id"]
            diagnoses[key] = (*diagnoses.get(key, ()), row["diagnosis"])
        lines = {
            (row["submission"], row["check_id"]): CheckLine(
                *(row["number"] or "", row["name"] or row["check_id"], row["score"], row["points"], row["status"]),
                *(row["message"], diagnoses.get((row["submission"], row["check_id"]), ())),
            )
            for row in book.execute(
                "SELECT verdicts.*, number, name FROM verdicts LEFT JOIN checks ON check_id = checks.id "
                "ORDER BY submission, place"
            )
        }
        rows = book.execute("SELECT id, score, content, grader FROM submissions ORDER BY id").fetchall()
        settings = _settings(book)
    graders = Counter(row["grader"] for row in rows)
    return Book(
        ", ".join(name for name, _ in graders.most_common()) or "none",
        {row["id"]: row["score"] for row in rows},
        {row["id"]: row["content"] for row in rows},
        lines,
        settings,
    )


def _settings(book: sqlite3.Connection) -> dict[str, str]:
    """Those of the last run; none in a book of a grader that knew no settings."""
    try:
        rows = book.execute(
            "SELECT key, value FROM settings WHERE grader = (SELECT grader FROM runs ORDER BY id DESC LIMIT 1)"
        ).fetchall()
    except sqlite3.OperationalError:
        return {}
    return {row["key"]: row["value"] for row in rows}


def differing(old: Book, new: Book) -> list[str]:
    """The settings that are not the same, a line each: "total: not set -> 100.0"."""
    keys = dict.fromkeys((*old.settings, *new.settings))
    pairs = ((key, old.settings.get(key, "not set"), new.settings.get(key, "not set")) for key in keys)
    return [f"{key}: {before} -> {after}" for key, before, after in pairs if before != after]


def changes(old: Book, new: Book) -> list[Difference]:
    """Every check of a submission in both books whose points, status or diagnoses differ, the largest loss first.

    What only one of the books has of a submission, the other grading left out: it is nobody's gain or loss.
    """
    keys = sorted(old.lines.keys() & new.lines.keys())
    found = [Difference(*key, old.lines[key], new.lines[key]) for key in keys]
    differing = [change for change in found if _essence(change.old) != _essence(change.new)]
    return sorted(differing, key=lambda change: (change.gain, change.check, change.submission))


def left_out(one: Book, other: Book) -> list[tuple[str, int, int]]:
    """Checks that `one` has and `other` lacks of submissions in both: the check, of how many, and of how many it has.

    A grading leaves out checks that its options say, as --no-runs does, and those that its grader does not know.
    """
    both = one.totals.keys() & other.totals.keys()
    held = Counter(check for submission, check in one.lines if submission in both)
    lost = Counter(key[1] for key in one.lines.keys() - other.lines.keys() if key[0] in both)
    return [(check, lost[check], held[check]) for check in dict.fromkeys(key[1] for key in one.lines) if lost[check]]


def folded(found: Sequence[Difference]) -> list[list[Difference]]:
    """Changes of one check that are equal, together, in the order of the first of each: but for numbers in messages."""
    groups: dict[object, list[Difference]] = {}
    for change in found:
        key = change.check, _essence(change.old), _essence(change.new), _gist(change.old), _gist(change.new)
        groups.setdefault(key, []).append(change)
    return list(groups.values())


def _essence(line: CheckLine) -> object:
    return line.score, line.points, line.status, line.diagnoses


def _gist(line: CheckLine) -> str:
    return NUMBER.sub("#", line.message)


def run(old_place: Path, new_place: Path, homework: str = "") -> int:
    """Prints the comparison. Returns 0 where the books could be read and hold checks of `homework`, 2 where not."""
    books = []
    for place in (old_place, new_place):
        try:
            books.append(read(place))
        except (OSError, sqlite3.Error):
            print(f"There is no gradebook at {place}. Expected: the folder that `class --out` made.", file=sys.stderr)
            return NOT_COMPARABLE
    if homework:
        own = {check.id for question in homeworks.load(homework).questions for check in question.checks}
        for place, book in zip((old_place, new_place), books, strict=True):
            if book.lines and not any(check in own for _, check in book.lines):
                print(f"The grading in {place} is of a homework other than {homework}.", file=sys.stderr)
                return NOT_COMPARABLE
    show(old_place, new_place, *books)
    return COMPARED


def show(old_place: Path, new_place: Path, old: Book, new: Book) -> None:
    """The table: totals that moved, then check by check who gained or lost, with what either grading said."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    found = changes(old, new)
    both = old.totals.keys() & new.totals.keys()
    moved = dict.fromkeys(both, 0.0)  # by the checks of both gradings alone
    for change in found:
        moved[change.submission] = round(moved[change.submission] + change.gain, 4)
    console.print(Text(f"{old_place} (grader {old.grader})  ->  {new_place} (grader {new.grader})", style="bold"))
    for text, names in (
        ("only in the old grading", old.totals.keys() - both),
        ("only in the new grading", new.totals.keys() - both),
        ("handed in again between the gradings", {name for name in both if old.contents[name] != new.contents[name]}),
    ):
        if names:
            console.print(Text(f"{len(names)} {text}: {_names(sorted(names))}"), soft_wrap=True)
    for which, missing in (("new", left_out(old, new)), ("old", left_out(new, old))):
        if missing:
            console.print(
                Text(f"the {which} grading left out {many(len(missing), 'check')}, not compared: {_checks(missing)}")
            )
    if settings := differing(old, new):
        console.print(Text("The course's settings differ, so points cannot be compared directly:", style="bold"))
        for setting in settings:
            console.print(Text(f"  {setting}"))
    gained, lost = (sum(sign * value > 0 for value in moved.values()) for sign in (1, -1))
    console.print(
        f"{len(both)} submissions in both: {gained} gained points, {lost} lost points, {len(both) - gained - lost} "
        "kept theirs"
    )
    if not found:
        console.print("No check has different points or diagnoses.")
        return
    table = Table(title="by check", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in ("check", "gained", "lost", "only another message", "points in all"):
        table.add_column(head, justify="left" if head == "check" else "right")
    for check in dict.fromkeys(change.check for change in sorted(found, key=lambda change: change.check)):
        own = [change.gain for change in found if change.check == check]
        counts = (sum(gain > 0 for gain in own), sum(gain < 0 for gain in own), sum(gain == 0 for gain in own))
        table.add_row(Text(check), *map(str, counts), f"{sum(own):+.2f}")
    console.print(table)
    console.print(Text("\nlosses first", style="bold"))
    groups = folded(found)
    for group in groups[:SHOWN]:
        change = group[0]
        style = "red" if change.gain < 0 else "green" if change.gain > 0 else "dim"
        line = change.new
        if len(group) == 1:
            console.print(Text(f"{change.gain:+.2f}  {change.submission}  {line.number} {line.name}", style=style))
        else:
            console.print(Text(f"{change.gain:+.2f}  {len(group)} students: {line.number} {line.name}", style=style))
            console.print(Text(f"       who: {_names([one.submission for one in group])}"))
        for when, side in (("old", change.old), ("new", change.new)):
            console.print(Text(f"       {when}: {_points(side)}  {clean(side.message, limit=600)}"))
    if len(groups) > SHOWN:
        console.print(f"... and {sum(map(len, groups[SHOWN:]))} more.")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _checks(missing: Sequence[tuple[str, int, int]]) -> str:
    """With of how many submissions, where not of all that have it."""
    return _names([check if lost == held else f"{check} (of {lost})" for check, lost, held in missing])


def _points(line: CheckLine) -> str:
    return "for reading" if line.score is None else f"{line.score:g}/{line.points or 0:g}"
