"""Files that a submission writes, kept in memory: a worker can write nowhere, and nothing that it wrote outlives it.

Students open a log at the top of utils.py, make a folder for results, save a model. None of it matters to an answer,
and all of it would fail where nothing can be written. A scratch folder for each worker was weighed and not chosen: a
folder is what a flood of small files got through once, it has to be made, watched and removed (3 ms of each worker's
30), and it asks for rights to write, truncate and remove that a worker has no other use for. Memory is bounded
already and gone with the process. So calls of Python that write below the working folder, the home or where Colab and
Kaggle keep files go to a dictionary of this process; the confinement beneath stays as it is, and nobody trusts this.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograder.sandbox.guest import optional

MOST_BYTES, MOST_FILES = 64 * 1024**2, 1000
ELSEWHERE = ("/content", "/kaggle", "/gdrive", "/drive", "/workspace", "/mnt/data")
"""Where students' machines keep files: Colab, Kaggle, a mounted drive, a container."""
MOUNTED = ("/content/drive", "/gdrive", "/drive", "/kaggle/input")
"""Below these any path without a suffix is a folder: what a student's drive holds is not known here."""

REPLACED = ("stat", "lstat", "mkdir", "rmdir", "remove", "rename", "listdir", "chdir", "chmod", "utime", "access")
"""The functions of `os` that look into the memory; unlink is remove, and replace is rename."""


class _File(io.BytesIO):
    """An open file of the memory, which keeps what was written whenever it is flushed or closed."""

    def __init__(self, memory: Memory, path: str, mode: str) -> None:
        super().__init__(memory.files.get(path, b"") if "w" not in mode else b"")
        self.name, self._mode = path, mode
        self._memory, self._path, self._append = memory, path, "a" in mode
        if self._append:
            self.seek(0, os.SEEK_END)
        if mode != "rb":
            memory.keep(path, self.getvalue())

    def write(self, data: Any, /) -> int:
        if self._append:
            self.seek(0, os.SEEK_END)
        if self.tell() + len(memoryview(data).cast("B")) > MOST_BYTES:
            raise _full()
        return super().write(data)

    def flush(self) -> None:
        if not self.closed and self._mode != "rb":
            self._memory.keep(self._path, self.getvalue())

    def close(self) -> None:
        self.flush()
        super().close()


