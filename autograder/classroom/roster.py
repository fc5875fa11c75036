"""Who handed in what: a Gradescope export, a folder of zips or a folder of folders as a list of uploads.

Nobody is left out without a word: every entry is an upload, if only with the reason why it cannot be graded; what tools
and earlier runs left there is named by `passed_over`. Nothing is unpacked before its turn, and no name of a student's
or a file's is trusted: an upload's id, which names its result file, is made of letters, digits, dots, dashes and
underscores, and follows from its own name alone.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from autograder import storage
from autograder.core import CheckFailed
from autograder.intake import archives, metadata, names
from autograder.intake.metadata import MAX_BYTES, ExportEntry, RosterStudent
from autograder.intake.uploads import (
    MAX_ENTRIES,
    MAX_FILE,
    MAX_SPARE,
    MAX_TOTAL,
    UNREADABLE,
    bytes_of,
    opened,
    shown,
    unpackable,
)

METADATA = metadata.NAMES[0]
WORK = (".ipynb", ".py")
"""What an upload of one file may be, but for archives."""
PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,78}[a-z0-9]|[a-z0-9]")
"""A name that is an id as it is. Names with capitals are none: to some file systems Ada and ada are one file."""
DIGITS = 10
"""Hexadecimal, of a name's hash: of a thousand names two have the same with a probability below 1e-6."""
LEFT_BY_SYSTEMS = frozenset(("thumbs.db", "desktop.ini"))
BOOK = "gradebook.sqlite"
"""What tells a folder that a run of this command wrote into."""


@dataclass(frozen=True)
class Upload:
    """One submission of a class: its `id` (a safe file name), where it is, and who handed it in.

    `inside` is the folder within the zip at `path` where `path` is a whole export, "" where it is the upload itself.
    `entry` is what the file or folder is called. `reason` is why it cannot be graded, if that is known before; `note`
    is what the staff should know of how the export lists it.
    """

    id: str
    path: Path
    inside: str = ""
    students: tuple[RosterStudent, ...] = ()
    created_at: str = ""
    entry: str = ""
    reason: str = ""
    note: str = ""

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
        if self.reason:
            digest.update(self.reason.encode("utf-8", "replace"))
        elif self.inside:
            with opened(self.path) as archive:
                for entry in _inside(archive, self.inside):
                    digest.update(f"{entry.filename}\0{entry.file_size}\0{entry.CRC}\0".encode("utf-8", "replace"))
        elif self.path.is_dir():
            for path in _files(self.path):
                digest.update(f"{path.relative_to(self.path)}\0".encode("utf-8", "replace"))
                _feed(digest, path)
        else:
            _feed(digest, self.path)
        return digest.hexdigest()[:32]

    def is_called(self, word: str) -> bool:
        """Whether a word names this upload: its id, what the file or folder is called, or one of its students."""
        names_of = (one for student in self.students for one in (student.email, student.sid, student.name))
        known = (self.id, self.entry, _label(self.entry), *names_of)
        return _folded(word) in {_folded(one) for one in known if one}


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def read(path: Path) -> list[Upload]:
    """Every upload at `path`, in the order of their ids. Raises `CheckFailed` where there is none."""
    try:
        if path.is_dir():
            listed = _listed(path)
            found = _exported(path, listed) if listed else _beside(path)
        elif zipfile.is_zipfile(path):
            found = _exported_zip(path)
        else:
            raise CheckFailed(f"{path} is neither a folder nor a zip, so there is no class in it.")
    except OSError as error:
        raise CheckFailed(f"{path} cannot be read: {error.strerror or error}.") from None
    if not found:
        raise CheckFailed(
            f"There is no submission in {path}. Expected: Gradescope's export of a class (a zip, or a "
            f"folder with {METADATA}), a folder of zips, or a folder of folders."
        )
    return _named_apart(sorted(found, key=lambda upload: (upload.entry, str(upload.path), upload.inside)))


def passed_over(path: Path) -> list[str]:
    """What lies beside the uploads in the folder `path` and is nobody's: left by tools, hidden, or an earlier run's."""
    if not path.is_dir():
        return []
    return sorted(shown(one.name) for one in path.iterdir() if one.name not in metadata.NAMES and _is_nobodys(one))


# ------------------------------------------------------------------------------------------ folders


def _beside(folder: Path) -> list[Upload]:
    """An upload for each file and folder that may be somebody's."""
    return [
        Upload("", path, students=_called(path.name), entry=path.name, reason=_reason(path))
        for path in folder.iterdir()
        if not _is_nobodys(path)
    ]


