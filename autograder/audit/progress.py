"""How far a long measurement is: a bar with the remaining time, or a line now and then where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from autograder.audit.section import Tell

QUIET = 60.0
"""Seconds between two lines where nobody watches."""


@contextmanager
def shown(name: str) -> Iterator[Tell]:
    """Shows on standard error how many of how many steps of `name` are done, as it is told."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, said = Console(stderr=True), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(name, total=None)

        def tell(done: int, of: int) -> None:
            nonlocal said
            bar.update(line, completed=done, total=of)
            if not console.is_terminal and time.monotonic() - said > QUIET:
                said = time.monotonic()
                print(f"{name}: {done} of {of}", file=sys.stderr, flush=True)

        yield tell
