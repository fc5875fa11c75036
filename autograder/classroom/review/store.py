"""What the page reads of a class and writes into its gradebook; everything that is asked for is looked up anew."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from autograder.classroom import byhand, code, publish, report
from autograder.classroom.byhand import Mark
from autograder.classroom.kept import Kept, Store
from autograder.classroom.publish import Class, now
from autograder.classroom.report import SubmissionEntry
from autograder.core import Check, CheckFailed, Question
from autograder.storage import alone

REUSED = 9
"""Comments that are offered again, one for each digit."""
LONGEST_REUSED = 300


class Unknown(Exception):
    """There is no such question or submission."""


@dataclass(frozen=True)
class Progress:
    """How far a question is: submissions with an answer to read, and those that were read."""

    question: Question
    checks: tuple[tuple[str, Check], ...]
    answers: int
    read: int


@dataclass(frozen=True)
class Work:
    """One submission's answers to one question, and the ones beside it. `place` counts from 1."""

    question: Question
    entry: SubmissionEntry
    held: Kept | None
    place: int
    count: int
    unread: int
    before: str
    after: str
    next_unread: str
    reused: dict[str, list[str]]


@dataclass
class Desk:
    """A class on a desk: `author` is who grades. Safe to be used by several threads, each call by itself."""

    opened: Class
    author: str
    _stale: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def question(self, name: str) -> Question:
        for question in self.opened.assignment.questions:
            if question.id == name:
                return question
        raise Unknown(name)

    def overview(self) -> tuple[list[Progress], dict[str, float]]:
        """Every question, and what each check is worth."""
        assignment = self.opened.assignment
        with self.opened.book.open() as book:
            entries = report.entries(book, assignment)
            worth = byhand.worth(book, assignment)
        found = []
        for question in assignment.questions:
            checks = tuple((number, check) for number, check in question.numbered if check.manual)
            states = [entry.state(check) for entry in entries for _, check in checks if check.id in entry.verdicts]
            counts = Counter(states)
            read = counts["read"]
            found.append(Progress(question, checks, read + counts["to be read"] + counts["changed since"], read))
        return found, worth

    def work(self, name: str, handle: str, *, anonymous: bool) -> Work:
        """The page of a submission; of the first one that is to be read where `handle` is "". Raises `Unknown`."""
        question = self.question(name)
        with self.opened.book.open() as book:
            entries = self._ordered(report.entries(book, self.opened.assignment, question), question, anonymous)
            if not entries:
                raise Unknown(name)
            handles = [byhand.handle(entry.id) for entry in entries]
            waiting = [_waits(entry, question) for entry in entries]
            at = handles.index(handle) if handle in handles else None
            if at is None and handle:
                raise Unknown(handle)
            if at is None:
                at = waiting.index(True) if True in waiting else 0
            reused = self._reused(entries, at, question)
        entry = entries[at]
        later = [place for place in (*range(at + 1, len(entries)), *range(at)) if waiting[place]]
        return Work(
            question,
            entry,
            Store(self.opened.out).load(entry.id),
            place=at + 1,
            count=len(entries),
            unread=sum(waiting),
            before=handles[at - 1] if at else "",
            after=handles[at + 1] if at + 1 < len(handles) else "",
            next_unread=handles[later[0]] if later else "",
            reused=reused,
        )

    def _ordered(
        self, entries: Sequence[SubmissionEntry], question: Question, anonymous: bool
    ) -> list[SubmissionEntry]:
        """Those at which the question was graded; in an order that tells nothing where nobody is to be known."""
        own = [entry for entry in entries if any(check.id in entry.verdicts for check in question.checks)]
        return sorted(own, key=lambda entry: byhand.handle(entry.id)) if anonymous else own

    def _reused(self, entries: Sequence[SubmissionEntry], at: int, question: Question) -> dict[str, list[str]]:
        """Lines of comments that others got at each check, the commonest first."""
        found = {}
        for check in question.checks:
            lines = Counter[str]()
            for place, entry in enumerate(entries):
                mark = entry.marks.get(check.id)
                if mark is not None and place != at:
                    lines.update({line.strip()[:LONGEST_REUSED] for line in mark.comment.split("\n") if line.strip()})
            found[check.id] = [line for line, _ in lines.most_common(REUSED)]
        return found

    def pictures(self, held: Kept | None, question: Question) -> list[code.Picture]:
        """What is to be seen of a question: its own picture files, and what its notebooks drew."""
        if held is None:
            return []
        stems = [PurePosixPath(name).with_suffix("") for name in question.files if not code.is_text(name)]
        found = []
        for name in sorted(held.files):
            path = PurePosixPath(name)
            own = any(path.parent == stem.parent and path.name.startswith(stem.name) for stem in stems)
            if name in question.files or own:
                found += code.pictures(name, held.files[name])
        return found[: code.MOST_PICTURES]

    def picture(self, name: str, handle: str, number: int) -> code.Picture:
        """One of them. Raises `Unknown`."""
        question = self.question(name)
        with self.opened.book.open() as book:
            ids = [row["id"] for row in book.execute("SELECT id FROM submissions")]
        found = next((one for one in ids if byhand.handle(one) == handle), None)
        if found is None:
            raise Unknown(handle)
        pictures = self.pictures(Store(self.opened.out).load(found), question)
        if not 0 <= number < len(pictures):
            raise Unknown(str(number))
        return pictures[number]

    def save(self, check_id: str, handle: str, *, points: float | None, comment: str, version: int) -> Mark:
        """Writes points and comment at once. Raises `Unknown`, `byhand.Refused` or `byhand.Conflict`."""
        check = self._check(check_id)
        with self.opened.book.open() as book, byhand.writing(book):
            ids = [row["id"] for row in book.execute("SELECT id FROM submissions")]
            name = next((one for one in ids if byhand.handle(one) == handle), None)
            if name is None:
                raise Unknown(handle)
            most = byhand.worth(book, self.opened.assignment)[check_id]
            mark = byhand.save(
                *(book, name, check), points=points, comment=comment, version=version, author=self.author, now=now(),
                most=most,
            )  # fmt: skip
        with self._lock:
            self._stale.add(name)
        return mark

    def set_worth(self, check_id: str, points: float) -> None:
        """Says what an answer can get. Raises `Unknown` or `byhand.Refused`."""
        check = self._check(check_id)
        with self.opened.book.open() as book, byhand.writing(book):
            byhand.set_worth(book, check, points)
        with self._lock:
            self._stale.add("")

    def _check(self, name: str) -> Check:
        checks = (check for question in self.opened.assignment.questions for check in question.checks)
        found = next((check for check in checks if check.id == name), None)
        if found is None:
            raise Unknown(name)
        return found

    @property
    def stale(self) -> bool:
        """Whether something was saved that tables, results and pages do not show yet."""
        with self._lock:
            return bool(self._stale)

    def write(self) -> bool:
        """Puts all that was saved into tables, results and pages; whether `class` left the folder to us for that."""
        with self._lock:
            taken, self._stale = self._stale, set()
        try:
            with alone(self.opened.out), self.opened.book.open() as book:
                publish.everything(book, self.opened.assignment, self.opened.out)
        except (CheckFailed, OSError):
            with self._lock:
                self._stale |= taken
            return False
        return True


def _waits(entry: SubmissionEntry, question: Question) -> bool:
    """Whether a person has something to read in it, or values that no judge could judge to look at."""
    for check in question.checks:
        verdict, mark = entry.verdicts.get(check.id), entry.marks.get(check.id)
        if check.manual and verdict is not None and entry.state(check) in ("to be read", "changed since"):
            return True
        unjudged = verdict is not None and verdict["status"] == "unjudgeable"
        if unjudged and (mark is None or mark.points is None):
            return True
    return False
