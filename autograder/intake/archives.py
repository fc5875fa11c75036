"""Which kind of archive some bytes are, by how they begin; and a tar's entries, unpacked as a stream within limits."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["zip", "tar", "gzip", "bzip2", "xz", "7z", "rar", "zstd", "lzip", "compress", ""]

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
UNREAD = (".7z", ".rar", ".tar.zst", ".tzst", ".tar.lz", ".tar.z", ".zipx")
"""What else people send their work in. It is not looked into, which is told."""
ONE = tuple(f"{suffix}{packed}" for suffix in (".ipynb", ".py") for packed in (".gz", ".bz2", ".xz", ".zst"))
"""A single file that was packed, which is not read either; other packed files are data."""
BEGIN: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"LZIP", "lzip"),
    (b"\x1f\x9d", "compress"),
)
BLOCK = 512
"""Of a tar; each entry begins at a multiple of it."""
CHUNK = 256 * 1024
MAX_STREAM = 1024**3
"""Bytes of a tar that are unpacked in all. What is left out is among them: in a stream nothing can be passed over."""
MAX_PIECES = 100
"""Packed pieces that follow each other in one file. Each may be empty."""
MAX_NAMES = 64 * 1024
"""Bytes of a header that holds a long name."""
MAX_MEMORY = 100 * 1024**2
"""Of unpacking xz; `xz -9` needs 65 MiB."""


NO_TAR = "holds no tar archive."


class ArchiveUnreadable(Exception):
    """An archive that is damaged or unpacks to too much; why, as the end of a sentence."""


def kind(data: bytes) -> Kind:
    """What the bytes are, whatever the file is called; "" for none that is known."""
    for begin, found in BEGIN:
        if data.startswith(begin):
            return found
    return "tar" if _header(data[:BLOCK]) is not None else ""


def is_read(name: str) -> bool:
    """Whether a file of this name may be an archive that is unpacked."""
    return name.casefold().endswith((*ZIPS, *TARS))


def is_unread(name: str) -> bool:
    """Whether a file of this name is an archive that is not unpacked."""
    return name.casefold().endswith((*UNREAD, *ONE)) and not is_read(name)


def advice(packed: str) -> str:
    """What to do with an archive that is not read, as the end of a sentence."""
    return (
        f"is packed by {packed}, which the grader cannot read. Please unpack it, zip the folder, and upload the "
        ".zip file."
    )


@dataclass(frozen=True)
class ArchiveEntry:
    """A file or a link of a tar."""

    name: str
    size: int
    date: int
    link: bool
    stream: _Stream

    def read(self) -> bytes:
        """Its bytes, once, and before the next entry is asked for."""
        return self.stream.take(self.size)


def entries(data: bytes) -> Iterator[ArchiveEntry]:
    """The files of a tar, packed or not, in its order; folders are passed over. Raises `Unreadable`, nothing else.

    Of a name's two forms (ustar's, and the long one of GNU or POSIX in an entry before) the long one counts.
    """
    try:
        yield from _entries(_Stream(data))
    except (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, IndexError, OverflowError, MemoryError):
        raise ArchiveUnreadable("is damaged and could not be unpacked completely.") from None


def _entries(stream: _Stream) -> Iterator[ArchiveEntry]:
    long, found = "", 0
    while True:
        block = stream.take(BLOCK, short=not found)
        if not block.strip(b"\0"):  # the end, or zeros up to it
            if found or block:
                return
            raise ArchiveUnreadable(NO_TAR)
        header = _header(block)
        if header is None:
            raise ArchiveUnreadable(
                "is damaged: it continues with something that is not a tar entry." if found else NO_TAR
            )
        found += 1
        linked = header.islnk() or header.issym()  # these have no bytes of their own, whatever size they say
        end = stream.at if linked else stream.at + -(-header.size // BLOCK) * BLOCK
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            if header.size > MAX_NAMES:
                raise ArchiveUnreadable("has a name that is too long.")
            told = stream.take(header.size)
            named = _posix_name(told) if header.type == tarfile.XHDTYPE else told.rstrip(b"\0")
            long = named.decode("utf-8", "replace") or long
        elif header.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveUnreadable("holds a sparse file (GNU sparse), which the grader cannot read.")
        elif header.type not in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            name, long = long or header.name, ""
            if linked or header.isreg():
                yield ArchiveEntry(name, 0 if linked else header.size, int(header.mtime), linked, stream)
        stream.skip(end - stream.at)


def _header(block: bytes) -> tarfile.TarInfo | None:
    """The entry that a block describes, None where its checksum or a field is wrong."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, IndexError, OverflowError):
        return None
    return header if header.size >= 0 else None


