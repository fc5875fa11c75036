"""The report on a class as one HTML file that needs nothing else, and a page for each student.

There are two of each student's page: the staff's, with the code that was graded and what it printed, below `students`;
and the one for handing out, without either and without a way to anybody else's, which `handout` writes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from autograder import storage
from autograder.classroom import byhand, code, similarity
from autograder.classroom.byhand import Mark
from autograder.classroom.kept import Kept, Store
from autograder.core import LEFT_EMPTY, Array, Assignment, Check, Question
from autograder.message import Message
from autograder.output import pages

TEMPLATES = Path(__file__).with_name("templates")
CLASS = 20
"""Submissions below which no discrimination is given: with fewer, the 95 % interval of a correlation of 0 is wider
than 2 tanh(1.96 / sqrt(20 - 3)) = 0.88 (Fisher's transformation), so that it would say nothing."""
SLOWEST = 5
DIGEST = re.compile(r"(\w+):[0-9a-z]{8,}", re.ASCII)
"""A note that is equal where what it digests is equal: what that is, and the digest."""
ABSENT = ("missing", "unfilled")
"""Diagnoses that say that nothing was handed in to be judged."""
FAULTS = ("import", "raised", "memory", "deadline", "crashed", "ended", "flood", "unusable", "forged")
"""Diagnoses that say that the code could not be run to its end: see faults.told and wall."""
KEYS = ".keys.json"
"""What each student's page was made from, so that it is made anew only where that has changed."""

STOPPED = ("unjudgeable", "grader error", "not reached")
"""What a check's grading can end with but a verdict, the one that needs a person first."""


@dataclass(frozen=True)
class SubmissionEntry:
    """A submission with its verdicts, diagnoses and people's marks by check; `worth` is what each check can get."""

    row: sqlite3.Row
    students: tuple[sqlite3.Row, ...]
    verdicts: dict[str, sqlite3.Row]
    diagnoses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    worth: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    """Checks that are one line, since their files are not there, with that line's number."""
    settled: byhand.Settled | None = None
    """What a course's settings made of the points, None without any."""
    empty: frozenset[str] = frozenset()
    """Answers for a person in which nothing stands."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Messages in their parts, as JSON, by check."""

    def told(self, check: Check) -> Message:
        """What was said of a check."""
        text = self.verdicts[check.id]["message"]
        return Message.read(json.loads(self.parts[check.id]), text) if check.id in self.parts else Message(text)

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def names(self) -> str:
        return ", ".join(student["name"] or student["email"] or student["sid"] for student in self.students)

    @property
    def sought(self) -> str:
        """What a search finds it by."""
        told = [self.id, *(student[key] for student in self.students for key in ("name", "email", "sid"))]
        return " ".join(filter(None, told)).casefold()

    @property
    def read(self) -> bool:
        """Whether anything of it was graded."""
        return any(verdict["status"] == "graded" for verdict in self.verdicts.values())

    @property
    def status(self) -> str:
        if self.row["outcome"] == "grader error":
            return "grader error"
        if any(verdict["status"] == "unjudgeable" for verdict in self.verdicts.values()):
            return "could not be judged"
        missed = sum(verdict["status"] == "not reached" for verdict in self.verdicts.values())
        return f"{missed} not reached" if missed and self.row["outcome"] == "graded" else str(self.row["outcome"])

    def score(self, check: Check) -> float | None:
        """What the check got in the end: a person's points before the grader's. None: it has none, or not yet."""
        given = self.marks.get(check.id)
        if given is not None and given.points is not None:
            return given.points
        return self.graded(check)

    def graded(self, check: Check) -> float | None:
        """What the grader gave."""
        return self.verdicts[check.id]["score"] if check.id in self.verdicts else None

    def points(self, questions: Iterable[Question]) -> float:
        return sum(self.score(check) or 0.0 for question in questions for check in question.checks)

    @property
    def total(self) -> float:
        """All points: those of the grading and of people, by the course's settings."""
        if self.settled is not None:
            return self.settled.score
        more = sum(
            mark.points - (self.verdicts[check]["score"] or 0.0)
            for check, mark in self.marks.items()
            if mark.points is not None and check in self.verdicts
        )
        return float(round(self.row["score"] + more, 4))

    def most(self, question: Question) -> float:
        """What the question is worth, with the answers that people read."""
        return sum(self.worth.get(check.id, check.points) for check in question.checks)

    def state(self, check: Check) -> byhand.State:
        """How far the reading of an answer is that a person reads."""
        empty = check.id in self.empty or any(name in ABSENT for name in self.diagnoses.get(check.id, ()))
        verdict, given = self.verdicts.get(check.id), self.marks.get(check.id)
        return byhand.state(check, verdict, given, self.row["content"], empty=empty)

    def full(self, check: Check) -> bool:
        """Whether nothing was lost at a check that is not for a person to read."""
        score, verdict = self.score(check), self.verdicts.get(check.id)
        given = self.marks.get(check.id)
        by_hand = given is not None and given.points is not None
        return (
            score is not None
            and score >= check.points - 1e-9
            and (by_hand or (verdict is not None and verdict["status"] == "graded"))
        )

    def unread(self, assignment: Assignment) -> int:
        """Answers that still wait for a person."""
        checks = (check for question in assignment.questions for check in question.checks if check.manual)
        return sum(self.state(check) in ("to be read", "changed since") for check in checks)


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
    worth: float = 0.0
    lost: tuple[SubmissionEntry, ...] = ()
    """Who did not get all points of it."""


@dataclass(frozen=True)
class DiagnosisGroup:
    """A diagnosis: whose work has it, at which checks (their numbers), and the commonest message, without names."""

    name: str
    entries: tuple[SubmissionEntry, ...]
    checks: tuple[str, ...]
    example: str


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

    @property
    def top(self) -> float:
        return self.edges[-1]


def write(book: sqlite3.Connection, assignment: Assignment, out: Path) -> None:
    """Writes report.html and students/ID.html, each by rename, and removes pages of those who are not in the book.

    A student's page is made anew only where something that it shows has changed.
    """
    found = entries(book, assignment)
    made = environment()
    write_students(made, assignment, out, found)
    known = {f"{entry.id}.html" for entry in found}
    for path in (out / "students").iterdir():
        if path.name not in known and path.suffix in (".html", ".new"):
            path.unlink()
    storage.save(out / "report.html", made.get_template("report.html.j2").render(_report(book, assignment, found)))


def environment() -> jinja2.Environment:
    """The templates of a class, beside those that all reports share."""
    made = pages.environment(TEMPLATES)
    made.globals["finder"] = Markup((TEMPLATES / "finder.js").read_text())
    return made


def write_students(
    made: jinja2.Environment, assignment: Assignment, out: Path, found: Sequence[SubmissionEntry]
) -> int:
    """Writes the staff's pages that are out of date below `out`; returns how many those were."""
    folder, store = out / "students", Store(out)
    folder.mkdir(parents=True, exist_ok=True)
    sources = [path.read_bytes() for path in sorted((*TEMPLATES.iterdir(), *pages.HERE.glob("*.*"))) if path.is_file()]
    basis = hashlib.sha256(b"\0".join([*sources, Path(code.__file__).read_bytes()])).hexdigest()
    page = made.get_template("student.html.j2")
    told = [[question.title, question.optional, *((c.id, c.name, c.points, c.visibility) for c in question.checks)]
            for question in assignment.questions]  # fmt: skip
    same = json.dumps([basis, assignment.title, told])
    old, keys, written = _keys(folder), dict[str, str](), 0
    for at, entry in enumerate(found):
        before = found[at - 1] if at else None
        after = found[at + 1] if at + 1 < len(found) else None
        keys[entry.id] = _key(same, entry, store, before, after)
        if old.get(entry.id) == keys[entry.id] and (folder / f"{entry.id}.html").is_file():
            continue
        beside = _beside(assignment, store.load(entry.id))
        text = page.render(staff=True, before=before, after=after, **beside, **_student(assignment, entry))
        storage.save(folder / f"{entry.id}.html", text)
        written += 1
    if keys != old:
        storage.save(folder / KEYS, json.dumps(keys))
    return written


def _keys(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / KEYS).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(
    same: str, entry: SubmissionEntry, store: Store, before: SubmissionEntry | None, after: SubmissionEntry | None
) -> str:
    """A digest of all that the page shows."""
    try:
        held = store.path(entry.id).stat()
        stored: tuple[int, ...] = (held.st_mtime_ns, held.st_size)
    except OSError:
        stored = ()
    told = [
        *(tuple(entry.row), [tuple(student) for student in entry.students]),
        *(sorted(map(tuple, entry.verdicts.values())), sorted(entry.diagnoses.items()), sorted(entry.worth.items())),
        *(sorted(entry.missing.items()), entry.settled),
        *(sorted(entry.empty), [(name, asdict(given)) for name, given in sorted(entry.marks.items())], stored),
        *(None if beside is None else (beside.id, beside.names) for beside in (before, after)),
    ]
    return hashlib.sha256(f"{same}{json.dumps(told, default=str)}".encode("utf-8", "replace")).hexdigest()[:24]


def handout(book: sqlite3.Connection, assignment: Assignment, folder: Path) -> int:
    """Writes into `folder` the page of each student that can be handed out; returns how many.

    It shows what the student may see: neither code nor what it printed, no hidden check, and nobody else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = environment().get_template("student.html.j2")
    found = entries(book, assignment)
    for entry in found:
        nothing = _beside(assignment, None)
        text = page.render(staff=False, before=None, after=None, **nothing, **_student(assignment, entry))
        storage.save(folder / f"{entry.id}.html", text)
    return len(found)


def _student(assignment: Assignment, entry: SubmissionEntry) -> dict[str, Any]:
    """What both kinds of a student's page show."""
    extra = sum(entry.most(question) for question in assignment.questions if question.optional)
    return {
        "assignment": assignment,
        "entry": entry,
        "total": entry.total,
        "required": [question for question in assignment.questions if not question.optional],
        "optional": [question for question in assignment.questions if question.optional],
        "most": sum(entry.most(question) for question in assignment.questions if not question.optional),
        "extra": extra,
    }


def _beside(assignment: Assignment, held: Kept | None) -> dict[str, Any]:
    """What the staff's page shows of the files: their code, and what they printed. Both empty for a handout."""
    found = [] if held is None else files(assignment, held)
    return {
        "files": found,
        "anchors": {file.name: f"file{at}" for at, file in enumerate(found)},
        "held": held,
        "printed": {} if held is None else held.printed,
    }


def files(assignment: Assignment, held: Kept, only: Iterable[str] | None = None) -> list[code.Shown]:
    """The submission's text files, those first that are graded; `only` those where it is given."""
    graded = {name: place for place, name in enumerate(assignment.graded)}
    names = sorted(held.files, key=lambda name: (graded.get(name, len(graded)), name))
    chosen = [name for name in names if code.is_text(name) and (name in graded or not name.endswith(".json"))]
    found = []
    for name in chosen if only is None else [name for name in chosen if name in set(only)]:
        template = assignment.template / name
        one = code.shown(name, held.files[name], template.read_bytes() if template.is_file() else None)
        if one.touched or name in graded:
            found.append(one)
    return found


def entries(book: sqlite3.Connection, assignment: Assignment, only: Question | None = None) -> list[SubmissionEntry]:
    """Every submission of the book, by id; with the verdicts of one question alone where `only` names it."""
    checks = [check.id for check in only.checks] if only else []
    where = f" WHERE check_id IN ({', '.join('?' * len(checks))})" if only else ""
    students: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in book.execute("SELECT * FROM students ORDER BY submission, place"):
        students[row["submission"]].append(row)
    verdicts: dict[str, dict[str, sqlite3.Row]] = defaultdict(dict)
    for row in book.execute(f"SELECT * FROM verdicts{where}", checks):
        verdicts[row["submission"]][row["check_id"]] = row
    diagnoses: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for submission, check, name in book.execute(
        f"SELECT submission, check_id, diagnosis FROM diagnoses{where}", checks
    ):
        diagnoses[submission][check] = (*diagnoses[submission].get(check, ()), name)
    missing: dict[str, dict[str, str]] = defaultdict(dict)
    for row in book.execute("SELECT * FROM missing"):
        missing[row["submission"]][row["check_id"]] = row["number"]
    settled = byhand.settled(book, assignment)
    empty: dict[str, set[str]] = defaultdict(set)
    for submission, check in book.execute("SELECT submission, check_id FROM notes WHERE note = ?", (LEFT_EMPTY,)):
        empty[submission].add(check)
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    for submission, check, said in book.execute(f"SELECT submission, check_id, parts FROM told{where}", checks):
        parts[submission][check] = said
    marks, worth = byhand.marks(book), byhand.worth(book, assignment)
    found = []
    for row in book.execute("SELECT * FROM submissions ORDER BY id"):
        name = row["id"]
        own = verdicts[name], diagnoses[name], marks.get(name, {}), worth
        one_line = missing.get(name, {}), settled.get(name)
        found.append(SubmissionEntry(row, tuple(students[name]), *own, *one_line, frozenset(empty[name]), parts[name]))
    return found


def _report(book: sqlite3.Connection, assignment: Assignment, entries: list[SubmissionEntry]) -> dict[str, Any]:
    """All that the report's template shows."""
    required = [question for question in assignment.questions if not question.optional]
    read = [entry for entry in entries if entry.read]
    seconds = [entry.row["seconds"] for entry in read]
    memory = [entry.row["memory"] / 2**20 for entry in read if entry.row["memory"] is not None]
    scores = [entry.points(required) for entry in read]
    totals = {entry.id: entry.total for entry in entries}
    items = analyse(assignment, read)
    told = _diagnoses(assignment, entries)
    most = assignment.points + byhand.added(book, assignment)
    return {
        "assignment": assignment,
        "run": book.execute("SELECT * FROM runs ORDER BY id DESC LIMIT 1").fetchone(),
        "graders": Counter(entry.row["grader"] for entry in entries).most_common(),
        "settings": _settings(book),
        "sandboxes": Counter(entry.row["isolation"] for entry in entries if entry.row["isolation"]).most_common(),
        "entries": entries,
        "totals": totals,
        "by_id": {entry.id: entry for entry in entries},
        "statuses": Counter(entry.status for entry in entries).most_common(),
        "read": read,
        "outcomes": Counter(entry.row["outcome"] for entry in entries),
        "unread": {entry.id: entry.unread(assignment) for entry in entries},
        "written": any(check.manual for question in assignment.questions for check in question.checks),
        "most": most,
        "extra": assignment.extra + byhand.added(book, assignment, optional=True),
        "worth_of": lambda question: sum(byhand.worth(book, assignment)[check.id] for check in question.checks),
        "quartiles": np.quantile(scores, (0.25, 0.5, 0.75)).tolist() if scores else None,
        "whole": float(np.median([totals[entry.id] for entry in read])) if read else None,
        "scores": histogram("Points in the required questions", "points", scores, most, exact=True),
        "questions": [
            (
                question,
                histogram(
                    f"{question.number}: {question.title}",
                    "points",
                    [entry.points([question]) for entry in read],
                    sum(byhand.worth(book, assignment)[check.id] for check in question.checks),
                    bins=13,
                    exact=True,
                ),
            )
            for question in assignment.questions
        ],
        "items": items,
        "lost": _places(entries, {str(at): item.lost for at, item in enumerate(items)}),
        "hardest": sorted((item for item in items if item.share is not None), key=lambda item: item.share or 0.0)[:3],
        "least": CLASS,
        "stopped": _stopped(assignment, entries),
        "told": told,
        "told_of": _places(entries, {str(at): one.entries for at, one in enumerate(told)}),
        "misconceptions": [(at, one) for at, one in enumerate(told) if one.name not in (*ABSENT, *FAULTS)],
        "broken": [(at, one) for at, one in enumerate(told) if one.name in FAULTS],
        "absent": [(at, one) for at, one in enumerate(told) if one.name in ABSENT],
        "seconds": histogram("Seconds per submission", "s", seconds, max(seconds, default=1.0)),
        "memory": histogram("Peak memory per submission", "MB", memory, max(memory, default=1.0)),
        "slowest": sorted(read, key=lambda entry: -entry.row["seconds"])[:SLOWEST],
        "equal": _equal((entry.row["content"], entry) for entry in read if entry.row["score"] > 0),
        "alike": similarity.read(book, {entry.id: entry.row["content"] or entry.id for entry in read}),
        "rule": similarity,
        **_notes(book, assignment, entries),
    }


def _settings(book: sqlite3.Connection) -> list[tuple[str, str]]:
    """What the course has set, by key, of the graders whose word the book holds; each pair once."""
    rows = book.execute(
        "SELECT DISTINCT key, value FROM settings WHERE grader IN (SELECT grader FROM submissions) ORDER BY rowid"
    )
    return [(row["key"], row["value"]) for row in rows]


def _places(entries: Sequence[SubmissionEntry], groups: Mapping[str, Sequence[SubmissionEntry]]) -> dict[str, str]:
    """For each entry the names of the groups that it is in, as one text."""
    found: dict[str, list[str]] = {entry.id: [] for entry in entries}
    for name, members in groups.items():
        for entry in members:
            found[entry.id].append(name)
    return {name: " ".join(groups) for name, groups in found.items()}


# ------------------------------------------------------------------------------------------- figures


def analyse(assignment: Assignment, read: Sequence[SubmissionEntry]) -> list[Item]:
    """Classical item analysis of every check over the submissions at which it was judged, by the grader or a person."""
    places = [(number, question, check) for question in assignment.questions for number, check in question.numbered]
    total = np.array([entry.points(assignment.questions) for entry in read])
    items = []
    for number, question, check in places:
        judged = np.array([_is_judged(entry, check) for entry in read], bool)
        own = [entry for entry, is_judged in zip(read, judged, strict=True) if is_judged]
        scores = np.array([entry.score(check) for entry in own], float)  # (judged,)
        times = [entry.verdicts[check.id]["seconds"] for entry in own if check.id in entry.verdicts]
        times = [seconds for seconds in times if seconds is not None]
        worth = own[0].worth.get(check.id, check.points) if own else check.points
        full = worth if worth > 0 else 1.0
        figure, reason = discrimination(scores, total[judged] - scores) if own else (None, "not judged")
        items.append(
            Item(
                *(number, question, check, len(own)),
                float(np.mean(scores >= full - 1e-9)) if own else None,
                float(scores.mean()) if own else None,
                float(scores.mean()) / full if own else None,
                *(figure, reason),
                float(np.median(times)) if times else None,
                worth,
                tuple(entry for entry, score in zip(own, scores, strict=True) if score < full - 1e-9),
            )
        )
    return items


def _is_judged(entry: SubmissionEntry, check: Check) -> bool:
    verdict, given = entry.verdicts.get(check.id), entry.marks.get(check.id)
    if given is not None and given.points is not None:
        return True
    return verdict is not None and verdict["status"] == "graded" and verdict["score"] is not None


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


def histogram(
    title: str, unit: str, values: Sequence[float], top: float, *, bins: int = 20, exact: bool = False
) -> Histogram:
    """Counts of values from 0 to `top` in at most `bins` steps whose width is 1, 2 or 5 times a power of ten.

    With `exact` the last edge is `top` itself, so that no axis goes on where no value can be: the last step is then
    shorter than the others where these do not divide it.
    """
    top = max(top, 1e-3)
    least = top / bins
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    edges = step * np.arange(math.ceil(top / step - 1e-9) + 1)
    if exact:
        edges[-1] = top
    # Sums of points such as 0.1 + 0.2 lie beside their edge; scores have four decimals.
    counts, _ = np.histogram(np.clip(np.round(np.array(values, float), 4), edges[0], edges[-1]), np.round(edges, 4))
    return Histogram(title, unit, tuple(np.round(edges, 4).tolist()), tuple(counts.tolist()))


# -------------------------------------------------------------------------------------------- groups


def _stopped(
    assignment: Assignment, entries: Sequence[SubmissionEntry]
) -> list[tuple[str, str, list[SubmissionEntry]]]:
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


def _diagnoses(assignment: Assignment, entries: Sequence[SubmissionEntry]) -> list[DiagnosisGroup]:
    """Every diagnosis of a check that is no answer for a person, the commonest first."""
    numbers = {
        check.id: number for question in assignment.questions for number, check in question.numbered if not check.manual
    }
    found: dict[str, list[tuple[SubmissionEntry, str]]] = defaultdict(list)
    for entry in entries:
        for check, names in entry.diagnoses.items():
            if check in numbers and check in entry.verdicts:
                for name in names:
                    found[name].append((entry, check))
    lines = []
    for diagnosis, places in found.items():
        messages = Counter(entry.verdicts[check]["message"] for entry, check in places)
        example = min(messages, key=lambda message: (-messages[message], len(message), message))
        for entry in [entry for entry, check in places if entry.verdicts[check]["message"] == example]:
            example = nameless(example, entry)
        met = {check for _, check in places}
        checks = tuple(number for check, number in numbers.items() if check in met)
        whose = tuple({entry.id: entry for entry, _ in places}.values())
        lines.append(DiagnosisGroup(diagnosis, whose, checks, example))
    return sorted(lines, key=lambda line: (-len(line.entries), line.name))


def nameless(message: str, entry: SubmissionEntry) -> str:
    """The text without the names of those who handed in, which an exception's text may hold."""
    told = [entry.id, *(student[key] for student in entry.students for key in ("name", "sid", "email"))]
    words = {word for text in told for word in (text, *text.split(), text.partition("@")[0]) if len(word) > 2}
    for word in sorted(words, key=len, reverse=True):
        message = re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", "(name)", message, flags=re.IGNORECASE)
    return message


def nameless_file(file: code.Shown, entry: SubmissionEntry) -> code.Shown:
    """The same with its lines."""

    def plain(block: code.Block) -> code.Block:
        return replace(block, lines=tuple(replace(line, text=nameless(line.text, entry)) for line in block.lines))

    parts = tuple(
        plain(part) if isinstance(part, code.Block) else code.Fold(tuple(map(plain, part.blocks)))
        for part in file.parts
    )
    return replace(file, parts=parts)


def _equal(pairs: Iterable[tuple[str, SubmissionEntry]]) -> list[list[SubmissionEntry]]:
    """Entries with one key, where there is more than one; an empty key is none."""
    groups: dict[str, list[SubmissionEntry]] = defaultdict(list)
    for key, entry in pairs:
        groups[key].append(entry)
    return [group for key, group in groups.items() if key and len(group) > 1]


def _notes(book: sqlite3.Connection, assignment: Assignment, entries: Sequence[SubmissionEntry]) -> dict[str, Any]:
    """The staff's notes: `copies` are equal digests, where the check earned points; `odd` are all others."""
    by_id = {entry.id: entry for entry in entries}
    numbers = {
        check.id: f"{number} {check.name}" for question in assignment.questions for number, check in question.numbered
    }
    digests: dict[tuple[str, str], list[SubmissionEntry]] = defaultdict(list)
    odd: dict[tuple[str, str], list[SubmissionEntry]] = defaultdict(list)
    for submission, check, note in book.execute(
        "SELECT DISTINCT submission, check_id, note FROM notes WHERE note != ?", (LEFT_EMPTY,)
    ):
        entry = by_id[submission]
        if check in numbers and DIGEST.fullmatch(note) is None:
            odd[numbers[check], note].append(entry)
        elif check in numbers and entry.verdicts[check]["score"]:
            digests[numbers[check], note].append(entry)
    return {
        "copies": [(check, note.partition(":")[0], met) for (check, note), met in digests.items() if len(met) > 1],
        "odd": sorted(((check, note, met) for (check, note), met in odd.items()), key=lambda line: len(line[2])),
    }
