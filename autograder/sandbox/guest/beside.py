"""What lies beside a notebook: files that it runs, and what was read of it before for all workers."""

from __future__ import annotations

import contextlib
from pathlib import Path

from autograder.sandbox.guest import notebooks
from autograder.sandbox.protocol import READ

MOST_BESIDE = 1 << 20
"""Bytes of a file that a notebook runs."""


def beside(workspace: Path, file: str) -> notebooks.Reader:
    """Reads the files that lie beside the notebook or below."""
    folder = (workspace / file).parent

    def read(name: str) -> bytes | None:
        path = folder / name
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(MOST_BESIDE)

    return read


def kept(workspace: Path, file: str) -> notebooks.NotebookSource | None:
    """What was read of the notebook before, None where that is not known."""
    with contextlib.suppress(Exception):
        return notebooks.NotebookSource.unpacked((workspace / READ / f"{file}.json").read_text("utf-8"))
    return None