class Memory:
    """What was written, by absolute path; with `disk_first` the disk is tried before: a kernel has a folder."""

    def __init__(self, *, disk_first: bool) -> None:
        self.disk_first = disk_first
        self.here = os.path.realpath(".")
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in REPLACED}
        self.real |= {"open": io.open, "rmtree": shutil.rmtree}
        self.homes = (self.here, os.path.expanduser("~"), *ELSEWHERE)  # noqa: PTH111

    def keep(self, path: str, data: bytes) -> None:
        """Stores a file's bytes. Raises OSError (ENOSPC) past the bounds."""
        size = sum(map(len, self.files.values())) - len(self.files.get(path, b"")) + len(data)
        if size > MOST_BYTES or (path not in self.files and len(self.files) + len(self.folders) >= MOST_FILES):
            raise _full()
        self.files[path] = data

    def own(self, path: Any) -> str:
        """The absolute path where it is one that may be written to here, else ""."""
        try:
            text = os.fsdecode(path)
        except TypeError:  # a descriptor
            return ""
        whole = os.path.abspath(text)  # noqa: PTH100  (of what may not exist)
        return whole if any(whole == home or whole.startswith(home + "/") for home in self.homes) else ""

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder that was made, or one of a machine that this is not."""
        above = any(path == place or place.startswith(path + "/") for place in (*ELSEWHERE, *MOUNTED))
        mounted = path.startswith(tuple(f"{place}/" for place in MOUNTED)) and not os.path.splitext(path)[1]  # noqa: PTH122
        return path in self.folders or (path.startswith(ELSEWHERE) and (above or mounted))

    def _disk(self, name: str, path: str, *arguments: Any, **named: Any) -> tuple[bool, Any]:
        """What the disk says where it may be asked: whether it worked, and the result."""
        if self.disk_first:
            try:
                return True, self.real[name](path, *arguments, **named)
            except FileExistsError:
                raise
            except OSError:
                pass
        return False, None

    # ---- what takes the place of Python's own

    def open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        given = (file, mode, buffering, encoding, errors, newline, closefd, opener)
        writing = any(letter in mode for letter in "wax+")
        path = self.own(file)
        if not path or (not writing and path not in self.files):
            try:
                return self.real["open"](*given)
            except FileNotFoundError:
                beside = os.path.join(self.here, os.path.basename(path))  # noqa: PTH118, PTH119
                if path.startswith(ELSEWHERE):  # a file of the upload, by the place that it had on a drive
                    return self.real["open"](beside, *given[1:])
                raise
        if writing:
            worked, opened = self._disk("open", path, *given[1:])
            if worked:
                return opened
            if path not in self.files:
                self._begin(path, mode)
        raw = _File(self, path, mode.replace("t", "") if "b" in mode else mode.replace("t", "") + "b")
        if "b" in mode:
            return raw
        return io.TextIOWrapper(raw, encoding, errors, newline, line_buffering=buffering == 1)

    def temporary(self, mode: str = "w+b", buffering: int = -1, *texts: Any, **named: Any) -> Any:
        """tempfile's NamedTemporaryFile and TemporaryFile."""
        name = f"{named.get('prefix') or 'tmp'}{len(self.files)}{named.get('suffix') or ''}"
        path = f"{named.get('dir') or self.here}/{name}"
        return self.open(path, mode, buffering, *(texts or (named.get("encoding"), named.get("errors"))))

    def _begin(self, path: str, mode: str) -> None:
        """Before a file is opened to be written that the memory does not hold yet."""
        there = _is(self.real["stat"], path, stat.S_ISREG)
        if "x" in mode and there:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if "w" not in mode and there:
            self.keep(path, Path(path).read_bytes())
        elif "r" in mode:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def stat(self, path: Any, *arguments: Any, **named: Any) -> Any:
        own = self.own(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if own in self.files:
            return os.stat_result((stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, len(self.files[own]), 0, 0, 0))
        if own and self.is_folder(own):
            return os.stat_result((stat.S_IFDIR | 0o755, 1, 1, 2, 0, 0, 4096, 0, 0, 0))
        return self.real["stat"](path, *arguments, **named)

    def lstat(self, path: Any, *arguments: Any, **named: Any) -> Any:
        own = self.own(path)
        if own in self.files or (own and self.is_folder(own)):
            return self.stat(path)
        return self.real["lstat"](path, *arguments, **named)

    def access(self, path: Any, *arguments: Any, **named: Any) -> bool:
        own = self.own(path)
        if own in self.files or own in self.folders:
            return True
        return bool(self.real["access"](path, *arguments, **named))

    def mkdir(self, path: Any, mode: int = 0o777, **named: Any) -> None:
        own = self.own(path)
        if not own:
            self.real["mkdir"](path, mode, **named)
            return
        if own in self.folders or own in self.files or _is(self.real["stat"], own, lambda _mode: True):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if self._disk("mkdir", own, mode)[0]:
            return
        parent = os.path.dirname(own)  # noqa: PTH120
        if own not in self.homes and not (self.is_folder(parent) or _is(self.real["stat"], parent, stat.S_ISDIR)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if len(self.files) + len(self.folders) >= MOST_FILES:
            raise _full()
        self.folders.add(own)

    def remove(self, path: Any, **named: Any) -> None:
        own = self.own(path)
        if own not in self.files:
            self.real["remove"](path, **named)
            return
        del self.files[own]

    def rmdir(self, path: Any, **named: Any) -> None:
        own = self.own(path)
        if own not in self.folders:
            self.real["rmdir"](path, **named)
            return
        self.folders.discard(own)

    def rename(self, old: Any, new: Any, **named: Any) -> None:
        own, other = self.own(old), self.own(new)
        if own not in self.files or not other:
            self.real["rename"](old, new, **named)
            return
        self.files[other] = self.files.pop(own)

    def listdir(self, path: Any = ".") -> Any:
        own = self.own(path) if not isinstance(path, int) else ""
        known = (*self.files, *self.folders) if own else ()
        inside = {one[len(own) + 1 :].partition("/")[0] for one in known if one.startswith(own + "/")}
        try:
            return sorted({*self.real["listdir"](path), *inside})
        except OSError:
            if own and self.is_folder(own):
                return sorted(inside)
            raise

    def chdir(self, path: Any) -> None:
        own = self.own(path)
        try:
            self.real["chdir"](path)
        except OSError:  # into a folder of another machine, or one that was made here: its files are those of this one
            if not own or not (self.is_folder(own) or own.startswith(ELSEWHERE)):
                raise

    def chmod(self, path: Any, *arguments: Any, **named: Any) -> None:
        if self.own(path) not in self.files:
            self.real["chmod"](path, *arguments, **named)

    def utime(self, path: Any, *arguments: Any, **named: Any) -> None:
        if self.own(path) not in self.files:
            self.real["utime"](path, *arguments, **named)

    def rmtree(self, path: Any, *arguments: Any, **named: Any) -> None:
        own = self.own(path)
        below = [one for one in (*self.files, *self.folders) if own and (one == own or one.startswith(own + "/"))]
        if not below:
            self.real["rmtree"](path, *arguments, **named)
        for one in below:
            self.files.pop(one, None)
            self.folders.discard(one)

    def save(self, obj: Any, f: Any, *arguments: Any, **named: Any) -> None:
        """torch.save, whose own writer opens paths without Python."""
        if isinstance(f, str | os.PathLike) and self.own(f):
            with self.open(f, "wb") as opened:
                self.real["save"](obj, opened, *arguments, **named)
        else:
            self.real["save"](obj, f, *arguments, **named)


def install(*, disk_first: bool) -> Memory:
    """Has this process's Python keep in memory what it would write where it may not; `disk_first` for a kernel."""
    memory = Memory(disk_first=disk_first)
    builtins.open = io.open = memory.open
    for name in REPLACED:
        setattr(os, name, getattr(memory, name))
    os.unlink = memory.remove
    os.replace = memory.rename  # type: ignore[assignment]
    shutil.rmtree = memory.rmtree  # type: ignore[assignment]
    if (tensors := optional.tensors()) is not None:
        memory.real["save"], tensors.torch.save = tensors.torch.save, memory.save
    if not disk_first:
        tempfile.tempdir = memory.here
        tempfile.NamedTemporaryFile = tempfile.TemporaryFile = memory.temporary
    return memory


def _full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is(look: Callable[..., Any], path: str, kind: Callable[[int], bool]) -> bool:
    try:
        return bool(kind(look(path).st_mode))
    except OSError:
        return False
