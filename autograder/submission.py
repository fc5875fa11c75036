"""From an upload (zip or folder) to a safe copy in the homework's layout, with a sentence for whatever was left out.

Nothing of the upload is trusted: names are cleaned, links and special files are left out, every byte is
counted while it is read, and nothing is written but regular files below the box.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import keyword
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from autograder.core import GIVEN, PACKAGES, Assignment, Reject, Submission
from autograder.text import clean

MAX_ENTRIES = 20_000
MAX_FILE = 50 * 1024**2
MAX_TOTAL = 200 * 1024**2
MAX_DEPTH = 16
MAX_NAME = 200
MAX_REMARKS = 40
ENTRY = b"PK\x01\x02"
"""What every entry of a zip's directory begins with."""
ZIP = frozenset((".zip",))
KEPT = frozenset((".py", ".ipynb", ".json", ".toml", ".txt", ".md", ".csv", ".png", ".jpg", ".jpeg"))
PICTURES = (".png", ".jpg", ".jpeg")
MAX_PICTURES = 4
"""Of one model."""
JUNK = frozenset(
    (
        *("__MACOSX", ".DS_Store", ".git", ".ipynb_checkpoints", "__pycache__", ".pytest_cache", ".hypothesis"),
        *(".venv", "venv", "env", "node_modules", "site-packages", ".idea", ".vscode"),
        *("wandb", "data", "checkpoints"),
    )
)
"""Folders and files that are passed over without a word."""


@dataclass
class _Intake:
    """What was read so far: the files by their cleaned path, the bytes counted, the remarks.

    `sought` are the graded files; `inner` is a zip within the upload, if there is one and some of them are lacking.
    """

    sought: tuple[str, ...]
    total: int = 0
    files: dict[PurePosixPath, bytes] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    inner: tuple[str, bytes] | None = None
    packages: set[str] = field(default_factory=set)

    def place(self, name: str, size: int) -> PurePosixPath | None:
        """Where a file of this announced size goes, or None. Counts the bytes before any is unpacked."""
        path = self._safe(name)
        if path is None:
            return None
        if size > MAX_FILE:
            self.remark(f"{shown(name)} is larger than 50 MB and was left out.")
            return None
        self.total += size
        if self.total > MAX_TOTAL:
            raise Reject("The upload unpacks to more than 200 MB. Please leave data and checkpoints out of it.")
        return path

    def keep(self, path: PurePosixPath, data: bytes) -> None:
        self.known.add(str(path).casefold())
        self.files[path] = data

    def remark(self, sentence: str) -> None:
        if len(self.remarks) < MAX_REMARKS:
            self.remarks.append(sentence)

    def wants(self, name: str, kept: Container[str] = KEPT) -> bool:
        """Whether a file of this name is looked at; junk and data are passed over without a word."""
        path = PurePosixPath(name.replace("\\", "/"))
        return path.suffix.lower() in kept and not JUNK.intersection(path.parts) and not path.name.startswith("._")

    def lacks(self) -> bool:
        """Whether nothing that was read could be one of the graded files."""
        graded = {PurePosixPath(file).name for file in self.sought}
        return any(not any(_alike(path.name, name) for path in self.files) for name in graded)

    def _safe(self, name: str) -> PurePosixPath | None:
        told = shown(name)
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            self.remark(f"{told} points outside of the upload and was left out.")
        elif any(unicodedata.category(character)[0] == "C" for character in name):
            self.remark(f"{told} has control characters in its name and was left out.")
        elif len(path.parts) > MAX_DEPTH or any(len(part.encode()) > MAX_NAME for part in path.parts):
            self.remark(f"{told} has too long or too deep a path and was left out.")
        elif str(path).casefold() in self.known:
            self.remark(f"{told} is there twice (names that differ in case count as one); the first was taken.")
        else:
            return path
        return None


def shown(name: str) -> str:
    """A file's name as it is shown: one line, in quotation marks, so that no table takes it for a formula."""
    return f'"{clean(name, limit=80, line=True)}"'


