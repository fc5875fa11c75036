"""Figures that are measured: printed one by one as they come, and written into a document together."""

from __future__ import annotations

import json
import os
import platform
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder import storage, version
from autograder.audit import documents, homework
from autograder.core import Assignment, CheckFailed
from autograder.text import many

HEAD = ("what", "measured", "promised", "kept")
NAME = 56
"""Characters of a name in a terminal's line; a longer one takes several lines, so that columns stay columns."""
BUSY = 0.5
"""The load a core, over the last minute, from which on a machine is too busy to state what something costs there: two
processes that share a core's caches each take up to twice their own CPU time."""


@dataclass(frozen=True)
class Figure:
    """What was measured, beside what is promised. `kept` is None where it could not be measured, or nothing is."""

    name: str
    measured: str
    promised: str = ""
    kept: bool | None = None
    samples: tuple[float, ...] = ()
    """The measurements that the figure is the median of, where it is one; for the JSON."""
    look: str = ""
    """Where to look if the promise is missed: a sentence."""

    @property
    def line(self) -> str:
        """For a terminal: a long name goes on in further lines, and the last one holds the figures."""
        sign = {True: "ok  ", False: "MISS", None: "    " if not self.promised else "----"}[self.kept]
        *first, last = textwrap.wrap(self.name, NAME, break_long_words=False) or [""]
        if len(last) > NAME:
            first, last = [*first, last], ""
        begins = [sign, *["    "] * len(first)]
        lines = [f"{begin}  {part}" for begin, part in zip(begins, first, strict=False)]
        return "\n".join([*lines, f"{begins[-1]}  {last:<{NAME}} {self.measured:<34} {self.promised}".rstrip()])


def median(name: str, samples: Sequence[float], most: float, *, digits: int = 2, look: str = "") -> Figure:
    """Seconds of which the median is promised to be at most `most`, with the smallest and the largest."""
    middle = statistics.median(samples)
    told = f"{middle:.{digits}f} s ({min(samples):.{digits}f} to {max(samples):.{digits}f})"
    return Figure(name, told, f"at most {most:g} s", middle <= most, tuple(samples), look)


def busy(load: float, *, anyway: bool) -> str:
    """Why no figure is stated under this load, or with `anyway` what marks those that are; "" on a quiet machine."""
    cores = os.cpu_count() or 1
    if load <= BUSY * cores:
        return ""
    told = (
        f"The machine is busy: its load is {load:.1f}, and up to {BUSY * cores:g} is quiet for {many(cores, 'core')}."
    )
    if anyway:
        return f"{told} So these figures are too large (--anyway)."
    return f"{told} Figures measured now would say nothing. Wait, or add --anyway, which marks them."


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


def looks(figures: Iterable[Figure]) -> list[str]:
    """For each promise that is missed a sentence that says so, and where to look."""
    missed = [one for one in figures if one.kept is False]
    return [f"Missed: {one.name}: {one.measured}, promised {one.promised}. {one.look}".rstrip() for one in missed]


def save(
    document: Path, command: str, assignment: Assignment, figures: Iterable[Figure], *, load: float, quick: bool
) -> Path:
    """Writes the figures as JSON beside the document, under the command's name; those of other commands stay."""
    path = document.with_suffix(".json")
    told = _saved(path)
    told[command] = {
        "grader": version.of(assignment),
        "measured": documents.now(),
        "cores": os.cpu_count(),
        "load": round(load, 2),
        "busy": bool(busy(load, anyway=True)),
        "quick": quick,
        "figures": [
            {"name": one.name, "measured": one.measured, "promised": one.promised, "kept": one.kept}
            | ({"samples": [round(each, 4) for each in one.samples]} if one.samples else {})
            for one in figures
        ],
    }
    storage.save(path, json.dumps(told, indent=1) + "\n")
    return path


def _saved(path: Path) -> dict[str, object]:
    """What is there already, by command. Raises CheckFailed where that is something else."""
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise CheckFailed(f"{path} is no JSON that figures could be added to. Expected: an object, or no such file.")
    return found


def document(assignment: Assignment, write_to: Path | bool | None, command: str) -> Path | None:
    """As documents.chosen, with the JSON beside the document, which must be one that figures can be added to."""
    found = documents.chosen(write_to, homework.of(assignment).bench_document, command)
    if found is not None:
        _saved(found.with_suffix(".json"))  # raises where it cannot be added to
    return found


def markdown(assignment: Assignment, figures: Sequence[Figure], *, quick: bool, load: float, timed: bool = True) -> str:
    """The figures as a document shows them; `load` is the machine's before the first was measured.

    Where none of them is `timed`, a busy machine is no matter.
    """
    rows = [
        (one.name, one.measured, one.promised, {True: "yes", False: "**no**", None: ""}[one.kept]) for one in figures
    ]
    machine = f"{many(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"
    share = "fewer repetitions (`--quick`)" if quick else "all repetitions"
    warned = busy(load, anyway=True) if timed else ""
    told = (
        f"Grader `{version.of(assignment)}`, {documents.now()}, {share}, on {machine} with a load of {load:.1f} before."
    )
    return f"{told}{' **' + warned + '**' if warned else ''}\n\n{documents.table(HEAD, rows)}"
