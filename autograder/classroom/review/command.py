"""`review`: serves the page, or writes and reads the table for those who prefer a spreadsheet."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path

from autograder.classroom import byhand, publish, report
from autograder.classroom.publish import DONE, UNUSABLE, Class
from autograder.core import CheckFailed
from autograder.storage import save
from autograder.text import clean, many

MOST_TABLE = 64 * 1024**2


@dataclass(frozen=True)
class ReviewOptions:
    """What the command line said. `name` is who grades, "" for the name of this machine's user."""

    out: Path
    homework: str = ""
    name: str = ""
    anonymous: bool = False
    port: int = 0
    exported: Path | None = None
    imported: Path | None = None

    @property
    def author(self) -> str:
        if self.name:
            return self.name
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # a user without a name
            return "staff"


def run(options: ReviewOptions) -> int:
    """Returns 0 when it did what it says, 2 where there is no gradebook or the table makes no sense."""
    return publish.status(lambda: _run(options), options.out)


def _run(options: ReviewOptions) -> int:
    opened = publish.opened(options.out, options.homework)
    if options.imported is not None:
        return _import(opened, options)
    if options.exported is not None:
        return _export(opened, options.exported, anonymous=options.anonymous)
    return _serve(opened, options)


def _serve(opened: Class, options: ReviewOptions) -> int:
    try:
        from autograder.classroom.review import server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise CheckFailed(
            "review needs Starlette and uvicorn, which are not installed here: "
            f"{sys.executable} -m pip install -r autograder/requirements-review.txt"
        ) from None
    return server.serve(opened, author=options.author, anonymous=options.anonymous, port=options.port)


def _export(opened: Class, path: Path, *, anonymous: bool) -> int:
    with opened.book.open() as book:
        lines = list(exported(report.entries(book, opened.assignment), opened, anonymous=anonymous))
    save(path, byhand.table(lines))
    print(
        f"{many(len(lines), 'answer')} in {path}. Fill in Points and Comment, leave the other columns unchanged, "
        "and give the file to --import."
    )
    return DONE


def exported(entries: list[report.SubmissionEntry], opened: Class, *, anonymous: bool) -> list[list[object]]:
    """A line for each answer that a person reads, and for each check that somebody gave points or a comment."""
    lines: list[list[object]] = []
    for question in opened.assignment.questions:
        for number, check in question.numbered:
            for entry in sorted(entries, key=lambda one: byhand.handle(one.id)) if anonymous else entries:
                mark, verdict = entry.marks.get(check.id), entry.verdicts.get(check.id)
                if verdict is None or not (check.manual or mark or verdict["status"] == "unjudgeable"):
                    continue
                answer = report.nameless(verdict["message"], entry) if anonymous else verdict["message"]
                state = entry.state(check) if check.manual else verdict["status"]
                lines.append([
                    byhand.handle(entry.id) if anonymous else entry.id, "" if anonymous else entry.names,
                    f"{question.number}: {question.title}", check.id, f"{number} {check.name}", state,
                    clean(answer, limit=byhand.LONGEST), None if mark is None else mark.points,
                    entry.worth[check.id], "" if mark is None else mark.comment, 0 if mark is None else mark.version,
                ])  # fmt: skip
    return lines


def _import(opened: Class, options: ReviewOptions) -> int:
    assert options.imported is not None
    data = options.imported.read_bytes()
    try:
        if len(data) > MOST_TABLE:
            raise byhand.SaveRefused(f"It is larger than {MOST_TABLE // 1024**2} MB.")
        rows = byhand.rows(data.decode("utf-8"))
    except UnicodeDecodeError:
        print(f"{options.imported} is not UTF-8. Save it as CSV UTF-8. Nothing was changed.", file=sys.stderr)
        return UNUSABLE
    except byhand.SaveRefused as fault:
        print(f"{options.imported}: {fault} Nothing was changed.", file=sys.stderr)
        return UNUSABLE
    with opened.book.open() as book:
        try:
            done = byhand.take(book, opened.assignment, rows, author=options.author, now=publish.now())
        except byhand.SaveRefused as fault:
            print(f"{options.imported}: {fault} Nothing was changed.", file=sys.stderr)
            return UNUSABLE
    print(f"{many(done.changed, 'change')} saved. {many(done.same, 'row')} had no change.")
    for sentence in done.left:
        print(sentence, file=sys.stderr)
    publish.written(opened)
    return UNUSABLE if done.left else DONE


def again(out: Path, homework: str, handout: Path | None) -> int:
    """`report`: writes tables and pages anew; with `handout`, pages for the students into that folder instead."""
    return publish.status(lambda: _again(out, homework, handout), handout or out)


def _again(out: Path, homework: str, handout: Path | None) -> int:
    opened = publish.opened(out, homework)
    if handout is None:
        return DONE if publish.written(opened) else UNUSABLE
    with opened.book.open() as book:
        count = report.handout(book, opened.assignment, handout)
    print(f"{many(count, 'page')} for students in {handout}, without code, printed output and hidden checks.")
    return DONE
