"""A folder for one grading that workers can reach, removed at its end; and folders that one run has to itself."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autograder.core import Reject

DAY = 86400.0


@contextmanager
def scratch() -> Iterator[Path]:
    """The folder; inside of it an empty `box`. What graders that were killed left a day ago goes, too."""
    # As root not below $TMPDIR, which may be inside a home that the worker's user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="autograder-", dir="/tmp" if os.geteuid() == 0 else None))
    for old in folder.parent.glob("autograder-????????"):
        with suppress(OSError):
            seen = old.lstat()
            if seen.st_uid == os.geteuid() and time.time() - seen.st_mtime > DAY:
                shutil.rmtree(old, ignore_errors=True)
    folder.chmod(0o711)
    (folder / "box").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Makes the folder and keeps other runs out: two would write over each other. Raises `Reject` if one is in."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Reject(f"Another run is writing to {out} at this moment.") from None
        yield
