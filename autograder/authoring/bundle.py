"""Pack the homework for those who get it: a zip that Gradescope builds the grader from, and the students' zip."""

from __future__ import annotations

import hashlib
import io
import stat
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from autograder import storage
from autograder.authoring import template

GRADESCOPE, STUDENTS = "autograder.zip", "student_template.zip"
LEFT_BY_RUNS = ("data", "results", "submission.zip")
"""By training, by the notebooks and by check.py; caches and hidden names never count."""
LEADERBOARD = "leaderboard"
"""The file beside setup.sh that turns the leaderboard on."""
LOG = "submission_log.json"
"""What running the template's notebook leaves beside it."""
STAFFS = ("audit", "classroom", "solutions", "pages")
"""Folders of the staff's, which grade the grader and whole classes: no grade depends on them."""
_ROOMS: Mapping[str, tuple[str, ...]] = {  # what grading needs, and which names below it stay behind
    "setup.sh": (),
    "run_autograder": (),
    "autograder": STAFFS,
    "reference": LEFT_BY_RUNS,
    "student_template": (*LEFT_BY_RUNS, LOG),
}


def files(root: Path) -> list[Path]:
    """What the grader's zip holds, as sorted paths below `root`, the folder of the repository."""
    return sorted(path for room, left_out in _ROOMS.items() for path in below(root / room, left_out))


def below(place: Path, left_out: Iterable[str]) -> list[Path]:
    """`place` if it is no folder; else the files below it of which no name is left out, a cache or hidden."""
    if not place.is_dir():
        return [place]

    def is_packed(path: Path) -> bool:
        names = path.relative_to(place).parts
        return path.is_file() and not any(name[0] == "." or name in (*left_out, "__pycache__") for name in names)

    return [path for path in place.rglob("*") if is_packed(path)]


def packed(folder: Path, paths: Iterable[Path], more: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """A zip of `paths`, named as below `folder`, whose bytes follow from names, contents and the right to execute.

    `more` are files by name that are in no folder.

    So order and times are fixed, and nothing is compressed: what deflate makes of the same bytes depends on the
    machine's zlib, and all is small. Raises OSError for what cannot be read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))  # the first that a zip can tell
            entry.create_system = 3  # UNIX, on whatever machine: only so is the mode read
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, runnable(path.read_bytes()))
        for name, content in sorted(more.items()):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def runnable(content: bytes) -> bytes:
    """A script with the line ends that Linux can run, which git on Windows may have changed; all else as it is."""
    return content.replace(b"\r\n", b"\n") if content.startswith(b"#!") else content


def run(root: Path, out: Path, *, leaderboard: bool = False) -> int:
    """Writes both zips of the repository `root` into the folder `out`, and tells their digests.

    With `leaderboard` the grader shows the homework's leaderboard entries. Returns 0, or 2 with a sentence on stderr.
    Nothing is written before all was read and the template was found to be what the reference gives; each zip is
    written by rename.
    """
    homework = root / "student_template"
    print(f"Packing {root}: {GRADESCOPE} for Gradescope and {STUDENTS} for the students, into {out.absolute()}.")
    if any((root / room).resolve() in (out.resolve(), *out.resolve().parents) for room in _ROOMS):
        return _refuse(f"{out} lies in a folder that is packed, so the next zips would hold these. Give another --out.")
    try:
        if stale := template.differences(root / "reference", homework):
            return _refuse(
                f"student_template/ is not what reference/ gives, in {len(stale)} of its files: {stale[0]} "
                "Run `python3 -m autograder template`, which makes it anew, and look at what changed."
            )
        contents = {
            GRADESCOPE: packed(root, files(root), {LEADERBOARD: b""} if leaderboard else {}),
            STUDENTS: packed(homework, below(homework, _ROOMS["student_template"])),
        }
    except OSError as error:
        return _refuse(f"{error.filename} cannot be read: {error.strerror}.")
    except ValueError as error:  # a solution marker that is not right
        return _refuse(str(error))
    if mended := [path.name for path in files(root) if path.read_bytes() != runnable(path.read_bytes())]:
        print(f"Packed with the line ends of Linux, without which they would not run there: {', '.join(mended)}.")
    for name, content in contents.items():
        try:
            storage.save(out / name, content)
        except OSError as error:
            return _refuse(f"{out / name} cannot be written: {error.strerror}. Choose another folder with --out.")
        print(f"{out / name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    print(f"Upload {GRADESCOPE} as it is; hand {STUDENTS} to the students. The same files give the same digests.")
    return 0


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2
