"""Tar archives are read as zips are, within the same limits; of other archives it is said what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder.core import CheckFailed, Submission
from autograder.intake import archives, submission, uploads
from tests.helpers import UTILS, VAE, VAE_ONLY, zip_of

SMALL = {UTILS: b"x = 1\n", VAE: b"y = 2\n"}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}


def tar_of(files: dict[str, bytes], *, format: int = tarfile.PAX_FORMAT, links: dict[str, str] | None = None) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=format) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return held.getvalue()


def receive(tmp_path: Path, name: str, data: bytes) -> Submission:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "walls" / "workspace").mkdir(parents=True, exist_ok=True)
    return submission.receive(tmp_path / name, VAE_ONLY, tmp_path / "walls" / "workspace")


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_graded_like_a_zip(tmp_path: Path, suffix: str, format: int) -> None:
    data = PACKED[suffix](tar_of({f"hw/{name}": text for name, text in SMALL.items()}, format=format))
    taken = receive(tmp_path, f"dave{suffix}", data)
    assert (taken.workspace / UTILS).read_bytes() == SMALL[UTILS]
    assert (taken.workspace / VAE).read_bytes() == SMALL[VAE]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_in_any_script(tmp_path: Path, format: int) -> None:
    deep = "/".join(["王伟的作业" * 3, "Домашнее задание " * 4, "x" * 90])
    taken = receive(tmp_path, "a.tar.gz", gzip.compress(tar_of({f"{deep}/{UTILS}": b"x = 1\n"}, format=format)))
    assert (taken.workspace / UTILS).read_bytes() == b"x = 1\n"


def test_what_an_archive_is_its_bytes_say(tmp_path: Path) -> None:
    for name, data in (
        ("tar.zip", gzip.compress(tar_of(SMALL))),
        ("zip.tar.gz", zip_of(SMALL, tmp_path / "made").read_bytes()),
        ("no suffix", lzma.compress(tar_of(SMALL))),
    ):
        place = tmp_path / name.replace(" ", "")
        place.mkdir()
        assert (receive(place, name, data).workspace / UTILS).read_bytes() == SMALL[UTILS]


def test_a_tar_within_an_upload_is_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    (folder / "hw.tar.gz").write_bytes(gzip.compress(tar_of(SMALL)))
    (folder / "again.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    (tmp_path / "workspace").mkdir()
    taken = submission.receive(folder, VAE_ONLY, tmp_path / "workspace")
    assert (taken.workspace / UTILS).read_bytes() == SMALL[UTILS]
    assert any('"again.7z": is an archive that the grader cannot read' in remark for remark in taken.remarks)


@pytest.mark.parametrize(
    ("begin", "word"),
    [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\x00", "rar"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"LZIP", "lzip")],
)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, begin: bytes, word: str) -> None:
    for name in ("carol." + word, "carol.zip"):
        with pytest.raises(
            CheckFailed, match=f"is packed by {word}, which the grader cannot read. Please unpack it, zip"
        ):
            receive(tmp_path, name, begin + bytes(100))


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"no tar at all" * 100),
        gzip.compress(tar_of(SMALL)[:1024])[:-9],
        gzip.compress(tar_of(SMALL))[:100],
        tar_of(SMALL)[:700],
        tar_of(SMALL)[:512] + b"\x01" * 1024,
        lzma.compress(tar_of(SMALL))[:60] + bytes(9),
        bz2.compress(tar_of(SMALL))[:50],
        gzip.compress(b""),
    ],
    ids=["no tar", "cut between files", "cut early", "cut in a file", "no header", "damaged xz", "cut bz2", "empty"],
)
def test_damaged_ones_are_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CheckFailed, match="Please zip your homework folder"):
        receive(tmp_path, "erin.tgz", data)


def test_links_and_names_that_lead_out(tmp_path: Path) -> None:
    files = {f"hw/{UTILS}": b"x = 1\n", "../../../escaped.py": b"", "/tmp/escaped.py": b"", "C:\\escaped.py": b""}
    data = tar_of(files, links={f"hw/{VAE}": "/etc/passwd"})
    taken = receive(tmp_path, "a.tar", data)
    assert (taken.workspace / UTILS).exists()
    assert any("is a link and was left out" in remark for remark in taken.remarks)
    assert VAE in taken.absent
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "walls"]


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


MB = 1024**2
BOMBS = {
    "data": (gzip.compress(header("data/x.bin", 100 * MB) + bytes(40 * MB)), "unpacks to more than 1 GB"),
    "name": (gzip.compress(header("x", 30 * MB, tarfile.GNUTYPE_LONGNAME) + bytes(30 * MB)), "name that is too long"),
    "pax": (gzip.compress(header("x", 30 * MB, tarfile.XHDTYPE) + bytes(30 * MB)), "name that is too long"),
    "many": (gzip.compress(header("x", 0) * 30_000, 1), "far more than"),
    "large": (gzip.compress(b"".join(header(f"hw/{i}.py", 40 * MB) for i in range(6))), "more than 200 MB"),
    "kept": (gzip.compress((header("hw/1.py", 10 * MB) + bytes(10 * MB)) * 3), "more than 200 MB"),
    "pieces": (gzip.compress(tar_of(SMALL)[:1024]) + gzip.compress(b"") * 300_000, "more than 100 pieces"),
    "holes": (header("x.py", 9, tarfile.GNUTYPE_SPARSE), "sparse"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_limits_hold(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With limits a thirtieth of the real ones: a bomb is refused before it takes more memory than what may be kept."""
    monkeypatch.setattr(archives, "MAX_STREAM", 32 * MB)
    monkeypatch.setattr(uploads, "MAX_LISTED", 20_000)
    monkeypatch.setattr(uploads, "MAX_TOTAL", 12 * MB)
    data, told = BOMBS[bomb]
    started = time.process_time()
    tracemalloc.start()
    with pytest.raises(CheckFailed, match=told):
        uploads.list_archive(data, uploads.Listing(["utils.py"]), "x.tgz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MB
    assert time.process_time() - started < 20


def test_no_bytes_raise_anything_else() -> None:
    chance = random.Random(0)
    whole = [PACKED[suffix](tar_of(SMALL)) for suffix in PACKED]
    for number in range(600):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        del data[chance.randrange(len(data)) if number % 3 == 0 else len(data) :]
        listing = uploads.Listing([])
        try:
            uploads.list_archive(bytes(data), listing, "x")
        except CheckFailed as fault:
            assert str(fault)


def test_a_file_is_what_it_says_only_where_it_is_told(tmp_path: Path) -> None:
    assert archives.kind(b"") == archives.kind(bytes(512)) == archives.kind(b"x" * 512) == ""
    assert archives.is_read("A.TAR.GZ")
    assert archives.is_unread("x.RAR")
    assert archives.is_unread("hw.ipynb.gz")
    assert not archives.is_unread("train-images-idx3-ubyte.gz")
