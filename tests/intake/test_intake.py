"""From upload to workspace.

Whatever comes, only regular files below the workspace are written, and only CheckFailed is raised.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.core import GIVEN, PACKAGES, Assignment, CheckFailed, Question, Submission
from autograder.hw11 import ASSIGNMENT
from autograder.intake import submission, uploads
from tests import helpers, small
from tests.helpers import UTILS, VAE, VAE_ONLY, solved, zip_of

often = settings(derandomize=True, database=None, deadline=None, max_examples=100)
SOLVED = solved()
SMALL = {UTILS: b"x = 1\n", VAE: b"y = 2\n"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "walls" / "workspace"
    folder.mkdir(parents=True)
    return folder


def receive(upload: Path, workspace: Path, group: int | None = None) -> Submission:
    return submission.receive(upload, VAE_ONLY, workspace, group=group)


def unpacked(upload: Path) -> Submission | CheckFailed:
    """What becomes of an upload; checks that nothing but regular files and folders appears, all in the workspace."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder, "walls", "workspace")
        workspace.mkdir(parents=True)
        found: Submission | CheckFailed
        try:
            found = receive(upload, workspace)
        except CheckFailed as fault:
            assert str(fault)
            found = fault
        assert [path.name for path in Path(folder).iterdir()] == ["walls"]
        assert [path.name for path in workspace.parent.iterdir()] == ["workspace"]
        for path in workspace.rglob("*"):
            kind = path.lstat().st_mode
            assert stat.S_ISREG(kind) or stat.S_ISDIR(kind)
            assert path.is_dir() or path.lstat().st_nlink == 1
            assert path.resolve().is_relative_to(workspace.resolve())
        words = found.remarks if isinstance(found, Submission) else (str(found),)
        assert len(words) <= uploads.MAX_REMARKS + 4
        assert all(character.isprintable() for character in "".join(words))
        assert all(len(word) < 2000 for word in words)
        return found


# --------------------------------------------------------------------------------- arbitrary uploads