def _posix_name(records: bytes) -> bytes:
    """The path of a POSIX extended header: records of `LENGTH KEY=VALUE` and a line's end."""
    at = 0
    while at < len(records):
        length, _, _ = records[at : at + 12].partition(b" ")
        if not length.isdigit() or int(length) <= len(length) + 1:
            break
        key, _, value = records[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        if key == b"path":
            return value.rstrip(b"\0")
        at += int(length)
    return b""


class _Unpacker(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's object in the form of the other two."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class _Stream:
    """The unpacked bytes, a chunk at a time, never more than `MAX_STREAM` of them. `at`: how many were taken."""

    def __init__(self, data: bytes) -> None:
        self._make: dict[Kind, Callable[[], _Unpacker]] = {
            "gzip": _Gzip,
            "bzip2": bz2.BZ2Decompressor,
            "xz": lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY),
        }
        self._data, self._read, self._members = memoryview(data), 0, 0
        self._kind = kind(data)
        self._unpacker = self._make[self._kind]() if self._kind in self._make else None
        self._chunk, self._used = b"", 0
        self.at = 0

    def take(self, count: int, *, short: bool = False) -> bytes:
        """The next `count` bytes; none where the stream is at its end.

        Where it ends in between, raises EOFError, or with `short` gives what there is.
        """
        parts = list[bytes]()
        while count > 0:
            if self._used == len(self._chunk) and not self._more():
                if short or not parts:
                    break
                raise EOFError
            parts.append(self._chunk[self._used : self._used + count])
            self._step(len(parts[-1]))
            count -= len(parts[-1])
        return b"".join(parts)

    def skip(self, count: int) -> None:
        while count > 0:
            if self._used == len(self._chunk) and not self._more():
                raise EOFError
            step = min(count, len(self._chunk) - self._used)
            self._step(step)
            count -= step

    def _step(self, count: int) -> None:
        self._used += count
        self.at += count
        if self.at > MAX_STREAM:
            raise ArchiveUnreadable("unpacks to more than 1 GB. Please leave data and checkpoints out of it.")

    def _more(self) -> bool:
        """Unpacks the next chunk; False at the end."""
        self._chunk, self._used = b"", 0
        while not self._chunk:
            if self._unpacker is None:
                self._chunk = self._input()
                return bool(self._chunk)
            if self._unpacker.eof:  # several packed pieces can follow each other in one file
                self._read -= len(self._unpacker.unused_data)
                self._members += 1
                if kind(bytes(self._data[self._read : self._read + BLOCK])) != self._kind:
                    return False
                if self._members > MAX_PIECES:
                    raise ArchiveUnreadable(
                        f"is packed in more than {MAX_PIECES} pieces, which the grader cannot read."
                    )
                self._unpacker = self._make[self._kind]()
            new = self._input() if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not new:
                raise ArchiveUnreadable("is incomplete: its end is missing.")
            self._chunk = self._unpacker.decompress(new, CHUNK)
        return True

    def _input(self) -> bytes:
        new = bytes(self._data[self._read : self._read + CHUNK])
        self._read += len(new)
        return new
