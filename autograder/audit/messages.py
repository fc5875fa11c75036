"""`audit --messages FILE`: a document with every message that students read, so that a person can review all of them.

It holds what the reference is told by each check, and what each wrong solution is told by the checks that it names. The
inputs are drawn from the solution's name alone: the document changes only where a message does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder import storage, version
from autograder.audit import bank, casefiles, documents, homework, parallel, progress
from autograder.audit.inprocess import InProcess
from autograder.audit.journal import Journal, Key
from autograder.audit.section import Tell, nobody
from autograder.audit.solutions import CaseError, Solution
from autograder.core import Assignment, CheckFailed, Result, Submission
from autograder.grade import Grading
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.storage import alone
from autograder.text import many

REFERENCE = "the reference"
MOST_SECONDS = 3600.0
"""For all of the reference: on a busy machine, too, every check must be reached."""
SECONDS = re.compile(r"\b\d+(\.\d+)? (s|seconds|minutes?)\b")
"""A measured time, which is another one in each run."""


@dataclass(frozen=True)
class ListedMessage:
    """What one check says to one solution; `solution` is `REFERENCE` for the reference's."""

    check: str
    solution: str
    diagnosis: str
    text: str


# ------------------------------------------------------------------------------------ what is said


def to_reference(assignment: Assignment) -> list[ListedMessage]:
    """What every check says to the reference, whole runs of notebooks included."""
    same = Submission(assignment.reference, "messages", ours=True)
    with Sandbox(SandboxConfig(assignment.probes)) as sandbox:
        grading = Grading(sandbox, same, assignment, seconds=MOST_SECONDS)
        return [_message(REFERENCE, result) for result in grading.results()]


def to_solution(solution: Solution, assignment: Assignment) -> list[ListedMessage]:
    """What the checks that the solution names say to it, where they fail it. Only their requests are asked."""
    own = bank.only(bank.of(assignment, solution), {*solution.fails, *solution.sometimes})
    with bank.submitted(solution, own) as received:
        same = replace(received, digest=f"messages {solution.id}")
        results = list(Grading(InProcess(own.probes), same, own).results())
    return [_message(solution.id, result) for result in results if result.verdict.score < 1]


def _message(solution: str, result: Result) -> ListedMessage:
    verdict = result.verdict
    text = SECONDS.sub(r"# \2", verdict.message) if result.check.request.collector else verdict.message
    return ListedMessage(result.check.id, solution, verdict.diagnosis, " ".join(text.split()))


def collected(package: str, out: Path, *, jobs: int = 1, tell: Tell = nobody) -> list[ListedMessage]:
    """All messages; goes on from the journal in `out`, where a new grader or a changed solution begins anew."""
    assignment = homework.load(package)
    every = casefiles.bank_of(assignment)
    grader, journal = version.of(assignment), Journal(out / "messages.jsonl")
    work: dict[Key, tuple[Any, ...]] = {("", grader): (package, None)}
    work |= {(one.id, one.code, grader): (package, one) for one in every.wrong + every.half_right}
    return [
        ListedMessage(*one) for row in parallel.kept(journal, _collected, work, jobs, tell) for one in row["messages"]
    ]


def _collected(package: str, solution: Solution | None) -> dict[str, Any]:
    """A row of the journal: what is said to one solution, or to the reference."""
    assignment = homework.load(package)
    found = to_reference(assignment) if solution is None else to_solution(solution, assignment)
    return {"messages": [(one.check, one.solution, one.diagnosis, one.text) for one in found]}


# ------------------------------------------------------------------------------------ the document

HEAD = ("solutions", "diagnosis", "message")
BEFORE = "before"
SAME = "(the same)"
NEW = "(none)"


def document(
    assignment: Assignment, messages: Sequence[ListedMessage], before: Sequence[ListedMessage] | None = None
) -> str:
    """The document, in the order of the checks. With `before` each message has the older one beside it."""
    older = {(one.check, one.solution): one.text for one in before or ()}
    lines = [
        f"# Every message of {assignment.title}",
        "",
        "`python3 -m autograder audit --out DIR --messages FILE` writes this document. Do not edit it.",
        "",
        f"Each table is one check. Its first row is what {REFERENCE} is told, the others are what the wrong and "
        "half-right solutions of the bank are told. Solutions with the same message share a row.",
    ]
    for question in assignment.questions:
        lines += ["", f"## {question.number}. {question.title}"]
        for number, check in question.numbered:
            own = [one for one in messages if one.check == check.id]
            lines += ["", f"### {number} {check.name}", "", f"`{check.id}`", ""]
            lines.append(_table(own, None if before is None else older))
    return "\n".join(lines) + "\n"


def _table(own: Sequence[ListedMessage], older: Mapping[tuple[str, str], str] | None) -> str:
    """One check's messages; equal ones share a row."""
    rows: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for one in own:
        cells: tuple[str, ...] = (one.diagnosis, one.text)
        if older is not None:
            text = older.get((one.check, one.solution), NEW)
            cells += (SAME if text == one.text else text,)
        rows.setdefault((one.solution == REFERENCE, cells), []).append(one.solution)
    head = HEAD if older is None else (*HEAD, BEFORE)
    return documents.table(head, ([", ".join(names), *cells] for (_, cells), names in rows.items()))


CHECK_LINE = re.compile(r"`([^`]+)`")


def read(path: Path) -> list[ListedMessage]:
    """The messages of a document that `document` made, without those from before. Raises CheckFailed if it is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckFailed(f"{path} cannot be read ({type(error).__name__}). Expected: a file of --messages.") from None
    found = list(_read(lines))
    if not found:
        raise CheckFailed(f"{path} holds no messages. Expected: a file that --messages wrote.")
    return found


def _read(lines: Iterable[str]) -> Iterator[ListedMessage]:
    check = ""
    for line in lines:
        if named := CHECK_LINE.fullmatch(line):
            check = named[1]
        cells = documents.cells(line)
        if check and len(cells) >= len(HEAD) and cells[0] not in (HEAD[0], "---"):
            yield from (ListedMessage(check, name, cells[1], cells[2]) for name in cells[0].split(", "))


# ------------------------------------------------------------------------------------- the command


def run(package: str, out: Path, to: Path, *, jobs: int, before: Path | None = None) -> int:
    """Writes the document to `to`. Returns 0, or 2 where `before` is no such document or another run is in `out`."""
    assignment = homework.load(package)
    try:
        older = None if before is None else read(before)
        with alone(out), progress.shown("messages") as tell:
            found = collected(package, out, jobs=jobs, tell=tell)
    except (CheckFailed, CaseError) as fault:
        print(fault, file=sys.stderr)
        return 2
    storage.save(to, document(assignment, found, older))
    print(f"{many(len(found), 'message')} in {to}.")
    return 0