pieces = st.sampled_from(
    ["gan_vae", "utils.py", "models", "vae.py", "..", ".", "", "/", "\\", "C:", "a", "A", "é", ".given", "data", "~",
     "\n", "\x1b[31m", "\u202e", "\0", "x" * 300, "__MACOSX", "._utils.py", "=cmd", " ", "x.zip", "\U000e0001"]
)  # fmt: skip
paths = st.one_of(
    st.lists(pieces, min_size=1, max_size=20).map("/".join),
    st.lists(pieces, min_size=1, max_size=4).map("\\".join),
    st.tuples(st.text(min_size=1, max_size=12), st.sampled_from([".py", "/utils.py", ".zip", ""])).map("".join),
    st.sampled_from([UTILS, VAE, UTILS + "/x.py", "gan_vae", "gan_vae/data.py/x.py", "gan_vae/models.py", "utils.PY"]),
)
contents = st.one_of(st.binary(max_size=50), st.just(b"x = 1\n"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
@often
@given(st.lists(st.tuples(paths, contents, st.sampled_from([0o100644, 0o120777, 0o010644, 0o060644, 0])), max_size=8))
def test_any_names_in_a_zip(entries: list[tuple[str, bytes, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "upload.zip")
        with zipfile.ZipFile(upload, "w") as archive:
            for name, data, mode in entries:
                entry = zipfile.ZipInfo("x")
                entry.filename = name
                entry.external_attr = mode << 16
                try:
                    archive.writestr(entry, data)
                except (UnicodeEncodeError, ValueError):
                    continue
        unpacked(upload)


@pytest.mark.slow
@often
@given(st.lists(st.tuples(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=5), contents), max_size=6))
def test_any_names_in_a_folder(entries: list[tuple[list[bytes], bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "upload")
        (upload / "gan_vae").mkdir(parents=True)
        (upload / UTILS).write_bytes(b"x = 1\n")
        for parts, data in entries:
            names = [os.fsdecode(part.replace(b"/", b"_").replace(b"\0", b"_")) for part in parts]
            try:
                place = upload.joinpath(*names)
                place.parent.mkdir(parents=True, exist_ok=True)
                for ending in ("", ".py"):
                    with place.with_name(place.name + ending).open("xb") as file:
                        file.write(data)
            except (OSError, ValueError):
                continue
        assert isinstance(unpacked(upload), Submission)


GOOD = io.BytesIO()
with zipfile.ZipFile(GOOD, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in {**SMALL, "gan_vae/é.py": b"z" * 300}.items():
        archive.writestr(name, data)
BYTES = GOOD.getvalue()


@pytest.mark.slow
@often
@given(st.lists(st.integers(0, len(BYTES) * 8 - 1), min_size=1, max_size=8), st.integers(0, len(BYTES)), st.binary())
def test_any_damage_to_a_zip(bits: list[int], place: int, filling: bytes) -> None:
    data = bytearray(BYTES)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "upload.zip")
        for damaged in (bytes(data), BYTES[:place] + filling + BYTES[place:], BYTES[:place], filling):
            upload.write_bytes(damaged)
            unpacked(upload)


# ------------------------------------------------------------------------------------------- layouts


def zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def under(prefix: str, files: Mapping[str, bytes] = SOLVED) -> dict[str, bytes]:
    return {prefix + name: data for name, data in files.items()}


INSIDE = {name.removeprefix("gan_vae/"): data for name, data in SOLVED.items()}
NOISE = {
    "__MACOSX/gan_vae/._utils.py": b"\0\5", "gan_vae/._utils.py": b"\0", "gan_vae/.DS_Store": b"x",
    "gan_vae/__pycache__/utils.cpython-311.pyc": b"x", "gan_vae/.git/utils.py": b"1 / 0\n",
    "gan_vae/data/mnist.csv": b"1", "gan_vae/checkpoints/a.pt": b"x", "gan_vae/.ipynb_checkpoints/utils.py": b"1 / 0",
    "gan_vae/.venv/lib/utils.py": b"1 / 0\n",
}  # fmt: skip
LAYOUTS: dict[str, Mapping[str, bytes]] = {
    "the folder": SOLVED,
    "its content": INSIDE,
    "one folder more": under("hw11/"),
    "two folders more": under("Copy of hw11 (2)/homework/"),
    "another name of the folder": {name.replace("gan_vae", "my VAE é"): data for name, data in SOLVED.items()},
    "backslashes": {name.replace("/", "\\"): data for name, data in SOLVED.items()},
    "with junk": {**SOLVED, **NOISE},
    "a zip in a zip": {"hw11.zip": zipped(SOLVED), "notes.pdf": b"x"},
    "capital letters": {name.replace("utils.py", "Utils.py"): data for name, data in SOLVED.items()},
    "the template beside it": {**SOLVED, "notes/readme.txt": b"x"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_layouts_are_all_the_same(layout: str, form: str, tmp_path: Path, workspace: Path) -> None:
    if form == "zip":
        upload = zip_of(LAYOUTS[layout], tmp_path / "upload.zip")
    else:
        upload = tmp_path / "upload"
        for name, data in LAYOUTS[layout].items():
            (upload / name).parent.mkdir(parents=True, exist_ok=True)
            (upload / name).write_bytes(data)
    taken = receive(upload, workspace)
    assert taken.absent == ()
    for name, data in SOLVED.items():
        assert (workspace / name).read_bytes() == data
    assert not list(workspace.rglob("*.pyc"))
    assert (workspace / GIVEN / UTILS).read_bytes() == (VAE_ONLY.template / UTILS).read_bytes()


def test_single_files_without_folders(tmp_path: Path, workspace: Path) -> None:
    taken = receive(zip_of({"utils.py": SOLVED[UTILS], "vae.py": SOLVED[VAE]}, tmp_path / "a.zip"), workspace)
    assert taken.absent == ()
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / VAE).read_bytes() == SOLVED[VAE]
    assert (workspace / "gan_vae/models/nns.py").is_file()


def test_the_deeper_copy_does_not_win(tmp_path: Path, workspace: Path) -> None:
    files = {**SOLVED, "old/gan_vae/utils.py": b"1 / 0\n"}
    receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]


def test_two_equal_places_are_told(tmp_path: Path, workspace: Path) -> None:
    files = {"a/gan_vae/utils.py": b"x = 1\n", "b/gan_vae/utils.py": b"x = 2\n"}
    taken = receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / UTILS).read_bytes() == b"x = 1\n"
    assert any("more than one utils.py" in remark for remark in taken.remarks)


@pytest.mark.parametrize(
    ("assignment", "file"),
    [(small.ASSIGNMENT, "answer.py"), (ASSIGNMENT, "policy_gradient.ipynb"), (ASSIGNMENT, "summarization.ipynb")],
    ids=["a Python file", "a notebook", "a question with more files"],
)
def test_a_file_and_a_folder_of_one_name(assignment: Assignment, file: str, tmp_path: Path) -> None:
    """A zip can hold both. Here the file is empty, so that the one in the folder is taken and what is beside it."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    upload = zip_of({file: b"", f"{file}/{file}.bak": b"x = 1\n"}, tmp_path / "upload.zip")
    assert file not in submission.receive(upload, assignment, workspace).absent


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    def digest(files: Mapping[str, bytes], name: str) -> str:
        found = unpacked(zip_of(files, tmp_path / name))
        assert isinstance(found, Submission)
        return found.digest

    first = digest(SOLVED, "a.zip")
    names = list(SOLVED)
    random.Random(0).shuffle(names)
    assert digest({name: SOLVED[name] for name in names}, "b.zip") == first
    for layout in ("its content", "one folder more", "two folders more", "backslashes", "with junk", "a zip in a zip"):
        assert digest(LAYOUTS[layout], "c.zip") == first, layout
    assert digest(SOLVED | {UTILS: SOLVED[UTILS] + b" "}, "d.zip") != first
    assert digest(SOLVED | {"gan_vae/more.py": b""}, "e.zip") != first


# --------------------------------------------------------------------------------------- hostile zips


def test_a_gigabyte_of_zeros_is_not_unpacked(tmp_path: Path) -> None:
    """The entry announces 1 GB; its 1 MB of deflated zeros are never looked at."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    packed = b"".join([*(squeezer.compress(block) for _ in range(64)), squeezer.flush()])
    upload = tmp_path / "bomb.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for name, data in SMALL.items():
            archive.writestr(name, data)
    _append_raw(upload, b"gan_vae/zeros.py", packed, size=1 << 30, method=8)
    found = unpacked(upload)
    assert isinstance(found, Submission)
    assert any("larger than 50 MB" in remark for remark in found.remarks)


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    """64 MB announced as 100 bytes: no more than 100 are unpacked, and the checksum tells the rest."""
    packed = zlib.compress(bytes(64 << 20), 1)[2:-4]
    upload = zip_of(SMALL, tmp_path / "bomb.zip")
    _append_raw(upload, b"gan_vae/zeros.py", packed, size=100, method=8)
    found = unpacked(upload)
    assert isinstance(found, Submission)
    assert any("damaged" in remark for remark in found.remarks)


def _append_raw(upload: Path, name: bytes, packed: bytes, *, size: int, method: int, crc: int = 0) -> None:
    """Adds an entry with whatever it announces to a zip."""
    data = upload.read_bytes()
    end = data.rindex(b"PK\5\6")
    count, length, start = struct.unpack("<HII", data[end + 10 : end + 20])
    common = struct.pack("<HHHHHIII", 20, 0, method, 0, 33, crc, len(packed), size)
    local = b"PK\3\4" + common + struct.pack("<HH", len(name), 0) + name + packed
    central = b"PK\1\2" + struct.pack("<H", 20) + common
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0o100644 << 16, start) + name
    directory = data[start : start + length] + central
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count + 1, count + 1, len(directory), start + len(local), 0)
    upload.write_bytes(data[:start] + local + directory + tail)


def test_overlapping_entries_count_each_time(tmp_path: Path) -> None:
    """One packed kernel of 40 MB that many entries point to: the sum of what they announce is what counts."""
    packed = zlib.compress(bytes(40 << 20), 1)[2:-4]
    upload = zip_of(SMALL, tmp_path / "bomb.zip")
    crc = zlib.crc32(bytes(40 << 20))
    _append_raw(upload, b"gan_vae/0.py", packed, size=40 << 20, method=8, crc=crc)
    data = upload.read_bytes()
    end = data.rindex(b"PK\5\6")
    count, length, start = struct.unpack("<HII", data[end + 10 : end + 20])
    directory = data[start : start + length]
    last = directory[directory.rindex(b"PK\1\2") :]
    for index in range(1, 10):
        directory += last.replace(b"gan_vae/0.py", f"gan_vae/{index}.py".encode())
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count + 9, count + 9, len(directory), start, 0)
    upload.write_bytes(data[:start] + directory + tail)
    assert isinstance(unpacked(upload), CheckFailed)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_methods_that_unpack_without_a_limit_are_not_used(method: int, tmp_path: Path) -> None:
    upload = tmp_path / "a.zip"
    with zipfile.ZipFile(upload, "w", method) as archive:
        archive.writestr("gan_vae/bomb.py", bytes(1 << 20))
    with zipfile.ZipFile(upload, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(UTILS, b"x = 1\n")
    found = unpacked(upload)
    assert isinstance(found, Submission)
    assert any("method that the grader cannot read" in remark for remark in found.remarks)


def test_encrypted_and_damaged_entries(tmp_path: Path) -> None:
    upload = zip_of({**SMALL, "gan_vae/locked.py": b"x", "gan_vae/broken.py": b"content" * 30}, tmp_path / "a.zip")
    data = bytearray(upload.read_bytes())
    for signature, offset, length in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            if data[place + length :].startswith(b"gan_vae/locked.py"):
                data[place + offset] |= 1
    body = data.find(b"gan_vae/broken.py") + len("gan_vae/broken.py")
    data[body + 3] ^= 0xFF
    upload.write_bytes(data)
    found = unpacked(upload)
    assert isinstance(found, Submission)
    assert any("locked.py" in remark and "encrypted" in remark for remark in found.remarks)
    assert any("broken.py" in remark and "damaged" in remark for remark in found.remarks)


def test_many_entries_are_refused_quickly(tmp_path: Path) -> None:
    upload = tmp_path / "many.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for index in range(uploads.MAX_ENTRIES + 1):
            archive.writestr(f"{index}.py", b"")
    found = unpacked(upload)
    assert isinstance(found, CheckFailed)
    assert "at most" in str(found)
    upload.write_bytes(upload.read_bytes() + uploads.ENTRY * (uploads.MAX_LISTED))
    assert "far more" in str(unpacked(upload))


def test_a_full_zip_is_read_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    """All of the allowed entries with distinct names: quadratic work would take minutes."""
    upload = tmp_path / "full.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        archive.writestr(UTILS, b"x = 1\n")
        for index in range(uploads.MAX_ENTRIES // 2):
            archive.writestr(f"notes/{index}.md", b"")
    started = os.times()
    assert isinstance(unpacked(upload), Submission)
    ended = os.times()
    assert ended.user - started.user < 20


def test_names_that_are_refused(tmp_path: Path, workspace: Path) -> None:
    names = {
        "gan_vae/a\nb.py": "control", "gan_vae/\x1b[2J.py": "control", "gan_vae/\x7f.py": "control",
        "gan_vae/\x9b31m.py": "control", "gan_vae/" + "x" * 300 + ".py": "too long",
        "/".join(["d"] * 20) + "/x.py": "too deep",
    }  # fmt: skip
    taken = receive(zip_of({**SMALL, **dict.fromkeys(names, b"")}, tmp_path / "a.zip"), workspace)
    for words in names.values():
        assert any(words in remark for remark in taken.remarks), words
    assert len(taken.remarks) == len(names)
    assert all(remark.startswith('"') and remark.isprintable() for remark in taken.remarks)
    assert sorted(path.name for path in workspace.rglob("*.py") if path.read_bytes() == b"") == []


KINDLY = [
    "👩‍👩‍👧‍👦", "🏳️‍🌈 final", "تکلیف‌ها", "نمی‌خواهم", "soft\u00adhyphen", "private \ue000", "newer \U000323af",
    "unassigned \u0378", "\u202eright to left", "\u2028line", "\ufefftext", "क्‍ष", "zero\u200bwidth", "\U000e0041tag",
    "é", "e\u0301", "ﬁnal", "\u3000wide", "=cmd", "<b>", "'", '"', "a:b", "%s", "$HOME", "`x`", "~", "-rf", "x" * 196,
]  # fmt: skip


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("name", KINDLY)
def test_any_other_name_is_the_students_business(name: str, form: str, tmp_path: Path, workspace: Path) -> None:
    """As a folder around all, as a module beside the others, and within the name of a graded file."""
    files = {f"{name}/{path}": data for path, data in {**SOLVED, f"gan_vae/{name}.py": b"x = 1\n"}.items()}
    taken = receive(handed_in(files, form, tmp_path), workspace)
    assert taken.absent == taken.remarks == ()
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / f"gan_vae/{name}.py").read_bytes() == b"x = 1\n"


@pytest.mark.parametrize("mark", ["\u200b", "\u200d", "\u00ad", "\ufeff", "\u202e", "\ue000", "\u00a0", "\u2060"])
def test_what_cannot_be_seen_in_a_name_does_not_hide_the_file(mark: str, tmp_path: Path, workspace: Path) -> None:
    files = {f"gan_vae/utils.py{mark}": SOLVED[UTILS], f"gan_vae/models/{mark}vae.py": SOLVED[VAE]}
    taken = receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert taken.absent == ()
    assert (workspace / VAE).read_bytes() == SOLVED[VAE]
    assert any("was graded as gan_vae/utils.py" in remark for remark in taken.remarks)


def test_a_zip_whose_names_are_no_utf_8(tmp_path: Path, workspace: Path) -> None:
    """Flagged as UTF-8 but in another encoding, or with a surrogate: one name does not cost the whole upload."""
    zip_of({**SOLVED, "notes/caf\u00e9 1.md": b"x", "notes/caf\u00e9 2.md": b"x"}, tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    assert data.count("caf\u00e9 1".encode()) == data.count("caf\u00e9 2".encode()) == 2
    data = data.replace("\u00e9 1".encode(), b"\xe9\xff 1").replace("\u00e9 2".encode(), b"\xed\xa0 2")
    (tmp_path / "a.zip").write_bytes(data)
    assert receive(tmp_path / "a.zip", workspace).absent == ()
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]


def handed_in(files: Mapping[str, bytes], form: str, tmp_path: Path, dates: Mapping[str, int] | None = None) -> Path:
    """The files as a zip or as a folder; `dates` are hours of one day, all others are from its noon."""
    upload = tmp_path / "upload"
    hours = dict.fromkeys(files, 12) | dict(dates or {})
    if form == "zip":
        with zipfile.ZipFile(upload, "w") as archive:
            for name, data in files.items():
                entry = zipfile.ZipInfo(name, (2026, 11, 20, hours[name], 0, 0))
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        return upload
    upload.mkdir()
    for name, data in files.items():
        (upload / name).parent.mkdir(parents=True, exist_ok=True)
        (upload / name).write_bytes(data)
        os.utime(upload / name, (0, 1_700_000_000 + 3600 * hours[name]))
    return upload


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("/", "root of a disk"), ("/home/ann/hw 11/", "root of a disk"), ("C:/Users/Ann/", "root of a disk"),
        ("C:\\Users\\Ann\\", "root of a disk"), ("\\\\server\\share\\", "root of a disk"),
        ("//host/x/", "root of a disk"),
        ("d:\\", "root of a disk"), ("../", '".."'), ("../../hw11/", '".."'), ("..\\", '".."'), ("a/../b/", '".."'),
        ("./", ""),
        (".\\", ""), ("a//b///", ""),
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_read_as_unzip_does(
    prefix: str, words: str, tmp_path: Path, workspace: Path
) -> None:
    taken = receive(zip_of(under(prefix), tmp_path / "a.zip"), workspace)
    assert taken.absent == ()
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / "gan_vae/models/nns.py").read_bytes() == SOLVED["gan_vae/models/nns.py"]
    assert [words in remark for remark in taken.remarks] == [True] * bool(words)
    assert all(f"and {len(SOLVED) - 3} more" in remark for remark in taken.remarks)


def test_names_of_nothing_are_passed_over(tmp_path: Path, workspace: Path) -> None:
    files = {
        **SMALL,
        "..": b"",
        "/": b"",
        "../..": b"",
        "C:": b"",
        "C:\\..\\..": b"",
        "...": b"",
        "../.py": b"",
        "/.ipynb": b"",
    }
    assert receive(zip_of(files, tmp_path / "a.zip"), workspace).absent == ()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [(UTILS, UTILS), (UTILS, "./" + UTILS), (UTILS, UTILS.replace("/", "\\")),
                                   (UTILS, "/" + UTILS), ("gan_vae//utils.py", "../" + UTILS)])  # fmt: skip
