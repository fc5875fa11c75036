"""Has a submission's notebooks read once for all of its workers, which would each spend 30 ms on parsing one anew.

One worker parses them and runs nothing (guest/notebook_cache.py); what it answers is put beside the notebooks, where
the others find it. It decides about nothing: what cannot be had from there is read from the notebook itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from autograder.core import Request, Values
from autograder.sandbox.protocol import MOST_READ, READ

READING = Request("notebook_cache:of_files", lambda _rng: {}, reads=True)


def keep(values: Values, workspace: Path, group: int | None) -> None:
    """Writes what `of_files` read of notebooks into the workspace, for the eyes of `group` if there is one."""
    folder = workspace / READ
    folder.mkdir(mode=0o700)
    known = {path.name for path in workspace.iterdir()}
    for index in range(MOST_READ):
        name, source = values.get(f"notebook{index}.name"), values.get(f"notebook{index}.source")
        there = isinstance(name, str) and name in known  # no path that leads elsewhere
        if there and isinstance(source, np.ndarray) and source.dtype == np.uint8:
            file = folder / f"{name}.json"
            file.write_bytes(source.tobytes())
            _open(file, 0o444, 0o440, group)
    _open(folder, 0o755, 0o550, group)


def _open(path: Path, all_may: int, group_may: int, group: int | None) -> None:
    if group is not None:
        os.chown(path, 0, group)
    path.chmod(all_may if group is None else group_may)