def receive(upload: Path, assignment: Assignment, box: Path, *, group: int | None = None) -> Submission:
    """Copies `upload` into the empty folder `box` in the layout of the assignment's template.

    Files are found by the end of their path, so that a zip of the folder, of its content or of single
    files all work, and so do a single file and a zip within the upload. What the upload lacks and is not
    graded is taken from the template. With `group` the box can be read by that group only. Raises
    `Reject` where there is nothing that could be graded.
    """
    intake = _Intake(assignment.graded)
    if upload.is_dir():
        _read_folder(upload, intake)
    elif upload.is_file() and intake.wants(upload.name):
        _read_single(upload, intake)
    elif upload.is_file():
        try:
            data = upload.read_bytes() if upload.stat().st_size <= MAX_TOTAL else b""
        except OSError as error:
            raise Reject(f"{shown(upload.name)} cannot be read: {error.strerror}.") from None
        _read_zip(data, intake, upload.name)
    else:
        raise Reject(f"There is no file or folder {shown(str(upload))}.")
    placed = _arrange(intake, assignment.graded)
    placed |= _arrange_inner(intake, placed)
    absent = tuple(file for file in assignment.graded if PurePosixPath(file) not in placed)
    if len(absent) == len(assignment.graded):
        held = ", ".join(clean(str(path), limit=60, line=True) for path in sorted(intake.files)[:12])
        raise Reject(
            f"None of the files that are graded ({', '.join(assignment.graded)}) is in the upload. "
            + (f"What could be read of it: {held}. " if held else "Nothing in it could be read. ")
            + "".join(f"{remark} " for remark in intake.remarks[:3])
            + "Please upload a zip of your homework folder."
        )
    for file in absent:
        intake.remarks.append(f"{file} was not found in the upload.")
    digest = hashlib.sha256()
    for path in sorted(placed):
        digest.update(f"{path}\0{len(placed[path])}\0".encode() + placed[path])
    given = _given(assignment.template)
    spare = {PurePosixPath(GIVEN, path): given[path] for path in map(PurePosixPath, assignment.graded) if path in given}
    packages = tuple(sorted(intake.packages))
    listed = {PurePosixPath(PACKAGES): "".join(f"{name}\n" for name in packages).encode()} if packages else {}
    _write(box, {**spare, **given, **placed, **listed}, group)
    return Submission(box, digest.hexdigest(), absent, tuple(intake.remarks), packages=packages)


# ------------------------------------------------------------------------------------------- reading


BROKEN = (zlib.error, struct.error, OverflowError, IndexError, AttributeError)
"""What else Python's zipfile lets through on malformed archives."""


def _read_zip(data: bytes, intake: _Intake, name: str, *, nested: bool = False) -> None:
    if not data:
        raise Reject(f"{shown(name)} is empty or larger than 200 MB.")
    if data.count(ENTRY) > 5 * MAX_ENTRIES:  # before zipfile makes an object of each
        raise Reject(f"The zip holds far more than {MAX_ENTRIES} entries, which is the most that is read.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise Reject(f"The zip holds {len(entries)} entries; at most {MAX_ENTRIES} are read.")
            zips = [entry for entry in entries if intake.wants(entry.filename, ZIP)]
            for entry in entries:
                if entry.is_dir() or not intake.wants(entry.filename):
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    intake.remark(f"{shown(entry.filename)} is a link and was left out.")
                    continue
                _read_entry(archive, entry, intake)
            if len(zips) == 1 and not nested and zips[0].file_size <= MAX_TOTAL and intake.lacks():
                # The folder was zipped twice, or a file was put beside its zip.
                inner = _bytes_of(archive, zips[0], intake, MAX_TOTAL) if _is_readable(zips[0], intake) else None
                intake.inner = None if inner is None else (zips[0].filename, inner)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, ValueError, EOFError, OSError, *BROKEN):
        raise Reject(
            f"{shown(name)} is not a zip archive that can be read. "
            "Please zip your homework folder again and upload the .zip file."
        ) from None


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, intake: _Intake) -> None:
    if _is_readable(entry, intake):
        path = intake.place(entry.filename, entry.file_size)
        data = None if path is None else _bytes_of(archive, entry, intake, MAX_FILE)
        if path is not None and data is not None:
            intake.keep(path, data)


def _is_readable(entry: zipfile.ZipInfo, intake: _Intake) -> bool:
    if entry.flag_bits & 1:
        intake.remark(f"{shown(entry.filename)} is encrypted and was left out.")
    elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python unpacks bzip2 and LZMA in one go, without a limit: kilobytes become gigabytes.
        intake.remark(f"{shown(entry.filename)} is packed by a method that is not read here (deflate is).")
    else:
        return True
    return False


