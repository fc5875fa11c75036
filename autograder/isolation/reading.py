"""Reads a submission's notebooks once for all of its workers, which would each spend 30 ms on parsing one anew.

One worker parses them and runs nothing; what it answers is put beside the notebooks, where the others find it. It
decides about nothing: what cannot be had from there, or not be read, is read from the notebook itself. The same worker
takes the fingerprints by which a class's code is compared.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autograder import fingerprints, notebooks
from autograder.core import Ask, Values

if TYPE_CHECKING:
    from autograder.isolation.student import Student

READ = ".read"
"""Where in a submission's box it stands."""
MOST = 20
"""Notebooks at the top of the box that are read; a homework has a handful."""
MOST_BESIDE = 1 << 20
"""Bytes of a file that a notebook runs."""
READING = Ask("reading:of_files", lambda _rng: {})


def of_files(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """What can be read of the notebooks, and the fingerprints of the files `compared`, whose names stand in lines.

    `notebookN.name` and `notebookN.source`, the UTF-8 bytes (n,) of a packed Source; `fileN.name` and `fileN.hashes`.
    """
    told: dict[str, Any] = {}
    for index, path in enumerate(sorted(student.box.glob("*.ipynb"))[:MOST]):
        with contextlib.suppress(Exception):  # whoever needs this one meets it again, and says so
            packed = student.source(path.name).packed().encode()
            told |= {f"notebook{index}.name": path.name, f"notebook{index}.source": np.frombuffer(packed, np.uint8)}
    compared = [file for file in given["compared"].split("\n") if file and file not in student.absent]
    return told | fingerprints.of_files(student.box, compared)


def keep(values: Values, box: Path, group: int | None) -> None:
    """Writes what `of_files` read of notebooks into the box, for the eyes of `group` if there is one."""
    folder = box / READ
    folder.mkdir(mode=0o700)
    known = {path.name for path in box.iterdir()}
    for index in range(MOST):
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


def beside(box: Path, file: str) -> notebooks.Reader:
    """Reads the files that lie beside the notebook or below."""
    folder = (box / file).parent

    def read(name: str) -> bytes | None:
        path = folder / name
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            return None
        with path.open("rb") as stream:
            return stream.read(MOST_BESIDE)

    return read


def kept(box: Path, file: str) -> notebooks.Source | None:
    """What was read of the notebook before, None where that is not known."""
    with contextlib.suppress(Exception):
        return notebooks.Source.unpacked((box / READ / f"{file}.json").read_text("utf-8"))
    return None
