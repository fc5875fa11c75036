"""The probe that reads a submission's notebooks once for all of its workers (host/notebook_cache.py).

It runs nothing of them.

The same worker takes the fingerprints by which a class's code is compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autograder.sandbox import fingerprints
from autograder.sandbox.guest import notebooks
from autograder.sandbox.guest.contents import Contents
from autograder.sandbox.protocol import MOST_READ


def of_files(given: Mapping[str, Any], student: Contents) -> dict[str, Any]:
    """What can be read of the notebooks, and the fingerprints of the files `compared`, whose names stand in lines.

    `notebookN.name` and `notebookN.source`, the UTF-8 bytes (n,) of a packed Source; `fileN.name` and `fileN.hashes`.
    """
    told: dict[str, Any] = {}
    for index, path in enumerate(sorted(student.workspace.glob("*.ipynb"))[:MOST_READ]):
        with contextlib.suppress(Exception):  # whoever needs this one meets it again, and says so
            packed = student.source(path.name).packed().encode()
            told |= {f"notebook{index}.name": path.name, f"notebook{index}.source": np.frombuffer(packed, np.uint8)}
    compared = [file for file in given["compared"].split("\n") if file and file not in student.absent]
    code = [file for file in compared if file.endswith((".py", ".ipynb"))]
    for index, file in enumerate(code[: fingerprints.MAX_FILES]):
        told |= {
            f"file{index}.name": file,
            f"file{index}.hashes": fingerprints.of_texts(_texts(student.workspace / file)),
        }
    return told


def _texts(path: Path) -> list[str]:
    """A module's text or a notebook's cells; nothing where it cannot be read."""
    if path.suffix != ".ipynb":
        return [path.read_text("utf-8", "replace")]
    with contextlib.suppress(notebooks.NotebookUnreadable):
        return [cell.source for cell in notebooks.read(path.read_bytes())]
    return []
