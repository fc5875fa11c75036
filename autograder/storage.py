"""The one way to write a file that others read, and the lock that keeps two runs out of one folder."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW = ".new-"
"""What the name of a file begins with that is not yet renamed: a run that was killed may leave one behind."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(path: Path, content: str | bytes, *, links: bool = True, mode: int = 0o644) -> None:
    """Writes a file, UTF-8 if it is text, so that a kill at any moment leaves the old or the new content, never a part.

    Only a regular file is replaced, or what is not there. A link, a device or a pipe stays what it is: the content is
    written into it, which a kill can interrupt. With `links=False` a link is replaced, too: somebody else put it there.
    A new file has the rights `mode`. Makes the folder. Raises OSError, after which the old content is there.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if not is_replaceable(path) and (links or not path.is_symlink()):
        _write_into(path, data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=NEW, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)  # a signal can come right after the rename
        raise


def is_replaceable(path: Path) -> bool:
    """Whether `save` puts a new file to this place: there is a regular file or nothing. A folder raises OSError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return True
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return stat.S_ISREG(mode)


def keeps_one(path: Path) -> bool:
    """Whether what is saved later takes the place of what was saved before: whoever reads a pipe gets all of it."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _write_into(path: Path, data: bytes) -> None:
    """What is behind `data` in a longer file goes last, so that little time is left for a kill to do harm."""
    with path.open("r+b" if path.is_file() else "wb", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) or 0 :]
        if path.is_file():
            file.truncate()


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Makes the folder and keeps other runs out: two would write over each other. Raises `CheckFailed` if one is in.

    What a run that was killed had not finished writing there is removed.
    """
    import fcntl  # which Windows lacks, where a bundle can be packed all the same

    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            from autograder.core import CheckFailed  # which needs numpy; who packs a bundle may not have it

            raise CheckFailed(f"Another run is writing to {out} at this moment.") from None
        for left in (*out.glob(f"{NEW}*"), *out.glob(f"*/{NEW}*")):
            left.unlink(missing_ok=True)
        yield