def test_of_two_entries_of_one_name_the_last_counts(names: tuple[str, str], tmp_path: Path, workspace: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(VAE, SOLVED[VAE])
        archive.writestr(names[0], b"def sample_gaussian(m, v): raise NotImplementedError\n")
        archive.writestr(names[1], SOLVED[UTILS])
    taken = receive(tmp_path / "a.zip", workspace)
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert any("twice under the same name. The last one counts" in remark for remark in taken.remarks)


def test_a_name_in_two_cases(tmp_path: Path, workspace: Path) -> None:
    """On a disk that tells them apart these are two files: the filled in one counts, whichever it is."""
    for files in (
        {UTILS: SOLVED[UTILS], VAE: SOLVED[VAE], "gan_vae/UTILS.PY": b"1 / 0\n"},
        {"gan_vae/Utils.py": SOLVED[UTILS], VAE: SOLVED[VAE], UTILS: b"1 / 0\n"},
    ):
        upload = zip_of(files, tmp_path / "a.zip")
        assert isinstance(found := unpacked(upload), Submission)
        assert any("more than one utils.py" in remark for remark in found.remarks)
    receive(upload, workspace)
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]


@pytest.mark.parametrize(
    "files",
    [
        {**SOLVED, UTILS + "/x.py": b""},
        {**SOLVED, "gan_vae/data.py/x.py": b""},  # where the template has a file
        {**SOLVED, "gan_vae/models.py": b"", "gan_vae/models/more.py/y.py": b"", "gan_vae/models/more.py": b""},
    ],
    ids=["own", "template", "below"],
)
def test_a_file_where_a_folder_is_needed(files: dict[str, bytes], tmp_path: Path) -> None:
    """costs nothing but itself."""
    found = unpacked(zip_of(files, tmp_path / "a.zip"))
    assert isinstance(found, Submission)
    assert found.absent == ()
    assert ("data.py" in str(files)) or any("has their place: 1." in remark for remark in found.remarks)


# ------------------------------------------------------------------------------------ hostile folders


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    upload = tmp_path / "upload"
    for name, data in SMALL.items():
        (upload / name).parent.mkdir(parents=True, exist_ok=True)
        (upload / name).write_bytes(data)
    yield upload


