"""Who handed in what: a Gradescope export, a folder of zips or a folder of folders as a list of uploads.

Nothing is unpacked before its turn, and no name of a student's or a file's is trusted: an upload's id, which
names its result file, is made of letters, digits, dots, dashes and underscores.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from autograder.core import Reject
from autograder.submission import BROKEN, JUNK, MAX_ENTRIES, MAX_FILE, MAX_TOTAL, shown

METADATA = "submission_metadata.yml"
MAX_METADATA = 64 * 1024**2
SINGLE = (".zip", ".ipynb", ".py")
"""What an upload of one file may be."""


@dataclass(frozen=True)
class Student:
    """As the course's roster has them; each field may be empty."""

    name: str = ""
    sid: str = ""
    email: str = ""


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
            found = _exported(path) if (path / METADATA).is_file() else _beside(path)
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
    """An upload for each zip, notebook or folder; what begins with a dot and what is junk everywhere is passed over."""
    return [
        Upload(path.stem if path.is_file() else path.name, path)
        for path in folder.iterdir()
        if not path.name.startswith((".", "__")) and path.name not in JUNK and not path.is_symlink()
        if path.is_dir() or path.suffix.lower() in SINGLE
    ]


def _exported(folder: Path) -> list[Upload]:
    file = folder / METADATA
    if file.stat().st_size > MAX_METADATA:
        raise Reject(f"{METADATA} is larger than {MAX_METADATA // 1024**2} MB.")
    return [
        Upload(name, folder / name, students=students, created_at=created_at)
        for name, students, created_at in _metadata(file.read_bytes())
        if (folder / name).is_dir() and not (folder / name).is_symlink()
    ]


# ---------------------------------------------------------------------------------------- the export


def _exported_zip(path: Path) -> list[Upload]:
    """The export as it was downloaded, with or without a folder around it; else a zip of folders."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            at = min((name for name in names if PurePosixPath(name).name == METADATA), key=len, default="")
            if not at:
                raise Reject(
                    f"{shown(path.name)} holds no {METADATA}, so it is no class as Gradescope exports it. "
                    "Unpack it, and give the folder."
                )
            if archive.getinfo(at).file_size > MAX_METADATA:
                raise Reject(f"{METADATA} is larger than {MAX_METADATA // 1024**2} MB.")
            listed = _metadata(archive.read(at))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, ValueError, EOFError, *BROKEN):
        raise Reject(f"{shown(path.name)} is not a zip archive that can be read.") from None
    top = at.removesuffix(METADATA)
    folders = {name[len(top) :].partition("/")[0] for name in names if name.startswith(top)}
    return [
        Upload(name, path, f"{top}{name}/", students, created_at)
        for name, students, created_at in listed
        if name in folders
    ]


def _metadata(data: bytes) -> list[tuple[str, tuple[Student, ...], str]]:
    """Folder, submitters and time of each submission. The file's keys are Ruby's symbols: `:sid:`."""
    try:
        tree = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Reject(f"{METADATA} is not YAML that can be read.") from None
    if not isinstance(tree, dict):
        raise Reject(f"{METADATA} does not map folders to submitters.")
    found = []
    for name, value in tree.items():
        fields = _fields(value)
        submitters = fields.get("submitters")
        students = tuple(_student(each) for each in submitters) if isinstance(submitters, list) else ()
        if isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0"):
            found.append((name, students, str(fields.get("created_at", ""))))
    return found


def _fields(value: Any) -> dict[str, Any]:
    return {str(key).strip(":"): one for key, one in value.items()} if isinstance(value, dict) else {}


def _student(value: Any) -> Student:
    fields = _fields(value)
    return Student(*("" if fields.get(key) is None else str(fields[key]) for key in ("name", "sid", "email")))


def _inside(archive: zipfile.ZipFile, folder: str) -> Iterator[zipfile.ZipInfo]:
    return (entry for entry in archive.infolist() if entry.filename.startswith(folder) and not entry.is_dir())


def _unpack(export: Path, folder: str, target: Path) -> None:
    """Copies regular files below `folder` in the export to `target`, within the limits that hold for one upload.

    A name that leads outside is left out; `submission.receive`, which reads the copy, looks at everything again.
    """
    target.mkdir()
    total = 0
    with zipfile.ZipFile(export) as archive:
        for count, entry in enumerate(_inside(archive, folder)):
            parts = PurePosixPath(entry.filename[len(folder) :].replace("\\", "/")).parts
            if count >= MAX_ENTRIES or ".." in parts or not parts or stat.S_ISLNK(entry.external_attr >> 16):
                continue
            total += entry.file_size
            if entry.file_size > MAX_FILE or total > MAX_TOTAL or JUNK.intersection(parts):
                continue
            try:
                place = target.joinpath(*(part for part in parts if part != "/"))
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, place.open("xb") as copy:
                    copy.write(source.read(entry.file_size))
            except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, *BROKEN):
                continue


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
    found = []
    for place, folders, names in os.walk(folder):  # links are not followed
        folders[:] = sorted(set(folders) - JUNK)
        paths = [Path(place, name) for name in names]
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
