"""Who handed in what: a Gradescope export, a folder of zips or a folder of folders as a list of uploads.

Nothing is unpacked before its turn, and no name of a student's or a file's is trusted: an upload's id, which
names its result file, is made of letters, digits, dots, dashes and underscores.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from autograder.core import Reject
from autograder.intake import metadata, names
from autograder.intake.metadata import MAX_BYTES, Student
from autograder.intake.uploads import (
    MAX_ENTRIES,
    MAX_FILE,
    MAX_SPARE,
    MAX_TOTAL,
    UNREADABLE,
    bytes_of,
    shown,
    unpackable,
)

METADATA = metadata.NAMES[0]
SINGLE = (".zip", ".ipynb", ".py")
"""What an upload of one file may be."""


@dataclass(frozen=True)
class Upload:
    """One submission of a class: its `id` (a safe file name), where it is, and who handed it in.

    `inside` is the folder within the zip at `path` where `path` is a whole export, "" where it is the upload itself.
    """

    id: str
    path: Path
    inside: str = ""
    students: tuple[Student, ...] = ()
    created_at: str = ""

    def fetch(self, scratch: Path) -> Path:
        """Where the upload can be received from: its own path, or a copy in `scratch` of its part of an export."""
        if not self.inside:
            return self.path
        target = scratch / "upload"
        _unpack(self.path, self.inside, target)
        return target

    def fingerprint(self) -> str:
        """A digest of the upload's bytes and names: equal as long as nobody has changed it."""
        digest = hashlib.sha256()
        if self.inside:
            with zipfile.ZipFile(self.path) as archive:
                for entry in _inside(archive, self.inside):
                    digest.update(f"{entry.filename}\0{entry.file_size}\0{entry.CRC}\0".encode("utf-8", "replace"))
        elif self.path.is_dir():
            for path in _files(self.path):
                digest.update(f"{path.relative_to(self.path)}\0".encode("utf-8", "replace"))
                _feed(digest, path)
        else:
            _feed(digest, self.path)
        return digest.hexdigest()[:32]


def read(path: Path) -> list[Upload]:
    """Every upload at `path`, in the order of their ids. Raises `Reject` where there is none."""
    try:
        if path.is_dir():
            listed = [path / name for name in metadata.NAMES if (path / name).is_file()]
            found = _exported(path, listed[0]) if listed else _beside(path)
        elif zipfile.is_zipfile(path):
            found = _exported_zip(path)
        else:
            raise Reject(f"{path} is neither a folder nor a zip, so there is no class in it.")
    except OSError as error:
        raise Reject(f"{path} cannot be read: {error.strerror or error}.") from None
    if not found:
        raise Reject(
            f"There is no submission in {path}. Expected: Gradescope's export of a class (a zip, or a "
            f"folder with {METADATA}), a folder of zips, or a folder of folders."
        )
    return _named_apart(sorted(found, key=lambda upload: (upload.id, str(upload.path), upload.inside)))


# ------------------------------------------------------------------------------------------ folders


def _beside(folder: Path) -> list[Upload]:
    """An upload for each zip, notebook or folder; what begins with a dot and what is junk is passed over."""
    return [
        Upload(path.stem if path.is_file() else path.name, path)
        for path in folder.iterdir()
        if not path.name.startswith((".", "__")) and not path.is_symlink() and not names.is_never((path.name,))
        if (path.is_dir() and not _is_junk(path)) or (path.is_file() and path.suffix.lower() in SINGLE)
    ]


def _is_junk(folder: Path) -> bool:
    """Whether it is called like junk and holds no work, so that it is nobody's: a student may be called Data."""
    if not names.doubtful((folder.name,)):
        return False
    inside = itertools.chain(folder.glob("*"), folder.glob("*/*"))
    return not any(path.suffix.lower() in SINGLE for path in inside) or (folder / "pyvenv.cfg").exists()


def _exported(folder: Path, file: Path) -> list[Upload]:
    if file.stat().st_size > MAX_BYTES:
        raise Reject(f"{file.name} is larger than {MAX_BYTES // 1024**2} MB.")
    return [
        Upload(one.folder, folder / one.folder, students=one.students, created_at=one.created_at)
        for one in metadata.read(file.read_bytes(), file.name)
        if (folder / one.folder).is_dir() and not (folder / one.folder).is_symlink()
    ]


# ---------------------------------------------------------------------------------------- the export


