"""What a grading leaves for people to read and to repeat: the graded files, what they printed, and the seeds.

One zip a submission in the folder `kept` beside the results, for the staff alone: with the seeds every hidden input can
be drawn again. So none of it stands in results.json, which may be handed out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder import storage
from autograder.core import Assignment, Result, Submission
from autograder.grade import Grading
from autograder.output import gradescope
from autograder.text import clean

FOLDER = "kept"
FILES, ABOUT = "files/", "about.json"
MOST_BYTES = 24 * 1024**2
"""Of one submission's files; a homework's are below one. What is graded comes first, then the smallest."""
MOST_ABOUT = 4 * 1024**2
ATTEMPTS = 2
"""Times that a statistical check is asked: see Grading.check."""


@dataclass(frozen=True)
class Kept:
    """What is known of one submission: `files` by path, and of each check what it printed.

    `seeds` are those of a request's attempts, by the request's name; `rungs` say how much of a notebook was run for a
    check. `left_out` are files that were too large. `absent` and `packages` are as in `core.Submission`.
    """

    digest: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    rungs: Mapping[str, int] = field(default_factory=dict)

    def packed(self) -> bytes:
        """All of it as a zip."""
        about = {
            "digest": self.digest,
            "absent": self.absent,
            "packages": self.packages,
            "left_out": self.left_out,
            "printed": dict(self.printed),
            "seeds": {name: [str(seed) for seed in seeds] for name, seeds in self.seeds.items()},  # beyond 64 bits
            "rungs": dict(self.rungs),
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ABOUT, json.dumps(about))
            for name, data in self.files.items():
                archive.writestr(zipfile.ZipInfo(f"{FILES}{name}"), data, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def of(submission: Submission, grading: Grading, results: Sequence[Result], assignment: Assignment) -> Kept:
    """What to keep of a submission that was just graded. Raises OSError where its files cannot be read."""
    files, left_out = _files(submission, assignment)
    printed = {result.check.id: clean(result.log, limit=gradescope.MAX_LOG) for result in results if result.log}
    seeds = {
        result.check.request.name: tuple(grading.seed(result.check.request, attempt) for attempt in range(ATTEMPTS))
        for result in results
    }
    rungs = {result.check.id: result.rung for result in results if result.rung}
    return Kept(
        *(submission.digest, files, submission.absent, submission.packages, left_out),
        *(printed, seeds, rungs),
    )


def _files(submission: Submission, assignment: Assignment) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The submission's own files: what the template has in the same words is not kept, unless it is graded."""
    found: list[tuple[bool, int, str]] = []
    for path in sorted(submission.workspace.rglob("*")):
        place = path.relative_to(submission.workspace)
        if path.is_file() and not path.is_symlink() and not place.parts[0].startswith("."):  # those are ours
            found.append((place.as_posix() not in assignment.graded, path.stat().st_size, place.as_posix()))
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    spare = MOST_BYTES
    for others, size, name in sorted(found):
        if size > spare:
            left_out.append(clean(name, limit=200, line=True))
            continue
        data = (submission.workspace / name).read_bytes()
        handed_out = assignment.template / name
        if (others and handed_out.is_file() and handed_out.read_bytes() == data) or name in submission.absent:
            continue
        files[name] = data
        spare -= size
    return files, tuple(left_out)


@dataclass(frozen=True)
class Store:
    """The folder of them below `out`."""

    out: Path

    def path(self, upload: str) -> Path:
        return self.out / FOLDER / f"{upload}.zip"

    def save(self, upload: str, data: bytes) -> None:
        """Writes it by rename. What an earlier grading of the same files said of other checks stays."""
        new, old = read(data), self.load(upload)
        if old is not None and old.digest == new.digest:
            data = Kept(
                *(new.digest, new.files, new.absent, new.packages, new.left_out),
                {**old.printed, **new.printed},
                {**old.seeds, **new.seeds},
                {**old.rungs, **new.rungs},
            ).packed()
        path = self.path(upload)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # hidden inputs can be drawn from it
        storage.save(path, data)

    def load(self, upload: str) -> Kept | None:
        """What was kept, None where there is nothing that can be read."""
        try:
            return read(self.path(upload).read_bytes())
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None


def read(data: bytes) -> Kept:
    """What `Kept.packed` made. Raises ValueError, KeyError or BadZipFile for anything else."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.getinfo(ABOUT).file_size > MOST_ABOUT:
            raise ValueError("the list of the files is too long")
        about: dict[str, Any] = json.loads(archive.read(ABOUT))
        entries = [entry for entry in archive.infolist() if entry.filename.startswith(FILES)]
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise ValueError("the files are too large")
        files = {entry.filename.removeprefix(FILES): archive.read(entry) for entry in entries}
    return Kept(
        *(about["digest"], files, tuple(about["absent"]), tuple(about["packages"]), tuple(about["left_out"])),
        about["printed"],
        {name: tuple(map(int, seeds)) for name, seeds in about["seeds"].items()},
        about["rungs"],
    )
