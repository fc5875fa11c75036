"""What is in an upload, packed or not: every file that may be of the work, by its cleaned path, read when needed.

Nothing of the upload is trusted: links and special files are left out, every byte is counted before it is unpacked.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import mmap
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from autograder.core import CheckFailed
from autograder.intake import archives, names
from autograder.text import clean

MAX_ENTRIES = 20_000
"""Files of the kinds that are kept, outside of junk."""
MAX_LISTED = 200_000
"""Files and folders of any kind, junk among them; more are not even listed."""
MAX_SPARE = 20_000
"""Of these in folders that are junk unless the work lies there."""
MAX_FILE = 50 * 1024**2
MAX_TOTAL = 200 * 1024**2
MAX_REMARKS = 40
SHOWN = 3
"""Names that one remark gives as examples."""
ENTRY = b"PK\x01\x02"
"""What every entry of a zip's directory begins with."""
END = b"PK\x05\x06"
"""What the record behind the directory begins with."""
UTF_8 = 0x800
"""The flag of an entry whose name is said to be UTF-8."""


CODE = (b".py", b".ipynb", b".zip")
"""What stands in the name of a file that may hold something to run, wherever: "policy_gradient.ipynb.txt"."""
PEEKED = 2_000
"""Names of a folder that are looked at before an upload is read; where there are more, something is taken to run."""
TAIL = 1 << 20
"""Bytes at the end of a zip, where its names are."""


def may_run(path: Path) -> bool:
    """Whether by its files' names the upload may hold anything to run. A guess: a wrong one costs time alone."""
    with contextlib.suppress(OSError):  # the intake will say what is wrong with it
        if path.is_dir():
            walked = (os.fsencode(name) for _, _, files in os.walk(path) for name in files)
            names = list(itertools.islice(walked, PEEKED))
            return len(names) == PEEKED or any(mark in name.lower() for name in names for mark in CODE)
        if not path.is_file():  # to open a pipe would wait for ever
            return False
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            tail = file.read(TAIL).lower()
        return any(mark in tail for mark in CODE)
    return False


@dataclass(eq=False)
class File:
    """A file of the upload. `date` only orders; `junk` counts the doubtful folders that it lies in."""

    path: PurePosixPath
    size: int
    date: int
    junk: int
    reader: Callable[[], bytes | None]
    _data: bytes | None = None
    _read: bool = False

    def __post_init__(self) -> None:
        self.name = names.FileName(self.path.name)

    def data(self) -> bytes | None:
        """The bytes, read once; None where they cannot be read, for which there is a remark then."""
        if not self._read:
            self._data, self._read = self.reader(), True
        return self._data