def _reason(path: Path) -> str:
    """Why an entry is not even opened, "" for nothing."""
    if path.is_symlink():
        return f"{shown(path.name)} is a link, which the command does not follow. Put the linked files there instead."
    if not path.is_dir() and not path.is_file():
        return f"{shown(path.name)} is neither a file nor a folder."
    return ""


def _is_nobodys(path: Path) -> bool:
    """Whether it is what tools or earlier runs leave behind. A hidden folder with work in it is somebody's."""
    if names.is_never((path.name,)) or path.name.casefold() in LEFT_BY_SYSTEMS:
        return True
    if (path / BOOK).is_file() or (names.doubtful((path.name,)) and (path / "pyvenv.cfg").is_file()):
        return True
    if not path.name.startswith("."):
        return False
    if path.is_symlink() or not path.is_dir():
        return not _may_be_work(path)
    return not any(map(_may_be_work, itertools.chain(path.glob("*"), path.glob("*/*"))))


def _may_be_work(path: Path) -> bool:
    return path.suffix.lower() in WORK or archives.is_read(path.name) or archives.is_unread(path.name)


def _listed(folder: Path) -> Path | None:
    return next((folder / name for name in metadata.NAMES if (folder / name).is_file()), None)


def _exported(folder: Path, file: Path) -> list[Upload]:
    if file.stat().st_size > MAX_BYTES:
        raise CheckFailed(f"{file.name} is larger than {MAX_BYTES // 1024**2} MB.")
    there = {path.name: path for path in folder.iterdir() if path.name not in metadata.NAMES}
    found = []
    for one in _matched(metadata.read(file.read_bytes(), file.name), there, file.name):
        path = there.get(one.entry, file)
        found.append(replace(one, path=path, reason=one.reason or _reason(path)))
    known = {upload.entry for upload in found} | set(metadata.NAMES)
    return found + [upload for upload in _beside(folder) if upload.entry not in known]


def _matched(listed: Sequence[ExportEntry], there: Collection[str], told: str) -> list[Upload]:
    """An upload, without its path, for each folder that the list `told` names; `there` are those of the export.

    A name that differs from a folder's in spaces around it, in a slash behind it or in its Unicode form means that
    folder. What no folder can be called is a row that says so. A folder that is listed twice is one row, of all who are
    listed with it.
    """
    alike: dict[str, list[str]] = {}
    for name in there:
        alike.setdefault(_alike(name), []).append(name)
    found: dict[str, Upload] = {}
    for one in listed:
        same = [one.folder] if one.folder in there else alike.get(_alike(one.folder), [])
        entry = same[0] if len(same) == 1 else one.folder
        reason = "" if entry in there else _missing(one.folder, told)
        before = found.get(entry)
        if before is None:
            found[entry] = Upload("", Path(), "", one.students, one.created_at, entry, reason)
            continue
        students = tuple(dict.fromkeys((*before.students, *one.students)))
        times = sorted(filter(None, (before.created_at, one.created_at)))
        note = f"{told} lists {shown(entry)} more than once: it counts for all who stand there, by the earliest time."
        found[entry] = replace(before, students=students, created_at=times[0] if times else "", note=note)
    return list(found.values())


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().removeprefix("./").rstrip("/\\").strip()


def _missing(folder: str, listed_in: str) -> str:
    parts = _alike(folder).replace("\\", "/").split("/")
    if len(parts) > 1 or parts[0] in ("", ".", "..") or "\0" in folder:
        return f"{listed_in} lists {shown(folder)}, which no folder of an export is called. Please export it again."
    return f"{listed_in} lists {shown(folder)}, but the export has no such folder. Please export it again."


# ---------------------------------------------------------------------------------------- the export


def _exported_zip(path: Path) -> list[Upload]:
    """The export as it was downloaded, with or without a folder around it; else a zip of folders."""
    try:
        with opened(path) as archive:
            listed = archive.namelist()
            at = min((one for one in listed if PurePosixPath(one).name in metadata.NAMES), key=len, default="")
            if not at:
                raise CheckFailed(
                    f"{shown(path.name)} holds no {METADATA}, so it is not a class export of Gradescope. Unpack it, "
                    "and give the folder."
                )
            entry = archive.getinfo(at)
            if entry.file_size > MAX_BYTES:
                raise CheckFailed(f"{PurePosixPath(at).name} is larger than {MAX_BYTES // 1024**2} MB.")
            data = None if unpackable(entry) else bytes_of(archive, entry)
    except UNREADABLE:
        raise CheckFailed(f"{shown(path.name)} is not a valid zip archive.") from None
    if data is None:
        raise CheckFailed(f"{PurePosixPath(at).name} in {shown(path.name)} cannot be unpacked.")
    top, told = at.removesuffix(PurePosixPath(at).name), PurePosixPath(at).name
    below = {name[len(top) :].partition("/") for name in listed if name.startswith(top)}
    folders = {folder for folder, slash, _ in below if slash}
    found = []
    for one in _matched(metadata.read(data, told), folders, told):
        found.append(replace(one, path=path, inside=f"{top}{one.entry}/"))
    known = {one.entry for one in found} | set(metadata.NAMES)
    for name, slash in sorted({(folder, slash) for folder, slash, _ in below if folder and folder not in known}):
        if not (slash == "" and name in folders) and not _is_nobodys(Path(os.devnull, name)):
            reason = (
                "" if slash else (f"{shown(name)} lies beside the folders of the export, but {told} does not list it.")
            )
            found.append(Upload("", path, f"{top}{name}/", _called(name), entry=name, reason=reason))
    return found


