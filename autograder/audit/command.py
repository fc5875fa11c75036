"""`python -m autograder audit`: grades the grader, part by part, and writes the report that shows its own errors."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder import storage, version
from autograder.audit import documents, homework, progress, section
from autograder.audit.section import AuditPart, Promise, Section, Table
from autograder.audit.solutions import CaseError
from autograder.core import Assignment, CheckFailed
from autograder.output import pages
from autograder.storage import alone
from autograder.text import many

TEMPLATES = Path(__file__).with_name("templates")
REPORT, SECTIONS = "report.html", "sections.json"
PARTS = (
    *("mutants", "falsefails", "draws", "fairness", "wrappings", "attacks", "values", "fuzzing", "feedback"),
    "reproducing",
)
"""The parts' ids, in the order of the report. Each is a module of this package whose `PART` is the part."""


@dataclass(frozen=True)
class Done:
    """A part's section, when and how it was measured: by which grader, a slice or all, in how many seconds."""

    section: Section
    grader: str
    quick: bool
    seconds: float
    when: str


def part_of(name: str) -> AuditPart[Any]:
    """The part with this id."""
    part = importlib.import_module(f"autograder.audit.{name}").PART
    assert isinstance(part, AuditPart), name
    return part


def run(
    package: str, out: Path, *, quick: bool, only: Sequence[str], jobs: int, write_to: Path | bool | None = None
) -> int:
    """Measures the parts (all, or `only`) and writes the report; with `write_to` also a table into that document.

    `write_to=True` takes the homework's own document. Returns 0, 1 (a promise missed) or 2 (there is no such part or
    document, or another run is at work in `out`). Stopped at any moment it goes on from what is in `out`. Parts that
    were measured before, by the same grader and as thoroughly, stay in the report. A part that needs what the homework
    lacks is left out, with one line.
    """
    unknown = [name for name in only if name not in PARTS]
    if unknown:
        print(f"--part {unknown[0]} names no part. There are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    assignment = homework.load(package)
    chosen = [name for name in PARTS if not only or name in only]
    try:
        document = documents.chosen(write_to, homework.of(assignment).audit_document, COMMAND)
        with alone(out):
            return _run(package, assignment, out, quick, chosen, jobs, document)
    except (CheckFailed, CaseError) as fault:
        print(fault, file=sys.stderr)
        return 2


def _run(
    package: str,
    assignment: Assignment,
    out: Path,
    quick: bool,
    chosen: Sequence[str],
    jobs: int,
    document: Path | None,
) -> int:
    grader = version.of(assignment)
    kept = {id: done for id, done in _load(out).items() if done.grader == grader and done.quick == quick}
    print(
        f"Grading the grader ({grader}) with {many(jobs, 'process')}, {'a slice of' if quick else 'all of'} "
        f"{', '.join(chosen)}. What is measured goes to {out}, from where a run that was stopped goes on.",
        flush=True,
    )
    measured = []
    try:
        for name in chosen:
            part, started = part_of(name), time.monotonic()
            if lacks := part.lacks(assignment):
                print(f"\n{part.form.title}\n  – left out: {lacks}", flush=True)
                kept.pop(name, None)
                continue
            with progress.shown(name) as tell:
                found = part.measured(package, out, every=part.slice if quick else 1, jobs=jobs, tell=tell)
            kept[name] = Done(part.form.filled(found), grader, quick, time.monotonic() - started, documents.now())
            measured.append(name)
            _save(out, kept)
            write(out, assignment, kept)
            print(f"\n{section.text(kept[name].section)}\n  ({kept[name].seconds:.0f} s)", flush=True)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    if document is not None:
        documents.write(document, COMMAND, figures(kept))
        print(f"\nThe table of {len(kept)} parts is in {document}.")
    missed = [promise for name in measured for promise in kept[name].section.promises if not promise.holds]
    told = f"{many(len(missed), 'promise')} missed" if missed else "Every promise holds"
    print(f"\n{told}. Report: {out / REPORT}" if measured else "\nNothing was measured.")
    return 1 if missed else 0


def write(out: Path, assignment: Assignment, measured: Mapping[str, Done]) -> None:
    """Writes report.html, by rename, with the parts in their usual order."""
    parts = [measured[name] for name in PARTS if name in measured]
    page = pages.environment(TEMPLATES).get_template("audit.html.j2")
    machine = f"{many(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"
    left_out = []
    for name in PARTS:
        if name not in measured:
            part = part_of(name)
            lacks = part.lacks(assignment)
            left_out.append(f"{part.about} ({lacks})" if lacks else part.about)
    told = page.render(assignment=assignment, parts=parts, machine=machine, left_out=left_out, plain=section.plain)
    storage.save(out / REPORT, told)


COMMAND = "audit --write"
HEAD = ("part", "what is promised", "measured", "holds")


def figures(measured: Mapping[str, Done]) -> str:
    """The promises of all parts as Markdown: what a document shows of an audit."""
    parts = [measured[name] for name in PARTS if name in measured]
    if not parts:
        return "Nothing was measured."
    rows = [
        (done.section.title if place == 0 else "", one.what, one.measured, "yes" if one.holds else "**no**")
        for done in parts
        for place, one in enumerate(done.section.promises)
    ]
    share = "a slice of each part (`--quick`)" if parts[0].quick else "all of each part"
    times = "; ".join(f"{done.section.title}: {done.when}, {done.seconds:.0f} s" for done in parts)
    return f"Grader `{parts[0].grader}`, {share}. Measured: {times}.\n\n{documents.table(HEAD, rows)}"


# ------------------------------------------------------------------------------------ kept sections


def _save(out: Path, parts: Mapping[str, Done]) -> None:
    storage.save(out / SECTIONS, json.dumps({name: asdict(done) for name, done in parts.items()}, ensure_ascii=False))


def _load(out: Path) -> dict[str, Done]:
    """What earlier runs measured; nothing where the file is missing or of another form."""
    try:
        rows: dict[str, dict[str, Any]] = json.loads((out / SECTIONS).read_bytes())
        return {name: Done(**{**row, "section": _section(row["section"])}) for name, row in rows.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _section(row: Mapping[str, Any]) -> Section:
    promises = tuple(Promise(**one) for one in row["promises"])
    tables = tuple(
        Table(one["caption"], tuple(one["head"]), tuple(tuple(cells) for cells in one["rows"]), one["folded"])
        for one in row["tables"]
    )
    return Section(row["id"], row["title"], row["about"], promises, tables)