@dataclass
class Listing:
    """What an upload holds: `files` are counted, `spare` lie in doubtful folders, `zips` within it are not unpacked.

    `total` are the bytes that the files announce, with those of a zip around this one. `sought` are the names of the
    graded files: of doubtful folders only these are listed, and Python files. `seen` are paths in zips within it.
    """

    sought: Collection[str]
    total: int = 0
    files: dict[PurePosixPath, File] = field(default_factory=dict)
    spare: dict[PurePosixPath, File] = field(default_factory=dict)
    zips: list[File] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    noted: dict[str, list[str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    listed: int = 0
    doubted: int = 0

    def remark(self, sentence: str) -> None:
        if len(self.remarks) < MAX_REMARKS:
            self.remarks.append(sentence)

    def note(self, what: str, name: str) -> None:
        """Something that may be true of many files and is told once: `what` follows the names."""
        self.noted.setdefault(what, []).append(name)

    def close(self) -> None:
        """Makes remarks of the notes."""
        for what, of in self.noted.items():
            more = f" and {len(of) - SHOWN} more" if len(of) > SHOWN else ""
            self.remark(", ".join(map(shown, of[:SHOWN])) + f"{more}: {what}")
        self.noted.clear()

    def alike(self, name: names.FileName) -> bool:
        return any(name.alike(graded) for graded in self.sought)

    def add(self, name: str, size: int, date: int, reader: Callable[[], bytes | None]) -> bool:
        """Lists a file if it is of a kind that is kept; says whether. Counts its bytes before any is unpacked."""
        last = name.replace("\\", "/").rpartition("/")[2]
        kept = names.FileName(last)
        packed = archives.is_read(str(kept.plain)) or archives.is_read(last)
        unread = archives.is_unread(last)
        if not (kept.kept or packed or unread) or names.is_never(name.replace("\\", "/").split("/")):
            return False
        try:
            place = names.place(name)
        except names.NameRefused as fault:
            self.remark(f"{shown(name)} {fault} and was left out.")
            return False
        if place is None:
            return False
        junk = names.doubtful(place.path.parts[:-1])
        one = File(place.path, size, date, junk, reader)
        if packed:
            if not junk and size <= MAX_TOTAL:
                self.zips.append(one)
                return True
            return False
        if unread:
            if not junk:
                self.note("is an archive that the grader cannot read. Please upload a zip.", name)
            return False
        if junk:
            if len(self.spare) < MAX_SPARE and size <= MAX_FILE and (kept.plain.suffix == ".py" or self.alike(kept)):
                self.spare[place.path] = one
                return True
            return False
        if size > MAX_FILE:
            self.remark(f"{shown(name)} is larger than 50 MB and was left out.")
            return False
        if place.absolute:
            self.note("the path begins at the root of a disk. It was read from the top of the upload.", name)
        elif place.upwards:
            self.note('the path contains "..", which was removed.', name)
        former = self.files.get(place.path)
        if former is not None:  # unzip lets the later one overwrite the earlier
            self.note("is in the upload twice under the same name. The last one counts.", str(place.path))
            self.total -= former.size
        self.total += size
        if self.total > MAX_TOTAL:
            raise CheckFailed("The upload unpacks to more than 200 MB. Please leave data and checkpoints out of it.")
        self.files[place.path] = one
        if len(self.files) > MAX_ENTRIES:
            raise CheckFailed(
                f"The upload holds more than {MAX_ENTRIES} files, and at most {MAX_ENTRIES} are read. Please leave "
                "out data and other people's code."
            )
        return True

    def count(self) -> None:
        """One more entry of any kind."""
        self.listed += 1
        if self.listed > MAX_LISTED:
            raise CheckFailed(f"The upload holds far more than {MAX_ENTRIES} files and folders, which is the limit.")


def shown(name: str) -> str:
    """A file's name as it is shown: one line, in quotation marks, so that no table takes it for a formula."""
    return f'"{clean(name, limit=80, line=True)}"'


def of(upload: Path, sought: Collection[str]) -> Listing:
    """What is in `upload`: a folder, a zip, or one file that was not zipped. Raises `CheckFailed` where it is none."""
    listing = Listing(sought)
    if upload.is_dir():
        _list_folder(upload, listing)
    elif upload.is_file() and names.FileName(upload.name).kept:
        _list_single(upload, listing)
    elif upload.is_file():
        try:
            data = upload.read_bytes() if upload.stat().st_size <= MAX_TOTAL else b""
        except OSError as error:
            raise CheckFailed(f"{shown(upload.name)} cannot be read: {error.strerror}.") from None
        list_archive(data, listing, upload.name)
    else:
        raise CheckFailed(f"There is no file or folder {shown(str(upload))}.")
    return listing


# ------------------------------------------------------------------------------------------ archives


def list_archive(data: bytes, listing: Listing, name: str) -> None:
    """Adds the entries of a zip or a tar, whatever its file is called. Raises `CheckFailed` where it is neither."""
    if not data:
        raise CheckFailed(f"{shown(name)} is empty or larger than 200 MB.")
    match archives.kind(data):
        case "tar" | "gzip" | "bzip2" | "xz" as packed:
            _list_tar(data, listing, name, packed)
        case "zip" | "":  # a zip may begin with something else
            list_zip(data, listing, name)
        case packed:
            raise CheckFailed(f"{shown(name)} {archives.advice(packed)}")


def _list_tar(data: bytes, listing: Listing, name: str, packed: str) -> None:
    """What is kept is held in memory at once: nothing in a stream can be gone back to. Counted before it is unpacked.

    Of two entries of one name the last counts, as for tar.
    """
    total = 0
    try:
        for entry in archives.entries(data):
            listing.count()
            if entry.link:
                if _may_matter(entry.name):
                    listing.remark(f"{shown(entry.name)} is a link and was left out.")
                continue
            held = list[bytes]()
            if listing.add(entry.name, entry.size, entry.date, partial(_first, held)):
                total += entry.size
                if total > 2 * MAX_TOTAL:
                    raise CheckFailed(
                        "The upload unpacks to more than 200 MB. Please leave data and checkpoints out of it."
                    )
                held.append(entry.read())
    except archives.ArchiveUnreadable as fault:
        packing = "" if packed == "tar" else f"is packed by {packed} and "
        raise CheckFailed(
            f"{shown(name)} {packing}{fault} Please zip your homework folder and upload the .zip file."
        ) from None


def _first(held: list[bytes]) -> bytes | None:
    return held[0] if held else None


# ---------------------------------------------------------------------------------------------- zips


BROKEN = (zlib.error, struct.error, OverflowError, IndexError, AttributeError)
"""What else Python's zipfile lets through on malformed archives."""
UNREADABLE = (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, ValueError, EOFError, OSError, *BROKEN)


def list_zip(data: bytes, listing: Listing, name: str) -> None:
    """Adds a zip's entries. Of two of one name the last counts, as for unzip."""
    if data.count(ENTRY) > MAX_LISTED:  # before zipfile makes an object of each
        raise CheckFailed(f"The zip holds far more than {MAX_ENTRIES} entries, which is the limit.")
    try:
        archive = opened(data)
        entries = archive.infolist()
    except UNREADABLE:
        raise CheckFailed(
            f"{shown(name)} is not a valid zip archive. Please zip your homework folder again and upload the .zip file."
        ) from None
    for entry in entries:
        listing.count()
        if entry.filename.endswith("/"):
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            if _may_matter(entry.filename):
                listing.remark(f"{shown(entry.filename)} is a link and was left out.")
        elif fault := unpackable(entry):
            if _may_matter(entry.filename):
                listing.remark(f"{shown(entry.filename)} {fault}")
        else:
            listing.add(entry.filename, entry.file_size, date_of(entry), _reader(archive, entry, listing))


def opened(archive: bytes | Path) -> zipfile.ZipFile:
    """The archive. Names that are said to be UTF-8 and are none are read as what old zips hold, code page 437."""
    try:
        return zipfile.ZipFile(archive if isinstance(archive, Path) else io.BytesIO(archive))
    except UnicodeDecodeError:
        mended: Any = _Copy.of(archive)  # which is less than an io.BytesIO, and enough
        at = _directory(mended) - 1
        while (at := mended.find(ENTRY, at + 1)) >= 0 and at + 46 <= len(mended):
            flags, length = struct.unpack("<H18xH", mended[at + 8 : at + 30])
            try:
                mended[at + 46 : at + 46 + length].decode()
            except UnicodeDecodeError:
                mended[at + 8 : at + 10] = struct.pack("<H", flags & ~UTF_8)
        return zipfile.ZipFile(mended)


class _Copy(mmap.mmap):
    """The bytes of an archive, which may be changed in memory and are read as from a file. Nothing else is copied."""

    @classmethod
    def of(cls, archive: bytes | Path) -> _Copy:
        if isinstance(archive, Path):
            with archive.open("rb") as file:
                return cls(file.fileno(), 0, access=mmap.ACCESS_COPY)
        copy = cls(-1, len(archive))
        copy[:] = archive
        return copy

    def seekable(self) -> bool:
        """It is; mmap says so itself from Python 3.13 on."""
        return True


def _directory(archive: mmap.mmap) -> int:
    """Where the archive's own directory begins, so that a zip within it stays as it is; 0 where that is not told."""
    end = archive.rfind(END)
    size = struct.unpack("<L", archive[end + 12 : end + 16])[0] if 0 <= end <= len(archive) - 22 else 0
    return max(0, end - size)


def unpackable(entry: zipfile.ZipInfo) -> str:
    """Why an entry is not unpacked, as the end of a sentence; "" where nothing speaks against it."""
    if entry.flag_bits & 1:
        return "is encrypted and was left out."
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python unpacks bzip2 and LZMA in one go, without a limit: kilobytes become gigabytes.
        return "is compressed by a method that the grader cannot read (it reads deflate)."
    return ""


def date_of(entry: zipfile.ZipInfo) -> int:
    """The entry's date as seconds of no calendar (each month has 31 days): for comparisons only."""
    year, month, day, hour, minute, second = entry.date_time
    return ((((year * 12 + month) * 31 + day) * 24 + hour) * 60 + minute) * 60 + second


def bytes_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """The entry's bytes: never more than it announced. None where it is damaged."""
    try:
        with archive.open(entry) as stream:
            return stream.read(entry.file_size)
    except UNREADABLE:
        return None


def _reader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, listing: Listing) -> Callable[[], bytes | None]:
    def read() -> bytes | None:
        data = bytes_of(archive, entry)
        if data is None:
            listing.remark(f"{shown(entry.filename)} is damaged in the zip and was left out.")
        return data

    return read


def _may_matter(name: str) -> bool:
    """Whether its loss is told: it is of a kind that is read, and in no folder that is junk."""
    path = PurePosixPath(name.replace("\\", "/"))
    kept = names.FileName(path.name).kept or archives.is_read(path.name)
    return kept and not names.is_never(path.parts) and not names.doubtful(path.parts[:-1])


# ------------------------------------------------------------------------------------------- folders


def _list_single(upload: Path, listing: Listing) -> None:
    """One file that was not zipped."""
    try:
        seen = upload.stat()
    except OSError as error:
        raise CheckFailed(f"{shown(upload.name)} cannot be read: {error.strerror}.") from None

    def read() -> bytes:
        try:
            with upload.open("rb") as stream:
                return stream.read(seen.st_size)
        except OSError as error:
            raise CheckFailed(f"{shown(upload.name)} cannot be read: {error.strerror}.") from None

    listing.add(upload.name, seen.st_size, int(seen.st_mtime), read)


def _list_folder(folder: Path, listing: Listing) -> None:
    """Regular files only; no link is followed at any level, neither now nor when a file is read."""
    try:
        start = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CheckFailed(f"The folder {shown(str(folder))} cannot be read: {error.strerror}.") from None
    for parts, seen in _walk(start, (), listing):
        listing.add("/".join(parts), seen.st_size, int(seen.st_mtime), _opener(folder, parts, seen.st_size, listing))


def _opener(folder: Path, parts: tuple[str, ...], size: int, listing: Listing) -> Callable[[], bytes | None]:
    def read() -> bytes | None:
        """Opens one folder after the other, since any may have become a link meanwhile."""
        at = -1
        try:
            at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            # A FIFO swapped in meanwhile would block without O_NONBLOCK.
            found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            with os.fdopen(found, "rb") as stream:
                if stat.S_ISREG(os.fstat(found).st_mode):
                    return stream.read(size)
            listing.remark(f"{shown('/'.join(parts))} is a link or a special file and was left out.")
        except OSError as error:
            listing.remark(f"{shown('/'.join(parts))} cannot be read ({error.strerror}) and was left out.")
        finally:
            if at >= 0:
                os.close(at)
        return None

    return read


def _walk(folder: int, prefix: tuple[str, ...], listing: Listing) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    """Every regular file that may matter, in the order of names. Of doubtful folders no more is looked at than fits."""
    doubtful = names.doubtful(prefix) > 0
    try:
        with os.scandir(folder) as entries:
            found = sorted(itertools.islice(entries, MAX_LISTED + 1), key=lambda entry: entry.name)
        for entry in found:
            parts = (*prefix, entry.name)
            if doubtful:
                listing.doubted += 1
                if listing.doubted > MAX_LISTED:
                    return
            else:
                listing.count()
            try:
                if entry.is_dir(follow_symlinks=False):
                    if len(parts) <= names.MAX_DEPTH and not names.is_never(parts):
                        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                        yield from _walk(os.open(entry.name, flags, dir_fd=folder), parts, listing)
                elif entry.is_file(follow_symlinks=False):
                    yield parts, entry.stat(follow_symlinks=False)
                elif _may_matter("/".join(parts)):
                    listing.remark(f"{shown('/'.join(parts))} is a link or a special file and was left out.")
            except OSError as error:
                listing.remark(f"{shown('/'.join(parts))} cannot be read ({error.strerror}) and was left out.")
    finally:
        os.close(folder)
