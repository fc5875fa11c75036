"""Two gradings of a class side by side: who gained or lost points where, and what either grading said."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autograder.text import clean

COMPARED, NOT_COMPARABLE = 0, 2
SHOWN = 200
"""Changes that are listed; the counts are of all."""


@dataclass(frozen=True)
class Line:
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
    """A grading as it is compared: its grader, the totals, and every line by submission and check."""

    grader: str
    totals: dict[str, float]
    contents: dict[str, str]
    lines: dict[tuple[str, str], Line]


@dataclass(frozen=True)
class Change:
    submission: str
    check: str
    old: Line | None
    new: Line | None

    @property
    def gain(self) -> float:
        return round(((self.new and self.new.score) or 0.0) - ((self.old and self.old.score) or 0.0), 4)


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
            (row["submission"], row["check_id"]): Line(
                *(row["number"] or "", row["name"] or row["check_id"], row["score"], row["points"], row["status"]),
                *(row["message"], diagnoses.get((row["submission"], row["check_id"]), ())),
            )
            for row in book.execute(
                "SELECT verdicts.*, number, name FROM verdicts LEFT JOIN checks ON check_id = checks.id "
                "ORDER BY submission, place"
            )
        }
        rows = book.execute("SELECT id, score, content, grader FROM submissions ORDER BY id").fetchall()
    graders = Counter(row["grader"] for row in rows)
    return Book(
        ", ".join(name for name, _ in graders.most_common()) or "none",
        {row["id"]: row["score"] for row in rows},
        {row["id"]: row["content"] for row in rows},
        lines,
    )


def changes(old: Book, new: Book) -> list[Change]:
    """Every check of a submission in both books whose points, status or diagnoses differ, the largest loss first."""
    both = old.totals.keys() & new.totals.keys()
    keys = sorted(key for key in old.lines.keys() | new.lines.keys() if key[0] in both)
    found = [Change(*key, old.lines.get(key), new.lines.get(key)) for key in keys]
    differing = [change for change in found if _essence(change.old) != _essence(change.new)]
    return sorted(differing, key=lambda change: (change.gain, change.submission))


def _essence(line: Line | None) -> object:
    return None if line is None else (line.score, line.points, line.status, line.diagnoses)


def run(old_place: Path, new_place: Path) -> int:
    """Prints the comparison. Returns 0 where the books could be read, 2 where not."""
    books = []
    for place in (old_place, new_place):
        try:
            books.append(read(place))
        except (OSError, sqlite3.Error):
            print(f"There is no gradebook at {place}. Expected: the folder that `class --out` made.", file=sys.stderr)
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
    moved = {name: round(new.totals[name] - old.totals[name], 4) for name in both}
    console.print(Text(f"{old_place} (grader {old.grader})  ->  {new_place} (grader {new.grader})", style="bold"))
    for text, names in (
        ("only in the old grading", old.totals.keys() - both),
        ("only in the new grading", new.totals.keys() - both),
        ("handed in anew in between", {name for name in both if old.contents[name] != new.contents[name]}),
    ):
        if names:
            console.print(
                Text(f"{len(names)} {text}: {', '.join(sorted(names)[:10])}" + (" ..." if len(names) > 10 else ""))
            )
    gained, lost = (sum(sign * value > 0 for value in moved.values()) for sign in (1, -1))
    console.print(
        f"{len(both)} in both: {gained} gained points, {lost} lost points, {len(both) - gained - lost} kept theirs"
    )
    if not found:
        console.print("No check's points or diagnoses differ.")
        return
    table = Table(title="by check", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in ("check", "gained", "lost", "only told otherwise", "points in all"):
        table.add_column(head, justify="left" if head == "check" else "right")
    for check in dict.fromkeys(change.check for change in sorted(found, key=lambda change: change.check)):
        own = [change.gain for change in found if change.check == check]
        counts = (sum(gain > 0 for gain in own), sum(gain < 0 for gain in own), sum(gain == 0 for gain in own))
        table.add_row(Text(check), *map(str, counts), f"{sum(own):+.2f}")
    console.print(table)
    console.print(Text("\nlosses first", style="bold"))
    for change in found[:SHOWN]:
        style = "red" if change.gain < 0 else "green" if change.gain > 0 else "dim"
        line = change.new or change.old
        assert line is not None
        console.print(Text(f"{change.gain:+.2f}  {change.submission}  {line.number} {line.name}", style=style))
        for when, side in (("old", change.old), ("new", change.new)):
            told = "not there" if side is None else f"{_points(side)}  {clean(side.message, limit=600)}"
            console.print(Text(f"       {when}: {told}"))
    if len(found) > SHOWN:
        console.print(f"... and {len(found) - SHOWN} more.")


def _points(line: Line) -> str:
    return "for reading" if line.score is None else f"{line.score:g}/{line.points or 0:g}"
