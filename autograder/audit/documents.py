"""Puts figures into a document: a table between two marker lines, with the date and the grader, never typed by hand."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder import storage
from autograder.core import CheckFailed

BEGIN, END = "<!-- figures of `{}`: begin -->", "<!-- figures of `{}`: end -->"
"""The marker lines, around what the command of that name writes."""


def now() -> str:
    """The time for a reader, in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; what would end a cell or begin HTML is written so that it does not."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def cells(line: str) -> tuple[str, ...]:
    """What a line of a `table` holds; () where it is no line of one."""
    inner = re.fullmatch(r"\| (.*) \|", line)
    if inner is None:
        return ()
    return tuple(cell.replace("\\|", "|").replace("&lt;", "<") for cell in inner[1].split(" | "))


def chosen(write_to: Path | bool | None, usual: Path | None, command: str) -> Path | None:
    """Where the command's figures go: nowhere, to `write_to`, or for True to the homework's `usual` document.

    Raises CheckFailed where they cannot go there, before anything is measured.
    """
    if write_to is None or write_to is False:
        return None
    found = usual if write_to is True else write_to
    if found is None:
        raise CheckFailed("The homework names no document for these figures. Expected: --write FILE.")
    read(found, command)
    return found


def read(document: Path, command: str) -> str:
    """What stands between the markers of this command; raises CheckFailed where the document lacks them."""
    return _split(document, command)[1]


def write(document: Path, command: str, told: str) -> None:
    """Puts the text between the markers of this command; raises CheckFailed where the document lacks them."""
    before, _, after = _split(document, command)
    storage.save(document, f"{before}\n{told.strip()}\n{after}")


def _split(document: Path, command: str) -> tuple[str, str, str]:
    begin, end = BEGIN.format(command), END.format(command)
    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckFailed(
            f"{document} cannot be read ({type(error).__name__}), so no figures can be written there."
        ) from None
    found = re.fullmatch(rf"(.*^{re.escape(begin)}$)(.*)(^{re.escape(end)}$.*)", text, re.M | re.S)
    if found is None or text.count(begin) != 1 or text.count(end) != 1:
        raise CheckFailed(
            f"{document} has no place for these figures. Expected: a line {begin} and below it a line {end}."
        )
    return found[1], found[2].strip("\n"), found[3]
