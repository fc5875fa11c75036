"""Folders for one grading that workers can reach, removed at its end.

A folder is held by a lock, which the system lets go of when its owner ends, however that happens. So what a grader that
was killed left behind is known at once, and the next one removes it. A process id would not do: a folder in /tmp can be
another container's, which has the same numbers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FIRST_UID = 0x10000000
"""Workers of the judge with process id p run as user FIRST_UID + p: one user per judge, nobody's else."""
SECOND_UID = FIRST_UID + 0x400000
"""The same for a worker that runs beside another: Linux has no more process ids than lie between the two."""

DAY = 86400.0
PREFIX, HELD = "autograder-", ".held"


@contextmanager
def scratch() -> Iterator[Path]:
    """The folder; inside of it an empty `workspace`. What graders that were killed left goes, too."""
    # As root not below $TMPDIR, which may be inside a home that the worker's user cannot enter.
    with held(Path("/tmp" if os.geteuid() == 0 else tempfile.gettempdir())) as folder:
        folder.chmod(0o711)
        (folder / "workspace").mkdir()
        yield folder


@contextmanager
def held(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, of mode 0700, which is ours as long as this process lives; removed at the end."""
    sweep(parent)
    # It gets its name once it is locked: without the lock, a folder of that name is one that was left.
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = made.with_name(made.name.removeprefix(".") + HELD)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = made.rename(folder)
        yield folder
    finally:
        _remove(made)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Removes the folders of graders that are gone: those that nobody holds, and those without a lock after a day.

    Of our own user, or as root of workers' users, to whom the folder of a notebook's kernel belongs.
    """
    forms = (f"{PREFIX}????????{HELD}", f"{PREFIX}????????", f".{PREFIX}????????")
    for old in (path for form in forms for path in parent.glob(form)):
        with suppress(OSError):
            seen = old.lstat()
            ours = seen.st_uid == os.geteuid() or (os.geteuid() == 0 and seen.st_uid >= FIRST_UID)
            if (
                ours
                and stat.S_ISDIR(seen.st_mode)
                and (_is_left(old) if old.name.endswith(HELD) else time.time() - seen.st_mtime > DAY)
            ):
                _remove(old)


def _is_left(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _remove(folder: Path) -> None:
    """Whatever is in it: its owner may have nested folders deeper than Python's own rmtree can go."""
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)
