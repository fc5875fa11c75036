"""`python -m autograder audit`: grades the grader, part by part, and writes the report that shows its own errors."""

from __future__ import annotations

import datetime
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder import storage, version
from autograder.audit import section
from autograder.audit.section import Promise, Section, Table, Tell
from autograder.audit.solutions import CaseError
from autograder.core import Assignment, Reject
from autograder.output import pages
from autograder.storage import alone
from autograder.text import many

TEMPLATES = Path(__file__).with_name("templates")
REPORT, SECTIONS = "report.html", "sections.json"


@dataclass(frozen=True)
class Part:
    """A module with `measured` and `section`. With --quick it takes one of `slice` things."""

    module: str
    about: str
    slice: int


PARTS: Mapping[str, Part] = {
    "mutants": Part("killing", "mutants of every graded reference function", 60),
    "falsefails": Part("falsefails", "statistical checks, and thousands of gradings of right solutions", 40),
    "draws": Part("draws", "right solutions and numerical methods, draw by draw", 40),
    "fairness": Part("fairness", "right solutions written differently, and half-right ones", 12),
    "wrappings": Part("wrappings", "right solutions wrapped as other people would", 300),
    "attacks": Part("levels", "hostile submissions at four levels of isolation", 12),
    "values": Part("values", "near-right answers with values at extremes, for every judge", 100),
    "fuzzing": Part("fuzzing", "hostile bytes for everything that reads them", 50),
    "feedback": Part("feedback", "what wrong solutions are told", 12),
    "reproducing": Part("reproducing", "the same upload many times, and solutions that count on a seed", 25),
}


@dataclass(frozen=True)
class Done:
    """A part's section, when and how it was measured: by which grader, a slice or all, in how many seconds."""

    section: Section
    grader: str
    quick: bool
    seconds: float
    when: str


def run(homework: str, out: Path, *, quick: bool, only: Sequence[str], jobs: int) -> int:
    """Measures the parts (all, or `only`) and writes the report.

    Returns 0, 1 (a promise missed) or 2 (there is no such part, or another run is at work in `out`). Stopped at any
    moment it goes on from what is in `out`. Parts that were measured before, by the same grader and as thoroughly,
    stay in the report.
    """
    unknown = [name for name in only if name not in PARTS]
    if unknown:
        print(f"--part {unknown[0]} names no part. There are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    chosen = [name for name in PARTS if not only or name in only]
    try:
        with alone(out):
            return _run(homework, assignment, out, quick, chosen, jobs)
    except (Reject, CaseError) as fault:
        print(fault, file=sys.stderr)
        return 2


def _run(homework: str, assignment: Assignment, out: Path, quick: bool, chosen: Sequence[str], jobs: int) -> int:
    grader = version.of(assignment)
    kept = {id: done for id, done in _load(out).items() if done.grader == grader and done.quick == quick}
    print(
        f"Grading the grader ({grader}) with {many(jobs, 'process')}, {'a slice of' if quick else 'all of'} "
        f"{', '.join(chosen)}. What is measured goes to {out}, from where a run that was stopped goes on.",
        flush=True,
    )
    try:
        for name in chosen:
            part, started = PARTS[name], time.monotonic()
            module = importlib.import_module(f"autograder.audit.{part.module}")
            with _progress(name) as tell:
                found = module.measured(homework, out, every=part.slice if quick else 1, jobs=jobs, tell=tell)
            now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
            kept[name] = Done(module.section(found), grader, quick, time.monotonic() - started, now)
            _save(out, kept)
            write(out, assignment, kept)
            print(f"\n{section.text(kept[name].section)}\n  ({kept[name].seconds:.0f} s)", flush=True)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    missed = [promise for name in chosen for promise in kept[name].section.promises if not promise.holds]
    told = f"{many(len(missed), 'promise')} missed" if missed else "Every promise holds"
    print(f"\n{told}. Report: {out / REPORT}")
    return 1 if missed else 0


def write(out: Path, assignment: Assignment, measured: Mapping[str, Done]) -> None:
    """Writes report.html, by rename, with the parts in their usual order."""
    parts = [measured[name] for name in PARTS if name in measured]
    page = pages.environment(TEMPLATES).get_template("audit.html.j2")
    machine = f"{many(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"
    left_out = [part.about for name, part in PARTS.items() if name not in measured]
    told = page.render(assignment=assignment, parts=parts, machine=machine, left_out=left_out, plain=section.plain)
    storage.save(out / REPORT, told)


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


# ------------------------------------------------------------------------------------ for people's eyes


@contextmanager
def _progress(name: str) -> Iterator[Tell]:
    """A bar with the remaining time, or nothing but a line now and then where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, said = Console(stderr=True), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(name, total=None)

        def tell(done: int, of: int) -> None:
            nonlocal said
            bar.update(line, completed=done, total=of)
            if not console.is_terminal and time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{name}: {done} of {of}", file=sys.stderr, flush=True)

        yield tell
