"""Figures that are measured: printed one by one as they come, and written into a document together."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder import version
from autograder.audit import documents, homework
from autograder.core import Assignment, Reject
from autograder.text import many

HEAD = ("what", "measured", "promised", "kept")


@dataclass(frozen=True)
class Figure:
    """What was measured, beside what is promised. `kept` is None where it could not be measured, or nothing is."""

    name: str
    measured: str
    promised: str = ""
    kept: bool | None = None

    @property
    def line(self) -> str:
        """For a terminal."""
        sign = {True: "ok  ", False: "MISS", None: "    " if not self.promised else "----"}[self.kept]
        return f"{sign}  {self.name:<56} {self.measured:<34} {self.promised}".rstrip()


def shown(figures: Iterable[Figure]) -> list[Figure]:
    """All of them, each printed as soon as it is there."""
    found = []
    for figure in figures:
        print(figure.line, flush=True)
        found.append(figure)
    return found


def kept(figures: Iterable[Figure]) -> bool:
    """Whether no promise is missed."""
    return all(figure.kept is not False for figure in figures)


def document(assignment: Assignment, write_to: Path | bool | None, command: str) -> Path | None:
    """Where this command's figures go: nowhere, to `write_to`, or for True to the homework's own document.

    Raises Reject where they cannot go there, before anything is measured.
    """
    if write_to is None or write_to is False:
        return None
    found = homework.of(assignment).bench_document if write_to is True else write_to
    if found is None:
        raise Reject("The homework names no document for these figures. Expected: --write FILE.")
    documents.read(found, command)
    return found


def markdown(assignment: Assignment, figures: Sequence[Figure], *, quick: bool, load: float) -> str:
    """The figures as a document shows them; `load` is the machine's before the first was measured."""
    rows = [
        (one.name, one.measured, one.promised, {True: "yes", False: "**no**", None: ""}[one.kept]) for one in figures
    ]
    machine = f"{many(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"
    share = "fewer repetitions (`--quick`)" if quick else "all repetitions"
    told = (
        f"Grader `{version.of(assignment)}`, {documents.now()}, {share}, on {machine} with a load of {load:.1f} before."
    )
    return f"{told}\n\n{documents.table(HEAD, rows)}"