def test_links_and_special_files(folder: Path, tmp_path: Path, workspace: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("SECRET")
    closed = tmp_path / "closed"
    (closed / "sub").mkdir(parents=True)
    (closed / "sub" / "x.py").write_text("SECRET")
    inside = folder / "gan_vae"
    (inside / "link.py").symlink_to(secret)
    (inside / "dangling.py").symlink_to(tmp_path / "nowhere")
    (inside / "loop.py").symlink_to("loop.py")
    (inside / "linked").symlink_to(closed)
    (inside / "up").symlink_to("..")
    os.mkfifo(inside / "fifo.py")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(inside)  # a socket's path is limited to 108 bytes
        try:
            listener.bind("socket.py")
        finally:
            os.chdir(before)
        if os.geteuid() == 0:
            os.mknod(inside / "device.py", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: endless
        taken = receive(folder, workspace)
    assert b"SECRET" not in b"".join(path.read_bytes() for path in workspace.rglob("*") if path.is_file())
    for name in ("link.py", "dangling.py", "loop.py", "fifo.py", "socket.py"):
        assert any(name in remark and "special file" in remark for remark in taken.remarks), name
    assert not any(name in path.name for path in workspace.rglob("*") for name in ("link", "fifo", "socket", "device"))


def test_the_graded_file_as_a_link(folder: Path, tmp_path: Path, workspace: Path) -> None:
    (folder / UTILS).unlink()
    (folder / UTILS).symlink_to("/etc/passwd")
    taken = receive(folder, workspace)
    assert UTILS in taken.absent
    assert (workspace / UTILS).read_bytes() == (VAE_ONLY.template / UTILS).read_bytes()


def test_hard_links_are_copied(folder: Path, tmp_path: Path, workspace: Path) -> None:
    os.link(folder / UTILS, folder / "gan_vae" / "twin.py")
    receive(folder, workspace)
    assert (workspace / "gan_vae" / "twin.py").lstat().st_nlink == 1


def test_deep_and_wide_trees(folder: Path, workspace: Path) -> None:
    before = os.open(folder, os.O_RDONLY)
    try:
        inner = before
        for _ in range(300):  # deeper than any path that could be named
            os.mkdir("d" * 60, dir_fd=inner)
            inner, last = os.open("d" * 60, os.O_RDONLY, dir_fd=inner), inner
            if last != before:
                os.close(last)
        os.close(inner)
        taken = receive(folder, workspace)
        assert taken.absent == ()
    finally:
        os.close(before)
        subprocess.run(["rm", "-rf", str(folder / ("d" * 60))], check=True)


def test_sparse_and_large_files(folder: Path, workspace: Path) -> None:
    with (folder / "gan_vae" / "large.py").open("wb") as file:
        file.truncate(1 << 40)
    taken = receive(folder, workspace)
    assert any("larger than 50 MB" in remark for remark in taken.remarks)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
@pytest.mark.parametrize("group", [None, 0x10000000 + 12345])
def test_who_may_read_the_box(group: int | None, folder: Path, workspace: Path) -> None:
    (folder / UTILS).chmod(0o777)
    receive(folder, workspace, group)
    for path in [workspace, *workspace.rglob("*")]:
        found = path.lstat()
        mode = stat.S_IMODE(found.st_mode)
        if group is None:
            assert mode == (0o755 if path.is_dir() else 0o644)
        else:
            assert mode == (0o550 if path.is_dir() else 0o440)
            assert (found.st_uid, found.st_gid) == (0, group)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="root reads everything, so a child becomes someone else")
def test_folders_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    (folder / "gan_vae" / "closed").mkdir(mode=0o700)
    (folder / "gan_vae" / "closed.py").write_bytes(b"x")
    (folder / "gan_vae" / "closed.py").chmod(0o600)
    program = (
        f"import sys; sys.path[:0] = [{str(helpers.ROOT)!r}]; import tempfile, pathlib; from tests import helpers;"
        "from autograder.intake import submission;"
        f"print(submission.receive(pathlib.Path('upload'), helpers.VAE_ONLY, pathlib.Path(tempfile.mkdtemp())).remarks)"
    )
    with helpers.reachable_folder() as reachable:
        reachable.chmod(0o777)
        subprocess.run(["cp", "-a", str(folder), str(reachable / "upload")], check=True)
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", program], user=65534, group=65534, extra_groups=[],
            cwd=reachable, env={"TMPDIR": str(reachable)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        subprocess.run(["rm", "-rf", str(reachable / "upload")], check=True)
    assert done.returncode == 0, done.stderr
    assert "closed.py" in done.stdout
    assert "cannot be read" in done.stdout


# ------------------------------------------------------------------------------------------- pictures


PICTURED = replace(
    VAE_ONLY,
    questions=(*VAE_ONLY.questions, Question("p", 5, "P", ("gan_vae/vae_samples.png", "gan_vae/gan_samples.png"), ())),
)


@pytest.mark.parametrize(
    ("names", "vae", "gan"),
    [
        (("gan_vae/vae_samples.png", "gan_vae/gan_samples.png"), 1, 1),
        (("results/vae-z64-run0.png", "results/gan-z64-run0.png"), 1, 1),
        (("VAE.JPG", "plots/my gan digits.jpeg"), 1, 1),
        (("vae_samples.png", "vae-z64-run0.png", "vae-z64-run0-probabilities.png", "vae1.png", "vae2.png"), 4, 0),
        (("samples.png", "digits.png"), 0, 0),
        (("vae_samples.png.exe", "vae_samples.svg", "node_modules/vae_samples.png"), 0, 0),
        (("data/vae_samples.png", "wandb/run/media/gan_samples.png"), 1, 1),
        (("vae_samples.png.png", "gan.jpeg.download"), 1, 1),
    ],
)
def test_pictures_are_known_by_the_model_that_their_name_tells(
    names: tuple[str, ...], vae: int, gan: int, tmp_path: Path, workspace: Path
) -> None:
    upload = zip_of({**SMALL, **{name: name.encode() for name in names}}, tmp_path / "upload.zip")
    received = submission.receive(upload, PICTURED, workspace)
    for model, count in (("vae", vae), ("gan", gan)):
        taken = [path for path in (workspace / "gan_vae").glob(f"{model}_samples*.png") if path.name in seats(model)]
        assert len(taken) == count
        assert (f"gan_vae/{model}_samples.png" in received.absent) == (count == 0)
        assert all(model in path.read_bytes().decode().casefold() for path in taken)


def seats(model: str) -> set[str]:
    return {f"{model}_samples.png", *(f"{model}_samples-{place}.png" for place in range(1, submission.MAX_PICTURES))}


# ------------------------------------------------------------------------ the summarization log and its like


LOG, NOTEBOOK = "submission_log.json", "summarization.ipynb"
WITH_LOG = replace(VAE_ONLY, questions=(*VAE_ONLY.questions, Question("s", 1, "S", (NOTEBOOK, LOG), ())))
ALL = {**SMALL, NOTEBOOK: b'{"cells": []}', LOG: b'{"time": 1}'}


def placed(upload: Path, workspace: Path) -> Submission:
    return submission.receive(upload, WITH_LOG, workspace)


@pytest.mark.parametrize("form", ["zip", "folder", "zip in a zip", "zip in a folder"])
@pytest.mark.parametrize(
    "name",
    [
        *("submission_log.json", "submission_logs.json", "Submission_Log.json", "hw11/submission_logs.json"),
        *("a/b/c/submission_log.json", "submission_log (1).json", "Copy of submission_log.json"),
        *("submission_logs (2).json", "alice_submission_log_final.json", "submission-log.json"),
    ],
)
def test_the_log_is_found_wherever_it_stands(name: str, form: str, tmp_path: Path, workspace: Path) -> None:
    """Alone, or in a zip within the upload; under another name it is graded with a remark."""
    files = {name: b'{"time": 1}', "notes.txt": b"x"}
    upload = tmp_path / "upload"
    if form.startswith("zip in"):
        files = {"hw.zip": zipped(files)}
    if form in ("zip", "zip in a zip"):
        zip_of(files, upload)
    else:
        for path, data in files.items():
            (upload / path).parent.mkdir(parents=True, exist_ok=True)
            (upload / path).write_bytes(data)
    taken = placed(upload, workspace)
    assert (workspace / LOG).read_bytes() == b'{"time": 1}'
    assert LOG not in taken.absent
    renamed = any(f"was graded as {LOG}" in remark for remark in taken.remarks)
    assert renamed == (Path(name).name.lower() != LOG)
    assert taken.absent == (UTILS, VAE, NOTEBOOK)


@pytest.mark.parametrize("name", [LOG, "submission_logs.json", NOTEBOOK, "utils.py"])
def test_one_file_that_was_not_zipped(name: str, tmp_path: Path, workspace: Path) -> None:
    (tmp_path / name).write_bytes(b'{"time": 1}')
    taken = placed(tmp_path / name, workspace)
    assert len(taken.absent) == 3
    (found,) = {UTILS, VAE, NOTEBOOK, LOG} - set(taken.absent)
    assert (workspace / found).read_bytes() == b'{"time": 1}'


def test_single_files_that_cannot_be_graded(tmp_path: Path, workspace: Path) -> None:
    for name, words in (("notes.json", "notes.json"), (LOG, "larger than 50 MB")):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 if name == "notes.json" else 200 << 20)
        with pytest.raises(CheckFailed, match=words):
            placed(tmp_path / name, workspace)


def test_the_exact_name_wins(tmp_path: Path, workspace: Path) -> None:
    files = {"a/submission_logs.json": b"1", "z/submission_log.json": b"2", "submission_log (1).json": b"3"}
    taken = placed(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / LOG).read_bytes() == b"2"
    assert not any("was graded as" in remark for remark in taken.remarks)


@pytest.mark.parametrize("name", ["log.json", "submission.json", "submission_log.txt", ".ipynb_checkpoints/" + LOG])
def test_what_is_no_log(name: str, tmp_path: Path, workspace: Path) -> None:
    assert LOG in placed(zip_of({**SMALL, name: b"{}"}, tmp_path / "a.zip"), workspace).absent


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("outside", [[LOG], [NOTEBOOK, LOG], [UTILS, VAE], [UTILS]])
def test_files_beside_a_zip_with_the_others(outside: list[str], form: str, tmp_path: Path, workspace: Path) -> None:
    """What stands outside wins, with its folder; the rest comes from inside, and that is told."""
    inside = {**dict.fromkeys(ALL, b"inside"), "gan_vae/more.py": b"inside"}
    files = {**{name: ALL[name] for name in outside}, "hw11.zip": zipped(inside)}
    upload = tmp_path / "upload"
    if form == "zip":
        zip_of(files, upload)
    else:
        for path, data in files.items():
            (upload / path).parent.mkdir(parents=True, exist_ok=True)
            (upload / path).write_bytes(data)
    taken = placed(upload, workspace)
    for name in outside:
        assert (workspace / name).read_bytes() == ALL[name]
    for name in (NOTEBOOK, LOG):
        assert (workspace / name).read_bytes() == (ALL[name] if name in outside else b"inside")
    own = UTILS in outside
    assert (workspace / "gan_vae/more.py").exists() == (not own)  # no starter is mixed into a student's folder
    assert taken.absent == ((VAE,) if outside == [UTILS] else ())
    assert any("hw11.zip" in remark and "which was graded" in remark for remark in taken.remarks)


def damaged_zip() -> bytes:
    data = bytearray(zipped({LOG: b'{"time": 1}' * 50}))
    data[45] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    "inner",
    [b"", b"PK", b"\x89PNG" * 50, zipped({})[:-4], damaged_zip(), zipped({"notes.md": b"x"}), zipped({})],
    ids=["empty", "short", "picture", "cut", "damaged", "without", "nothing"],
)
def test_a_zip_within_costs_nothing_else(inner: bytes, tmp_path: Path, workspace: Path) -> None:
    taken = placed(zip_of({**SMALL, "data.zip": inner, "notes.md": b"x"}, tmp_path / "a.zip"), workspace)
    assert taken.absent == (NOTEBOOK, LOG)
    assert (workspace / UTILS).read_bytes() == SMALL[UTILS]