def _exported_zip(path: Path) -> list[Upload]:
    """The export as it was downloaded, with or without a folder around it; else a zip of folders."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.namelist()
            at = min((one for one in listed if PurePosixPath(one).name in metadata.NAMES), key=len, default="")
            if not at:
                raise Reject(
                    f"{shown(path.name)} holds no {METADATA}, so it is no class as Gradescope exports it. "
                    "Unpack it, and give the folder."
                )
            entry = archive.getinfo(at)
            if entry.file_size > MAX_BYTES:
                raise Reject(f"{PurePosixPath(at).name} is larger than {MAX_BYTES // 1024**2} MB.")
            data = None if unpackable(entry) else bytes_of(archive, entry)
    except UNREADABLE:
        raise Reject(f"{shown(path.name)} is not a zip archive that can be read.") from None
    if data is None:
        raise Reject(f"{PurePosixPath(at).name} in {shown(path.name)} cannot be unpacked.")
    top = at.removesuffix(PurePosixPath(at).name)
    folders = {name[len(top) :].partition("/")[0] for name in listed if name.startswith(top)}
    return [
        Upload(one.folder, path, f"{top}{one.folder}/", one.students, one.created_at)
        for one in metadata.read(data, PurePosixPath(at).name)
        if one.folder in folders
    ]


def _inside(archive: zipfile.ZipFile, folder: str) -> Iterator[zipfile.ZipInfo]:
    return (entry for entry in archive.infolist() if entry.filename.startswith(folder) and not entry.is_dir())


def _unpack(export: Path, folder: str, target: Path) -> None:
    """Copies what may be graded below `folder` in the export to `target`, within the limits that hold for one upload.

    A name that leads outside is read as `submission.receive` reads it, which looks at the copy again. Of two entries of
    one name the last counts; dates are kept, since the newest of several files counts.
    """
    target.mkdir()
    total = 0
    with zipfile.ZipFile(export) as archive:
        last: dict[PurePosixPath, zipfile.ZipInfo] = {}
        for entry in _inside(archive, folder):
            if (path := _relative(entry.filename[len(folder) :])) is not None:
                last[path] = entry
        kept = sorted(last, key=lambda path: names.doubtful(path.parts[:-1]) > 0)[: MAX_ENTRIES + MAX_SPARE]
        for path in kept:
            entry, place = last[path], target / path
            junk = names.doubtful(path.parts[:-1]) > 0
            if stat.S_ISLNK(entry.external_attr >> 16) or unpackable(entry) or entry.file_size > MAX_FILE:
                continue
            if total > (2 if junk else 1) * MAX_TOTAL:  # what is there is too much already, and will be refused
                continue
            total += entry.file_size
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                data = bytes_of(archive, entry)
                if data is not None:
                    place.write_bytes(data)
                    written = time.mktime((*entry.date_time, 0, 0, -1))
                    os.utime(place, (written, written))
            except (ValueError, OSError, OverflowError):
                continue


def _relative(name: str) -> PurePosixPath | None:
    """Where a file of an export goes, None where nothing of it could be graded."""
    path = PurePosixPath(name.replace("\\", "/"))
    if names.is_never(path.parts) or not (names.Name(path.name).kept or path.suffix.lower() == ".zip"):
        return None
    try:
        place = names.place(name)
    except names.Refused:
        return None
    return place.path if place else None


# -------------------------------------------------------------------------------------------- names


def _named_apart(uploads: Sequence[Upload]) -> list[Upload]:
    """Ids that are safe file names, each once whatever the case of its letters."""
    taken: set[str] = set()
    named = []
    for upload in uploads:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", upload.id).strip("._")[:80] or "submission"
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}-{count}"
        taken.add(name.casefold())
        named.append(replace(upload, id=name))
    return named


def _files(folder: Path) -> list[Path]:
    """Those of which any may matter to a grade."""
    found = []
    for place, folders, held in os.walk(folder):  # links are not followed
        folders[:] = sorted(one for one in folders if not names.is_never((one,)))
        paths = [Path(place, name) for name in held if names.Name(name).kept or name.lower().endswith(".zip")]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
        if len(found) > MAX_ENTRIES:
            break
    return sorted(found)


def _feed(digest: Any, path: Path) -> None:
    """Adds a file's bytes; one that is too large to be read at grading is known by its size."""
    try:
        size = path.stat().st_size
        digest.update(f"{size}\0".encode())
        if size <= MAX_TOTAL:
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    except OSError as error:
        digest.update(f"{error.errno}".encode())
