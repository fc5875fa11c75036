"""Standard output and error that never end a grading: closed, full, read by `head`, or unable to write a character."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

GONE = (errno.EPIPE, errno.EBADF, errno.EIO)
"""Who read us has seen enough, the stream was closed, or the terminal is gone: nobody is there to be told."""


class Forgiving(io.TextIOBase):
    """A text stream in front of `held`, which is one of the standard streams.

    A character that the encoding lacks is written as "?". Once a write has failed, the rest is dropped, and `fault`
    says why, "" where nobody has to know. What a program does must not hang on whether somebody reads what it says.
    """

    def __init__(self, held: TextIO) -> None:
        self.held = held
        self.fault = ""
        self._dropped = False
        if isinstance(held, io.TextIOWrapper):
            with suppress(ValueError):  # it is closed
                held.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        self._try(lambda: self.held.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self.held.flush)

    def _try(self, act: Callable[[], object]) -> None:
        if self._dropped:
            return
        try:
            act()
        except ValueError:  # closed
            self._dropped = True
        except OSError as error:
            self._dropped = True
            self.fault = "" if error.errno in GONE else error.strerror or str(error)
            with suppress(OSError, ValueError):  # what is still buffered must not fail once more at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.held.fileno())

    def fileno(self) -> int:
        return self.held.fileno()

    def isatty(self) -> bool:
        return not self._dropped and self.held.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.held.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "replace"


def reserve() -> None:
    """Puts the null device where a standard stream was closed: else the next file that is opened gets its number.

    Then whatever is printed, by us or by a process that we start, would be written into that file.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


@contextmanager
def forgiving() -> Iterator[Forgiving]:
    """Standard output and error forgive until the end; gives that of the output."""
    reserve()
    before = sys.stdout, sys.stderr
    out = Forgiving(sys.stdout or os.fdopen(1, "w", closefd=False))
    sys.stdout = out
    sys.stderr = Forgiving(sys.stderr or os.fdopen(2, "w", closefd=False))
    try:
        yield out
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def can_show(characters: str) -> bool:
    """Whether standard output's encoding has all of these."""
    try:
        characters.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True