def _inside(archive: zipfile.ZipFile, folder: str) -> Iterator[zipfile.ZipInfo]:
    return (entry for entry in archive.infolist() if entry.filename.startswith(folder) and not entry.is_dir())


def _unpack(export: Path, folder: str, target: Path) -> None:
    """Copies what may be graded below `folder` in the export to `target`, within the limits that hold for one upload.

    A name that leads outside is read as `submission.receive` reads it, which looks at the copy again. Of two entries of
    one name the last counts; dates are kept, since the newest of several files counts.
    """
    target.mkdir()
    total = 0
    with opened(export) as archive:
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
            except (ValueError, OSError, OverflowError) as error:
                if isinstance(error, OSError) and error.errno in storage.NO_SPACE:
                    raise  # a full disk: to leave the file out would cost points
                continue


def _relative(name: str) -> PurePosixPath | None:
    """Where a file of an export goes, None where nothing of it could be graded."""
    path = PurePosixPath(name.replace("\\", "/"))
    if names.is_never(path.parts) or not _is_kept(path.name):
        return None
    try:
        place = names.place(name)
    except names.NameRefused:
        return None
    return place.path if place else None


# -------------------------------------------------------------------------------------------- names


def _called(entry: str) -> tuple[RosterStudent, ...]:
    """Whose an entry is, as far as its name says so: nobody's more than the id would say, where that is the same."""
    label = metadata.shown(os.fsencode(_label(entry)).decode("utf-8", "replace"))
    return (RosterStudent(label),) if label and label != _plain(entry) else ()


def _label(entry: str) -> str:
    """What an upload is called, without what its file ends in."""
    known = (*archives.ZIPS, *archives.TARS, *archives.UNREAD, *WORK)
    ending = max((one for one in known if entry.casefold().endswith(one)), key=len, default="")
    return entry[: len(entry) - len(ending)] or entry


def _plain(entry: str) -> str:
    """The id of an entry that is called like one, "" for any other. Of bob.zip it is bob, of bob.tar.gz the whole."""
    stem = entry.removesuffix(next((one for one in (*archives.ZIPS, *WORK) if entry.endswith(one)), ""))
    return stem if PLAIN.fullmatch(stem) else ""


def _hashed(entry: str, digits: int = DIGITS) -> str:
    """An id for any name: what of it is safe, and a hash of all its bytes."""
    plain = unicodedata.normalize("NFKD", _label(entry)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:60] or "submission"
    return f"{stem}-{hashlib.sha256(os.fsencode(entry)).hexdigest()[:digits]}"


def _named_apart(uploads: Sequence[Upload]) -> list[Upload]:
    """Ids that are safe file names, each once whatever the case of its letters.

    An id follows from the upload's own name, so that no other upload changes it. The exception is a name that is there
    in two forms, as the folder bob and bob.zip: both get a hash then, and none of them the id of the other.
    """
    ids = [_plain(upload.entry) or _hashed(upload.entry) for upload in uploads]
    twice = {name for name, count in Counter(one.casefold() for one in ids).items() if count > 1}
    return sorted(
        (
            replace(upload, id=_hashed(upload.entry, 2 * DIGITS) if own.casefold() in twice else own)
            for upload, own in zip(uploads, ids, strict=True)
        ),
        key=lambda upload: upload.id,
    )


def _is_kept(name: str) -> bool:
    """Whether a file of this name may matter to a grade, or to what is said of the upload."""
    return names.FileName(name).kept or archives.is_read(name) or archives.is_unread(name)


def _files(folder: Path) -> list[Path]:
    """Those of which any may matter to a grade."""
    found = []
    for place, folders, held in os.walk(folder):  # links are not followed
        folders[:] = sorted(one for one in folders if not names.is_never((one,)))
        paths = [Path(place, name) for name in held if _is_kept(name)]
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
