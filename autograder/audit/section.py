"""What a part of the audit found, in one form, so that the terminal, the report and the documents say the same.

A part states its promises and tables once, as data: a `Form`, whose texts and columns are functions of what is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from autograder.core import Assignment

Tell = Callable[[int, int], None]
"""Told how many of how many steps are done, so that a progress bar can show it."""
Cell = str | int | float
Found = TypeVar("Found")
Measured = TypeVar("Measured", covariant=True)


def nobody(_done: int, _of: int) -> None:
    """Tells nobody."""


# ---------------------------------------------------------------------------------------- what is found


@dataclass(frozen=True)
class Table:
    """Rows of text or numbers below their heads. `folded` ones are long: a reader opens them."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False


@dataclass(frozen=True)
class Promise:
    """What must hold, what was measured, and whether it does."""

    what: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Section:
    """One part: what it is for in a sentence or two, what was promised, and the tables that show it."""

    id: str
    title: str
    about: str
    promises: tuple[Promise, ...]
    tables: tuple[Table, ...] = ()

    @property
    def holds(self) -> bool:
        return all(promise.holds for promise in self.promises)


# ------------------------------------------------------------------------------- how a part will tell it


def always(_found: object) -> bool:
    """There is something to promise, whatever is found."""
    return True


@dataclass(frozen=True)
class Claim(Generic[Found]):
    """One promise of a form: its text, what is said of the measurement, and whether it holds.

    It is made only where there is something to promise, as `when` says.
    """

    what: str
    measured: Callable[[Found], str]
    holds: Callable[[Found], bool]
    when: Callable[[Found], object] = always

    def __call__(self, found: Found) -> tuple[Promise, ...]:
        return (Promise(self.what, self.measured(found), self.holds(found)),) if self.when(found) else ()


@dataclass(frozen=True)
class TableForm(Generic[Found]):
    """One table of a form: what has a row, and by the head of each column what of it stands there."""

    caption: str
    rows: Callable[[Found], Iterable[Any]]
    columns: Mapping[str, Callable[[Any], Cell]]
    folded: bool = False

    def __call__(self, found: Found) -> Table:
        cells = tuple(tuple(cell(row) for cell in self.columns.values()) for row in self.rows(found))
        return Table(self.caption, tuple(self.columns), cells, self.folded)


@dataclass(frozen=True)
class SectionForm(Generic[Found]):
    """A part's section before it is measured.

    Where the number of promises or columns depends on what is found, a function takes a claim's or a listing's place.
    """

    id: str
    title: str
    about: str
    claims: tuple[Callable[[Found], Iterable[Promise]], ...]
    listings: tuple[Callable[[Found], Table], ...] = ()

    def filled(self, found: Found) -> Section:
        """The section of what was found."""
        promises = tuple(promise for claim in self.claims for promise in claim(found))
        return Section(self.id, self.title, self.about, promises, tuple(table(found) for table in self.listings))


class Measure(Protocol[Measured]):
    """Measures a part of a homework's audit, of which one in `every` things is taken; goes on from what is in `out`."""

    def __call__(self, package: str, out: Path, /, *, every: int, jobs: int, tell: Tell) -> Measured: ...


def nothing(_assignment: Assignment) -> str:
    """A homework lacks nothing of what the part needs."""
    return ""


@dataclass(frozen=True)
class AuditPart(Generic[Found]):
    """A part of the audit: what it looks at in a few words, how it is measured, and how it tells what it found.

    With --quick it takes one of `slice` things. `lacks` says why a homework cannot be audited so, "" if it can.
    """

    about: str
    slice: int
    measured: Measure[Found]
    form: SectionForm[Found]
    lacks: Callable[[Assignment], str] = nothing


# --------------------------------------------------------------------------------------- for people's eyes


def text(section: Section) -> str:
    """The section for a terminal: its promises. The tables are the report's."""
    return "\n".join(
        [section.title, *(f"  {'✓' if one.holds else '✗'} {one.what}: {one.measured}" for one in section.promises)]
    )


def plain(cell: Cell) -> str:
    """A cell as text: numbers with at most four significant digits."""
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}" if isinstance(cell, float) else cell


def first(some: Iterable[str], most: int = 5) -> str:
    """The first of these behind a promise's measurement, each behind a semicolon; nothing where there are none."""
    return "".join(f"; {one}" for _, one in zip(range(most), some, strict=False))


def but(count: int, of: int, left: Iterable[str]) -> str:
    """`5 of 7: not a, b`, or `7 of 7`."""
    names = ", ".join(left)
    return f"{count:,} of {of:,}{f': not {names}' if names else ''}"
