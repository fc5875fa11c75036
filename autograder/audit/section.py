"""What a part of the audit found, in one form, so that the terminal, the report and the README tell the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Tell = Callable[[int, int], None]
"""Told how many of how many steps are done, so that a progress bar can show it."""


def nobody(_done: int, _of: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Table:
    """Rows of text or numbers below their heads. `folded` ones are long: a reader opens them."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
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


def text(section: Section) -> str:
    """The section for a terminal: its promises. The tables are the report's."""
    return "\n".join(
        [section.title, *(f"  {'✓' if one.holds else '✗'} {one.what}: {one.measured}" for one in section.promises)]
    )


def plain(cell: str | int | float) -> str:
    """A cell as text: numbers with at most four significant digits."""
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}" if isinstance(cell, float) else cell