def test_a_bomb_within_costs_nothing_else(tmp_path: Path, workspace: Path) -> None:
    inner = zipped({f"{index}/{LOG}": bytes(30 << 20) for index in range(8)})
    taken = placed(zip_of({**SMALL, "data.zip": inner}, tmp_path / "a.zip"), workspace)
    assert taken.absent == (NOTEBOOK, LOG)
    assert any("data.zip" in remark and "more than 200 MB" in remark for remark in taken.remarks)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_within_that_is_packed_without_a_limit(method: int, tmp_path: Path, workspace: Path) -> None:
    upload = zip_of(SMALL, tmp_path / "a.zip")
    with zipfile.ZipFile(upload, "a", method) as archive:
        archive.writestr("hw.zip", zipped({LOG: b"{}"}))
    taken = placed(upload, workspace)
    assert LOG in taken.absent
    assert any("hw.zip" in remark and "method" in remark for remark in taken.remarks)


# ----------------------------------------------------------------------------- what the folder was called


@pytest.mark.parametrize(
    ("folder", "packages"),
    [
        ("gan_vae", ("gan_vae",)),
        ("submission", ("submission",)),
        ("src/submission", ("src.submission", "submission")),
        ("hw11/src/codebase", ("codebase", "hw11.src.codebase", "src.codebase")),
        ("my hw/src/größe", ("größe", "src.größe")),
        ("my code", ()),
        ("a-b", ()),
        ("class", ()),
        ("1st/x", ("x",)),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_the_box_tells_what_the_folder_was_called(
    folder: str, packages: tuple[str, ...], nested: bool, tmp_path: Path, workspace: Path
) -> None:
    files = {f"{folder}/{name}": data for name, data in INSIDE.items()}
    taken = receive(zip_of({"all.zip": zipped(files)} if nested else files, tmp_path / "a.zip"), workspace)
    assert taken.packages == packages
    told = workspace / PACKAGES
    assert (told.read_text("utf-8").splitlines() if told.exists() else []) == list(packages)


def test_without_a_folder_there_is_no_name(tmp_path: Path, workspace: Path) -> None:
    assert receive(zip_of(INSIDE, tmp_path / "a.zip"), workspace).packages == ()
    assert not (workspace / PACKAGES).exists()


# ------------------------------------------------------------------- more behind a name, and several for one


def template(name: str) -> bytes:
    return (VAE_ONLY.template / name).read_bytes()


def cells(*sources: str) -> bytes:
    made: Any = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for source in sources
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


PG = "policy_gradient.ipynb"
WHOLE = replace(VAE_ONLY, questions=(*VAE_ONLY.questions, Question("p", 6, "P", (PG, "answers.toml", LOG), ())))
WORKED = cells("def policy_gradient_loss(logprob, predicted, reward):\n    return -(logprob * reward).mean()\n")
ENDINGS = [
    *(".txt", ".json", ".TXT", ".txt.txt", " ", "  ", ".", "\u00a0", "{}", " (1)", "(2)", ".download", ".crdownload"),
    *(
        ".part",
        " copy",
        " copy 2",
        " - Copy",
        "_1",
        " 2",
        ".md",
        ".bin",
        ".csv",
        "{}{}",
        " (1).txt",
        ".txt (1)",
        ".old",
    ),
    *(".txt ", ".bak", "~", ".dms", ".text"),
]


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_put_behind_a_name_is_taken_away(ending: str, form: str, tmp_path: Path, workspace: Path) -> None:
    files = {PG: WORKED, "answers.toml": b'[vae]\nkl = "24"\n', UTILS: SOLVED[UTILS], VAE: SOLVED[VAE], LOG: b"{}"}
    named = {name + ending.replace("{}", Path(name).suffix): data for name, data in files.items()}
    taken = submission.receive(handed_in(named, form, tmp_path), WHOLE, workspace)
    assert taken.absent == ()
    for name, data in files.items():
        assert (workspace / name).read_bytes() == data
        assert any(f"was graded as {name}." in remark for remark in taken.remarks), name
    assert len(taken.remarks) == len(files)


@pytest.mark.parametrize("name", [PG + ".html", "policy_gradient.txt", PG + ".pdf", "utils.py.ipynb", "utils.txt",
                                  "utils.pyc",
                                  "answers.txt", ".ipynb", "my_utils.py", "vae.ipynb"])  # fmt: skip
def test_what_only_begins_like_a_graded_file(name: str, tmp_path: Path, workspace: Path) -> None:
    taken = submission.receive(zip_of({**SMALL, name: b"x"}, tmp_path / "a.zip"), WHOLE, workspace)
    assert taken.absent == (PG, "answers.toml", LOG)
    assert (workspace / UTILS).read_bytes() == SMALL[UTILS]


def test_a_module_with_more_behind_its_name_can_be_imported(tmp_path: Path, workspace: Path) -> None:
    files = {**SOLVED, "gan_vae/Helpers.py.txt": b"x = 1\n", "gan_vae/old.py.bak": b"", "gan_vae/notes.txt": b""}
    taken = receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / "gan_vae/Helpers.py").read_bytes() == b"x = 1\n"
    assert (workspace / "gan_vae/old.py.bak").exists()
    assert taken.remarks == ('"gan_vae/Helpers.py.txt": was read as if its name ended in .py.',)


EMPTY = b"# mine\n" + template(UTILS).replace(b"\n", b"\r\n") + b"\r\n\r\n"
RAN = json.dumps(
    {
        **json.loads(template(PG)),
        "cells": [
            {**cell, "metadata": {"x": 1}, **({"outputs": [], "execution_count": 3} if "outputs" in cell else {})}
            for cell in json.loads(template(PG))["cells"]
            if cell["cell_type"] == "code"
        ],
    },
    indent=4,
).encode()
"""The template after "run all", without its texts: nothing in it is the student's."""
SEVERAL = {
    # what there is, with the hours; which is taken; and why
    "filled in, though older": ({"a/" + PG: (WORKED, 9), "b/" + PG: (RAN, 15)}, "a/" + PG, "filled in"),
    "filled in, though a copy": ({PG: (template(PG), 15), "policy_gradient (1).ipynb": (WORKED, 9)},
                                 "policy_gradient (1).ipynb", "filled in"),
    "filled in, though its name is another": ({PG: (template(PG), 15), "ann_policy_gradient.ipynb": (WORKED, 9)},
                                              "ann_policy_gradient.ipynb", "filled in"),
    "filled in, not empty": ({PG: (b"", 15), "Copy of policy_gradient.ipynb": (WORKED, 9)},
                             "Copy of policy_gradient.ipynb", "filled in"),
    "filled in, not half a download": ({PG: (WORKED[:40], 15), PG + ".txt": (WORKED, 9)}, PG + ".txt", "filled in"),
    "the newest": ({PG: (WORKED, 9), "policy_gradient (1).ipynb": (WORKED + b" ", 15), "x/" + PG: (WORKED + b"\n", 11)},
                   "policy_gradient (1).ipynb", "the newest"),
    "the newest that is filled in": ({"a/" + PG: (WORKED, 9), "b/" + PG: (WORKED + b" ", 11), PG: (RAN, 15)},
                                     "b/" + PG, "filled in and the newest"),
    "the right name before a newer one that holds it": (
        {PG: (WORKED, 9), "policy_gradient_draft.ipynb": (WORKED + b" ", 15)}, PG, ""),
    "what is a former version counts least": ({PG: (WORKED, 9), PG + ".bak": (WORKED + b" ", 15)}, PG, ""),
    "the nearest of one moment": ({"a/b/" + PG: (WORKED, 12), "c/" + PG: (WORKED + b" ", 12)}, "c/" + PG, ""),
    "Python": ({"new/gan_vae/utils.py": (SOLVED[UTILS], 9), "gan_vae/utils.py": (EMPTY, 15)},
               "new/gan_vae/utils.py", "filled in"),
    "Python, the newest": ({"gan_vae/utils.py": (SOLVED[UTILS], 9), "v2/utils.py": (SOLVED[UTILS] + b"#", 15)},
                           "v2/utils.py", "the newest"),
    "Python of another kind": ({"gan_vae/utils.py": (EMPTY, 9), "helpers/utils.py": (b"def show(): pass\n", 15)},
                               "gan_vae/utils.py", ""),
    "answers": ({"answers.toml": (template("answers.toml") + b"\n# x\n", 15),
                 "a/answers.toml": (b"[vae]\nkl = 24\n", 9)},
                "a/answers.toml", "filled in"),
    "a log": ({LOG: (b'{"a": 1}', 9), "submission_log (1).json": (b'{"a": 2}', 15)},
              "submission_log (1).json", "newest"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("case", SEVERAL)
def test_of_several_the_filled_in_and_then_the_newest_counts(
    case: str, form: str, tmp_path: Path, workspace: Path
) -> None:
    files, name, words = SEVERAL[case]
    upload = handed_in({path: data for path, (data, _) in files.items()}, form, tmp_path,
                       {path: hour for path, (_, hour) in files.items()})  # fmt: skip
    taken = submission.receive(upload, WHOLE, workspace)
    (target,) = set(WHOLE.graded) - set(taken.absent)
    assert (workspace / target).read_bytes() == files[name][0]
    (told,) = (remark for remark in taken.remarks if "more than one" in remark)
    assert f'"{name}" was graded' in told
    assert (f"because it is {words}" in told) if words == "filled in" else (words in told)
    assert words or "because" not in told
    assert all(f'"{other}"' in told.partition("Not graded: ")[2] for other in files if other != name)


def test_copies_that_say_the_same_are_not_worth_a_word(tmp_path: Path, workspace: Path) -> None:
    files = {**SOLVED, **under("backup/"), "utils (1).py": SOLVED[UTILS]}
    assert receive(zip_of(files, tmp_path / "a.zip"), workspace).remarks == ()


def test_many_candidates_cost_little(tmp_path: Path) -> None:
    """Each as large as is compared: the nearest are, the others are not opened."""
    body = b"x = 1\n" * (submission.MAX_COMPARED // 6)
    files = {f"{n:03}/utils.py": body + b"%d" % n for n in range(60)} | {f"{n}/x.ipynb": b"[" for n in range(2000)}
    upload = zip_of(files, tmp_path / "a.zip")
    started = time.process_time()
    found = unpacked(upload)
    assert time.process_time() - started < 15
    assert isinstance(found, Submission)
    assert all(len(remark) < 600 for remark in found.remarks)


# --------------------------------------------------------------------------------------- junk and what is none


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize(
    "folder",
    ["venv/lib/python3.12/site-packages/x", "node_modules/x", ".git/objects", "wandb/run-1/files", "data/mnist",
     "env/x",
     "hw11/.venv/x", "hw11/__pycache__", "my env/lib/python3.13/x", "__MACOSX/hw11", ".cache/x", "checkpoints"],
)  # fmt: skip
def test_junk_does_not_count(
    folder: str, form: str, tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its files, nor its bytes; nor is any of it graded where the work stands elsewhere."""
    monkeypatch.setattr(uploads, "MAX_ENTRIES", 50)
    monkeypatch.setattr(uploads, "MAX_TOTAL", 1 << 20)
    monkeypatch.setattr(submission, "MAX_TOTAL", 1 << 20)
    junk = {f"{folder}/{n}.json": bytes(30_000) for n in range(60)}
    junk |= {f"{folder}/{n}/utils.py": b"def sample_gaussian(m, v): return m\n" for n in range(60)}
    junk |= {f"{folder}/{name}": b"x" for name in ("answers.toml", PG, LOG)}
    files = {**under("hw11/"), **{f"hw11/{name}": b"{}" for name in (PG, LOG, "answers.toml")}, **junk}
    taken = submission.receive(handed_in(files, form, tmp_path), WHOLE, workspace)
    assert taken.absent == taken.remarks == ()
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / PG).read_bytes() == b"{}"


@pytest.mark.slow
def test_sixty_thousand_files_of_packages(tmp_path: Path, workspace: Path) -> None:
    upload = tmp_path / "a.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for n in range(60_000):
            archive.writestr(f"node_modules/{n % 700}/{n}.json", b"")
        for name, data in SOLVED.items():
            archive.writestr(name, data)
    started = time.process_time()
    assert receive(upload, workspace).remarks == ()
    assert time.process_time() - started < 20


@pytest.mark.parametrize("form", ["zip", "folder", "zip in a zip"])
@pytest.mark.parametrize(
    "top",
    ["data/", "wandb/", "checkpoints/", "env/hw11/", "venv/", "hw/data/", ".hidden/", "data/data/", "Data/", "DATA/x/"],
)
def test_the_work_in_a_folder_that_is_junk_elsewhere(top: str, form: str, tmp_path: Path, workspace: Path) -> None:
    """Whatever it is called; with its modules, and without the junk that lies in there."""
    files = under(top, {**SOLVED, PG: WORKED, "helpers/more.py": b"x = 1\n", "gan_vae/own.py": b"y = 1\n"})
    files |= under(top, {"node_modules/utils.py": b"1 / 0", "gan_vae/wandb/utils.py": b"1 / 0", "README.md": b"x"})
    if form == "zip in a zip":
        files, form = {"all.zip": zipped(files)}, "zip"
    taken = submission.receive(handed_in(files, form, tmp_path), WHOLE, workspace)
    assert taken.absent == ("answers.toml", LOG)
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / "gan_vae/models/nns.py").read_bytes() == SOLVED["gan_vae/models/nns.py"]
    assert (workspace / "gan_vae/own.py").read_bytes() == b"y = 1\n"
    assert (workspace / "helpers/more.py").read_bytes() == b"x = 1\n"
    assert (workspace / PG).read_bytes() == WORKED
    assert not (workspace / "gan_vae/wandb").exists()


def test_the_work_beside_an_untouched_template(tmp_path: Path, workspace: Path) -> None:
    files = {UTILS: template(UTILS), VAE: template(VAE), **under("data/")}
    taken = receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / VAE).read_bytes() == SOLVED[VAE]
    assert sum("because it is filled in" in remark for remark in taken.remarks) == 2


def test_a_package_of_the_students_that_is_called_data(tmp_path: Path, workspace: Path) -> None:
    files = {**SOLVED, "gan_vae/data/__init__.py": b"", "gan_vae/data/load.py": b"x = 1\n",
             "gan_vae/data/big.csv": b"1",
             "gan_vae/.x/y.py": b"", "gan_vae/wandb/z.py": b""}  # fmt: skip
    receive(zip_of(files, tmp_path / "a.zip"), workspace)
    assert (workspace / "gan_vae/data/load.py").exists()
    assert not any((workspace / name).exists() for name in ("gan_vae/data/big.csv", "gan_vae/.x", "gan_vae/wandb"))


def test_standard_modules_of_an_environment_are_nobodys_work(tmp_path: Path, workspace: Path) -> None:
    """A `utils.py` of somebody else's in an environment is not taken for one that was not handed in."""
    files = {
        VAE: SOLVED[VAE],
        "env/Lib/email/utils.py": b"def formatdate(): pass\n",
        "venv/lib/python3.11/utils.py": b"x",
    }
    assert receive(zip_of(files, tmp_path / "a.zip"), workspace).absent == (UTILS,)


# ---------------------------------------------------------------------------------------- what comes along


BESIDE = {"helpers.py": b"a = 1\n", "src/losses.py": b"b = 1\n", "src/deep/er.py": b"c = 1\n", "table.csv": b"1,2\n"}


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("top", ["", "hw11/", "Copy of hw (2)/x/"])
def test_modules_beside_a_notebook_come_along(top: str, form: str, tmp_path: Path, workspace: Path) -> None:
    files = under(top, {PG: WORKED, **BESIDE, **SOLVED, "notes/q.ipynb": b"{}", "draft.ipynb": b"{}"})
    taken = submission.receive(handed_in(files, form, tmp_path), WHOLE, workspace)
    for name, data in {**BESIDE, **SOLVED, PG: WORKED}.items():
        assert (workspace / name).read_bytes() == data
    assert not list(workspace.rglob("q.ipynb")) + list(workspace.rglob("draft.ipynb"))
    assert taken.remarks == ("answers.toml was not found in the upload.", f"{LOG} was not found in the upload.")


@pytest.mark.parametrize(
    ("where", "beside"),
    [("q6/policy_gradient.ipynb", {"q6/helpers.py": "helpers.py", "q6/src/x.py": "src/x.py"}),
     ("q6/policy_gradient.ipynb", {"common.py": "", "q5/other.py": ""}),
     ("submission/utils.py", {"submission/models/deep/x.py": "gan_vae/models/deep/x.py", "top.py": ""}),
     ("src/codebase/utils.py", {"src/codebase/losses.py": "gan_vae/losses.py", "src/else.py": ""})],
)  # fmt: skip
def test_each_at_its_place_beside_the_graded_file(
    where: str, beside: dict[str, str], tmp_path: Path, workspace: Path
) -> None:
    submission.receive(zip_of({where: b"x", **dict.fromkeys(beside, b"y")}, tmp_path / "a.zip"), WHOLE, workspace)
    given = {
        path.relative_to(workspace).as_posix()
        for path in workspace.rglob("*")
        if path.is_file() and path.read_bytes() == b"y"
    }
    assert given == {target for target in beside.values() if target}


def test_the_graded_folder_is_placed_once(tmp_path: Path, workspace: Path) -> None:
    """Under the template's name; its own name is told, so that no second copy of a module is ever imported."""
    files = {PG: WORKED, **{name.replace("gan_vae", "src/submission"): data for name, data in SOLVED.items()}}
    taken = submission.receive(zip_of({**files, "src/more.py": b"x"}, tmp_path / "a.zip"), WHOLE, workspace)
    assert taken.packages == ("src.submission", "submission")
    assert (workspace / "src/more.py").exists()
    assert not (workspace / "src/submission").exists()


def test_a_flat_folder_serves_notebooks_and_modules(tmp_path: Path, workspace: Path) -> None:
    files = {"utils.py": SOLVED[UTILS], "vae.py": SOLVED[VAE], "nns.py": b"z", PG: WORKED, "helpers.py": b"y"}
    submission.receive(zip_of(files, tmp_path / "a.zip"), WHOLE, workspace)
    for name in (
        "helpers.py",
        "gan_vae/helpers.py",
        "gan_vae/nns.py",
        "nns.py",
        UTILS,
        VAE,
        "gan_vae/models/helpers.py",
    ):
        assert (workspace / name).exists(), name
    assert (workspace / "gan_vae/models/nns.py").read_bytes() == b"z"


def test_a_notebook_that_another_one_runs_comes_along(tmp_path: Path, workspace: Path) -> None:
    files = {PG: cells("%run my helpers.ipynb\n%run lib/more.ipynb"), "my helpers.ipynb": b"{}",
             "lib/more.ipynb": b"{}",
             "x.ipynb": b"{}"}  # fmt: skip
    submission.receive(zip_of(files, tmp_path / "a.zip"), WHOLE, workspace)
    assert {path.relative_to(workspace).as_posix() for path in workspace.rglob("*.ipynb")} == set(files) - {"x.ipynb"}


def test_nothing_of_ours_can_be_written_by_an_upload(tmp_path: Path, workspace: Path) -> None:
    ours = {f"{folder}/{name}": b"1 / 0\n" for folder in (".given", ".read") for name in (UTILS, f"{PG}.json")}
    taken = submission.receive(
        zip_of({**SOLVED, PG: WORKED, **ours, ".packages": b"os\n", ".x.py": b""}, tmp_path / "a.zip"), WHOLE, workspace
    )
    assert taken.packages == ("gan_vae",)
    assert (workspace / PACKAGES).read_text() == "gan_vae\n"
    assert (workspace / ".given" / UTILS).read_bytes() == template(UTILS)
    assert sorted(path.name for path in workspace.iterdir() if path.name.startswith(".")) == [".given", ".packages"]


def test_what_comes_along_is_bounded(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number beside a notebook, whose kernel's folder shows each; and in bytes, which may be placed twice."""
    many = {f"m{n:03}.py": b"" for n in range(600)}
    taken = submission.receive(zip_of({PG: WORKED, **many}, tmp_path / "a.zip"), WHOLE, workspace)
    assert len(list(workspace.iterdir())) < 450
    assert any("too many" in remark for remark in taken.remarks)
    monkeypatch.setattr(submission, "MAX_TOTAL", 20 << 20)
    large = {f"{n}.csv": bytes(2 << 20) for n in range(9)}
    (tmp_path / "other").mkdir()
    submission.receive(
        zip_of({PG: WORKED, "utils.py": SOLVED[UTILS], **large}, tmp_path / "b.zip"), WHOLE, tmp_path / "other"
    )
    assert sum(path.stat().st_size for path in (tmp_path / "other").rglob("*") if path.is_file()) < 21 << 20


# --------------------------------------------------------------------------------------- zips within, once more


def test_several_zips_are_all_looked_into(tmp_path: Path, workspace: Path) -> None:
    files = {
        "code.zip": zipped(SOLVED),
        "notebooks/nb.zip": zipped({PG: WORKED, **BESIDE}),
        "log.zip": zipped({LOG: b"{}"}),
    }
    taken = submission.receive(zip_of(files, tmp_path / "a.zip"), WHOLE, workspace)
    assert taken.absent == ("answers.toml",)
    assert (workspace / "helpers.py").exists()


def test_a_solved_zip_beside_an_untouched_template(tmp_path: Path, workspace: Path) -> None:
    untouched = {name: template(name) for name in (UTILS, VAE, PG)}
    solved_too = {**SOLVED, PG: WORKED, "gan_vae/own.py": b""}
    taken = submission.receive(
        zip_of({**untouched, "mine.zip": zipped(solved_too)}, tmp_path / "a.zip"), WHOLE, workspace
    )
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / PG).read_bytes() == WORKED
    assert (workspace / "gan_vae/own.py").exists()
    assert any("mine.zip" in remark and "which was graded" in remark for remark in taken.remarks)


def test_a_template_in_a_zip_replaces_nothing(tmp_path: Path, workspace: Path) -> None:
    inner = {name: template(name) for name in (UTILS, VAE, PG, "answers.toml")}
    submission.receive(
        zip_of({**SOLVED, PG: WORKED, "student_template.zip": zipped(inner)}, tmp_path / "a.zip"), WHOLE, workspace
    )
    assert (workspace / UTILS).read_bytes() == SOLVED[UTILS]
    assert (workspace / PG).read_bytes() == WORKED


def test_zips_within_share_the_limits(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TOTAL", 20 << 20)
    inner = {f"{n}.zip": zipped({f"{n}/{m}.py": bytes(4 << 20) for m in range(4)}) for n in range(4)}
    taken = submission.receive(zip_of({**SMALL, **inner}, tmp_path / "a.zip"), WHOLE, workspace)
    assert sum("more than 200 MB" in remark for remark in taken.remarks) == 3


def test_checks_that_were_handed_out_are_no_exports_of_notebooks(tmp_path: Path) -> None:
    """An untouched template holds public_checks/policy_gradient.py, which is not the notebook policy_gradient.ipynb."""
    upload, workspace = tmp_path / "upload", tmp_path / "workspace"
    shutil.copytree(ASSIGNMENT.template, upload)
    handed_out = upload / "public_checks" / "policy_gradient.py"
    handed_out.write_bytes(handed_out.read_bytes().replace(b"\n", b"\r\n"))  # as an editor on Windows saves it
    workspace.mkdir()
    taken = submission.receive(upload, ASSIGNMENT, workspace)
    for name in ("policy_gradient.ipynb", "summarization.ipynb"):
        assert (workspace / name).read_bytes() == (ASSIGNMENT.template / name).read_bytes()
    assert not any("was graded as" in remark for remark in taken.remarks)


OWN_CHECKS = {PurePosixPath("check.py"), PurePosixPath("public_checks/log.py"), PurePosixPath("gan_vae/test_public.py")}


@pytest.mark.parametrize(
    ("more", "graded"),
    [
        ({}, False),
        ({"gan_vae/notes.py": b"# the check is from the book\nimport torch.utils.checkpoint\ncheck = 3\n"}, False),
        ({"gan_vae/notes.py": b"import numpy as np, check\n"}, True),
        ({"gan_vae/more/notes.py": b"from public_checks.cells import read\n"}, True),
        ({"notes.py": b"import importlib\nimportlib.import_module('public_checks.cells')\n"}, True),
        ({"notes.py": b"__import__('test_public')\n"}, True),
        ({"policy_gradient.ipynb": b'{"cells": [{"cell_type": "code", "source": ["%run check.py\\n"]}]}'}, True),
        ({"policy_gradient.ipynb": b'{"cells": [{"cell_type": "code", "source": ["__import__(\\"check\\")"]}]}'}, True),
        ({"check.py": b"mine = True\n"}, True),
        ({"notes.py": b"check " * 200}, True),  # so often that nobody looks on
    ],
)
@pytest.mark.parametrize("handed_in", [True, False], ids=["handed in", "left at home"])
def test_checks_that_were_handed_out_are_not_graded(
    tmp_path: Path, more: Mapping[str, bytes], graded: bool, handed_in: bool
) -> None:
    """Unless the student's code may import them, or the student changed them; whether or not they were handed in."""
    upload, workspace = tmp_path / "upload", tmp_path / "workspace"
    shutil.copytree(ASSIGNMENT.template, upload)
    if not handed_in:
        shutil.rmtree(upload / "public_checks")
        for name in ("check.py", "gan_vae/test_public.py"):
            (upload / name).unlink()
    for name, data in more.items():
        (upload / name).parent.mkdir(parents=True, exist_ok=True)
        (upload / name).write_bytes(data)
    workspace.mkdir()
    submission.receive(upload, ASSIGNMENT, workspace)
    assert {path for path in OWN_CHECKS if (workspace / path).exists()} == (OWN_CHECKS if graded else set())
    assert (workspace / "gan_vae" / "data.py").exists()
    for name, data in more.items():
        assert (workspace / name).read_bytes() == data


def test_one_homework_has_one_digest_with_and_without_our_checks(tmp_path: Path) -> None:
    digests = set()
    for name in ("with", "without"):
        upload, workspace = tmp_path / name, tmp_path / f"{name}.box"
        shutil.copytree(ASSIGNMENT.template, upload)
        if name == "without":
            shutil.rmtree(upload / "public_checks")
        workspace.mkdir()
        digests.add(submission.receive(upload, ASSIGNMENT, workspace).digest)
    assert len(digests) == 1


def test_looking_for_imports_takes_time_in_proportion(tmp_path: Path) -> None:
    code = b"import check_not " * 600_000  # 10 MB in one line
    begun = time.process_time()
    assert not submission._may_import(".py", code, re.compile(rb"\b(?:check)\b"))
    assert time.process_time() - begun < 2
