"""A submission's files for probes that only read them: none of its code runs, and nothing of torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autograder.sandbox.guest import beside, notebooks
from autograder.sandbox.phases import Phases


class Missing(Exception):
    """The submission lacks a file or a name that is graded."""


class Contents:
    """The submission in `workspace`.

    `absent` are graded files that it lacks (the workspace may hold the template's).
    """

    def __init__(self, workspace: Path, absent: Sequence[str] = ()) -> None:
        self.workspace = workspace
        self.absent = frozenset(absent)
        self.phases = Phases()
        self._cells: dict[str, tuple[notebooks.Cell, ...]] = {}
        self._sources: dict[str, notebooks.NotebookSource] = {}

    def cells(self, file: str) -> tuple[notebooks.Cell, ...]:
        """The code cells of the notebook `file`, read once."""
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        if file not in self._cells:
            try:
                self._cells[file] = notebooks.read((self.workspace / file).read_bytes())
            except (notebooks.NotebookUnreadable, OSError) as fault:
                raise Missing(f"{file} could not be read: {fault}") from None
        return self._cells[file]

    def source(self, file: str) -> notebooks.NotebookSource:
        """The statements of the notebook `file`, parsed once."""
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        if file not in self._sources:
            kept = beside.kept(self.workspace, file)
            self._sources[file] = kept or notebooks.source_of(self.cells(file), beside.beside(self.workspace, file))
        return self._sources[file]