def _bytes_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, intake: _Intake, most: int) -> bytes | None:
    """The entry's bytes: never more than `most`, nor than the size that it announced. None where it is damaged."""
    try:
        with archive.open(entry) as stream:
            return stream.read(most)
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, *BROKEN):
        intake.remark(f"{shown(entry.filename)} is damaged in the zip and was left out.")
        return None


def _read_single(upload: Path, intake: _Intake) -> None:
    """One file that was not zipped."""
    try:
        with upload.open("rb") as stream:
            path = intake.place(upload.name, os.fstat(stream.fileno()).st_size)
            if path is not None:
                intake.keep(path, stream.read(MAX_FILE))
    except OSError as error:
        raise Reject(f"{shown(upload.name)} cannot be read: {error.strerror}.") from None


def _read_folder(folder: Path, intake: _Intake) -> None:
    """Regular files only, opened without following links at any level."""
    count = 0
    zips: list[str] = []
    try:
        start = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Reject(f"The folder {shown(str(folder))} cannot be read: {error.strerror}.") from None
    for path, descriptor in _walk(start, PurePosixPath(), intake):
        count += 1
        if count > MAX_ENTRIES:
            raise Reject(f"The upload holds more than {MAX_ENTRIES} files and folders.")
        if descriptor is None:
            continue
        with os.fdopen(descriptor, "rb") as stream:
            if intake.wants(str(path)):
                where = intake.place(str(path), os.fstat(descriptor).st_size)
                if where is not None:
                    intake.keep(where, stream.read(MAX_FILE))
            elif intake.wants(str(path), ZIP):
                zips.append(str(path))
                single = stream.read(MAX_TOTAL + 1) if len(zips) == 1 else b""
    if len(zips) == 1 and len(single) <= MAX_TOTAL and intake.lacks():
        intake.inner = zips[0], single


def _walk(folder: int, prefix: PurePosixPath, intake: _Intake) -> Iterator[tuple[PurePosixPath, int | None]]:
    """Every folder (with None) and every regular file (with a descriptor), in the order of their names."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted(itertools.islice(entries, MAX_ENTRIES + 1), key=lambda entry: entry.name)
        for entry in listing:
            path = prefix / entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield path, None
                    if entry.name not in JUNK and len(path.parts) <= MAX_DEPTH:
                        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                        yield from _walk(os.open(entry.name, flags, dir_fd=folder), path, intake)
                elif entry.is_file(follow_symlinks=False):
                    # A FIFO swapped in meanwhile would block without O_NONBLOCK.
                    descriptor = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
                    if stat.S_ISREG(os.fstat(descriptor).st_mode):
                        yield path, descriptor
                    else:
                        os.close(descriptor)
                elif intake.wants(str(path)):
                    intake.remark(f"{shown(str(path))} is a link or a special file and was left out.")
            except OSError as error:
                intake.remark(f"{shown(str(path))} cannot be read ({error.strerror}) and was left out.")
    finally:
        os.close(folder)


# ----------------------------------------------------------------------------------------- arranging


def _arrange(intake: _Intake, sought: Sequence[str]) -> dict[PurePosixPath, bytes]:
    """The upload's files under the template's paths."""
    placed: dict[PurePosixPath, bytes] = {}
    for graded in map(PurePosixPath, sought):
        likeness = {path: alike for path in intake.files if (alike := _alike(path.name, graded.name))}
        ranked = sorted(
            (-alike, -_common_end(path, graded), len(path.parts), str(path), path) for path, alike in likeness.items()
        )
        if not ranked:
            continue
        if graded.suffix in PICTURES:  # of several whose name fits the judge takes the best
            for place, (*_, path) in enumerate(ranked[:MAX_PICTURES]):
                placed[graded.with_stem(f"{graded.stem}-{place}") if place else graded] = intake.files[path]
            continue
        found = ranked[0][-1]
        if len(ranked) > 1 and ranked[1][:3] == ranked[0][:3]:
            intake.remarks.append(f"There is more than one {graded.name}; {clean(str(found), line=True)} was graded.")
        if likeness[found] < 3:
            intake.remark(f"{shown(str(found))} was graded as {graded}.")
        inside = PurePosixPath(*graded.parts[1:])
        if len(graded.parts) > 1 and _common_end(found, graded) >= len(inside.parts):
            root = PurePosixPath(*found.parts[: len(found.parts) - len(inside.parts)])
            if graded.suffix == ".py":
                intake.packages.update(_dotted(root))
            for path, data in intake.files.items():
                if path.is_relative_to(root):
                    placed.setdefault(PurePosixPath(graded.parts[0], path.relative_to(root)), data)
        placed[graded] = intake.files[found]
    return placed


def _dotted(folder: PurePosixPath) -> Iterator[str]:
    """The names by which code can import this folder, from wherever above it the import begins: c, b.c, a.b.c.

    Plain identifiers only, as Python compares them (NFKC). Whether a name also belongs to an installed package is for
    the loader to find out.
    """
    name = ""
    for part in reversed(unicodedata.normalize("NFKC", folder.as_posix()).split("/")):
        if not part.isidentifier() or keyword.iskeyword(part):
            return
        name = f"{part}.{name}" if name else part
        yield name


def _arrange_inner(intake: _Intake, placed: dict[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    """What the zip within the upload adds: graded files of which the upload has nothing, nor of their folder.

    Where something else can be graded, a fault of that zip is a remark; a starter that lies in it replaces nothing.
    """
    roots = {path.parts[0] for path in placed}
    sought = tuple(file for file in intake.sought if PurePosixPath(file).parts[0] not in roots)
    if intake.inner is None or not sought:
        return {}
    name, data = intake.inner
    inside = _Intake(sought, intake.total)
    try:
        _read_zip(data, inside, name, nested=True)
    except Reject as fault:
        if not placed:
            raise
        intake.remark(f"{shown(name)} was left out: {fault}")
        return {}
    found = _arrange(inside, sought)
    if found or not placed:
        for remark in inside.remarks:
            intake.remark(remark)
        intake.files |= inside.files
        intake.packages |= inside.packages
    if found and placed:
        files = ", ".join(file for file in sought if PurePosixPath(file) in found)
        intake.remark(f"Inside of {shown(name)} there is {files}, which was graded.")
    return found


COPY = re.compile(r"^copy[ _-]*of[ _-]*|[ _-]*\(\d+\)$|[ _-]*copy[ _-]*\d*$")
"""What Colab, browsers and Jupyter add to the name of a file that is there already."""


def _alike(name: str, graded: str) -> int:
    """3 where this is the graded file's name, 2 where it is a copy's, 1 where the name holds it, else 0.

    The last for notebooks, what they write, and pictures: a Python file's name is what others import it by.
    """
    mine, theirs = PurePosixPath(name.casefold()), PurePosixPath(graded.casefold())
    if mine == theirs:
        return 3
    pictures = mine.suffix in PICTURES and theirs.suffix in PICTURES
    if mine.suffix != theirs.suffix and not pictures:
        return 0
    if COPY.sub("", COPY.sub("", mine.stem)) == theirs.stem:
        return 2
    if pictures:  # of sampled digits, under whatever name says of which model
        return int(theirs.stem.partition("_")[0] in mine.stem)
    own, wanted = (re.sub(r"[^a-z]", "", path.stem) for path in (mine, theirs))
    return int(mine.suffix in (".ipynb", ".json") and wanted in own)


def _common_end(path: PurePosixPath, other: PurePosixPath) -> int:
    count = 0
    for mine, theirs in zip(reversed(path.parts), reversed(other.parts), strict=False):
        if mine.casefold() != theirs.casefold():
            break
        count += 1
    return count


@cache
def _given(template: Path) -> dict[PurePosixPath, bytes]:
    """The template's Python files, read once for a whole class."""
    return {
        PurePosixPath(path.relative_to(template).as_posix()): path.read_bytes()
        for path in sorted(template.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def _write(box: Path, files: dict[PurePosixPath, bytes], group: int | None) -> None:
    for path, data in files.items():
        target = box / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(data)
        except (OSError, ValueError):  # a file where another path needs a folder, or a full disk
            raise Reject(f"{shown(str(path))} could not be unpacked.") from None
    for target in [box, *box.rglob("*")]:
        if group is not None:
            os.chown(target, 0, group)
        target.chmod(
            (0o550 if target.is_dir() else 0o440) if group is not None else (0o755 if target.is_dir() else 0o644)
        )
