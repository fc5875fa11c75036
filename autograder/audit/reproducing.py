"""Whether a grade can be reproduced, and whether uploads gain that count on seeds, caches or known shapes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, ignore_patterns

import numpy as np

from autograder import version
from autograder.audit import bank, homework
from autograder.audit.journal import Journal
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, nobody
from autograder.audit.solutions import Solution, applied
from autograder.core import Assignment, Observation, Request, Submission, Values
from autograder.grade import Grading
from autograder.text import many

ROOT = Path(__file__).resolve().parents[2]

# ------------------------------------------------------------------------------ the same upload again


@dataclass(frozen=True)
class Setting:
    """How a grading is run: how many threads the judge's libraries may use, and whether others run meanwhile."""

    threads: int
    loaded: bool


SETTINGS = tuple(Setting(threads, loaded) for loaded in (False, True) for threads in (1, 2))


@dataclass(frozen=True)
class Repeated:
    """The results.json of several gradings of one upload, without times: how often each was seen, what differs."""

    digests: tuple[str, ...]
    differing: tuple[str, ...]
    seconds: float

    @property
    def same(self) -> bool:
        return len(set(self.digests)) == 1


def mixed(assignment: Assignment, solutions: Sequence[Solution], folder: Path, *, files: Sequence[str] = ()) -> Path:
    """Makes `folder` an upload: the reference with all solutions applied, or only what begins with one of `files`."""
    copytree(assignment.reference, folder, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__", ".*", "data"))
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        name = path.relative_to(folder).as_posix()
        if files and not name.startswith(tuple(files)):
            path.unlink()
    for solution in solutions:
        target = folder / solution.file
        if target.exists():
            target.write_text(applied(solution, target.read_text()))
    return folder


TIMES = re.compile(r'"(seconds|execution_time)": [\d.e-]+')


def graded(upload: Path, package: str, threads: int) -> str:
    """The text of results.json, times put to 0, of one grading by the command line; raises where that fails."""
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "results.json")
        program = [sys.executable, "-I", str(ROOT / "autograder" / "__main__.py"), "grade", str(upload)]
        program += ["--out", str(out), "--homework", package]
        subprocess.run(program, env=environment, cwd="/", check=True, stdout=subprocess.DEVNULL)
        return TIMES.sub(r'"\1": 0', out.read_text())


def repeated(
    upload: Path, package: str, out: Path, *, times: int = 50, grader: str = "", tell: Tell = nobody
) -> Repeated:
    """Grades the upload `times` times, in each setting in turn: first one after the other, then two for each core.

    Goes on from `out`, a file of JSON lines, with what the same `grader` (its version) made of the same upload.
    """
    started, journal = time.monotonic(), Journal(out)
    content = hashlib.sha256()
    for path in sorted(path for path in upload.rglob("*") if path.is_file()):
        content.update(f"{path.relative_to(upload)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    keys = [(grader, content.hexdigest()[:12], str(index)) for index in range(times)]
    work = [(key, SETTINGS[index % len(SETTINGS)]) for index, key in enumerate(keys) if key not in journal.rows]
    tell(times - len(work), times)
    for loaded, at_once in ((False, 1), (True, 2 * (os.cpu_count() or 1))):
        with ThreadPoolExecutor(at_once) as executor:  # threads that wait for processes
            own = [(key, setting.threads) for key, setting in work if setting.loaded == loaded]
            running = {executor.submit(graded, upload, package, threads): key for key, threads in own}
            try:
                for done in as_completed(running):
                    journal.add(running[done], {"text": done.result()})
                    tell(sum(key in journal.rows for key in keys), times)
            finally:  # after Ctrl-C nothing more begins
                executor.shutdown(cancel_futures=True)
    texts = [str(journal.rows[key]["text"]) for key in keys]
    digests = tuple(hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts)
    return Repeated(digests, _differing(texts), time.monotonic() - started)


def _differing(texts: Sequence[str]) -> tuple[str, ...]:
    """The names of the checks, or of the document's entries, that are not the same in all texts."""
    documents = [json.loads(text) for text in texts]
    found: dict[str, None] = {}
    for other in documents[1:]:
        for one, two in zip(documents[0]["tests"], other["tests"], strict=True):
            found |= {str(one["name"]): None for _ in range(one != two)}
        found |= {key: None for key in other if key != "tests" and other[key] != documents[0].get(key)}
    return tuple(found)


# ------------------------------------------------------------------------------------- another upload


@dataclass
class _Draws:
    """An asker that puts nothing to anybody: it keeps a digest of what was drawn for each request, and its seed."""

    drawn: dict[str, tuple[str, int]] = field(default_factory=dict)

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        digest = hashlib.sha256()
        for name, value in sorted(given.items()):
            plain = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            digest.update(f"{name}\0{len(plain)}\0".encode() + plain)
        self.drawn[request.name] = digest.hexdigest(), seed
        return Observation(error="Nothing was asked.")


def drawn(assignment: Assignment, digest: str) -> dict[str, tuple[str, int]]:
    """For each request that draws.

    A digest of the inputs, and the worker's seed, of the submission with this digest.
    """
    asker = _Draws()
    own = bank.drawn(assignment)
    list(Grading(asker, Submission(Path("/nonexistent"), digest), own).results())
    return asker.drawn


def shared(assignment: Assignment, one: str, other: str) -> list[str]:
    """The requests whose inputs or seed two submissions, named by their digests, have in common."""
    first, second = drawn(assignment, one), drawn(assignment, other)
    return [
        name for name in first if first[name][0] == second[name][0] or first[name][1] % 2**32 == second[name][1] % 2**32
    ]


# ------------------------------------------------------------------------------------------- cheaters


def most(cheater: Solution, assignment: Assignment) -> float:
    """The score that a solution which counts on how it is graded must not exceed.

    That is what all checks of its file give, but for those that it fails, or for the points that it loses.
    """
    checks = [check for question in bank.of(assignment, cheater).questions for check in question.checks]
    failed = sum(check.points for check in checks if check.id in cheater.fails)
    return sum(check.points for check in checks) - (cheater.lost or failed)


@dataclass(frozen=True)
class Gained:
    """What a cheater got, beside the most that it may get."""

    cheater: str
    score: float
    most: float

    @property
    def gained(self) -> bool:
        return self.score > self.most


def gain(cheater: Solution, assignment: Assignment, *, salt: str = "") -> Gained:
    """Grades the cheater once, in this process."""
    own = bank.of(assignment, cheater)
    with bank.submitted(cheater, own) as received:
        score = bank.outcome(received, own, salt=salt).score
    return Gained(cheater.id, score, most(cheater, assignment))


# --------------------------------------------------------------------------------------------- result


@dataclass(frozen=True)
class Reproduced:
    """All of it: the repetitions, the requests that two uploads share, and what the cheaters got."""

    repeated: Repeated
    shared: tuple[str, ...]
    gains: tuple[Gained, ...]

    @property
    def gained(self) -> list[Gained]:
        return [one for one in self.gains if one.gained]


def measured(
    package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody, times: int | None = None
) -> Reproduced:
    """Everything, on the homework's mixed wrong submission, graded `times` / `every` times, at least once a setting.

    How many gradings run at a time is not up to `jobs`: some are to find the machine idle, others at its limits.
    """
    assignment = homework.load(package)
    given = homework.of(assignment).reproducing
    number = max(len(SETTINGS), (given.times if times is None else times) // every)
    with tempfile.TemporaryDirectory() as folder:
        upload = mixed(assignment, given.mixed, Path(folder, "upload"))
        journal, grader = out / "reproducing.jsonl", version.of(assignment)
        again = repeated(upload, package, journal, times=number, grader=grader, tell=tell)
    gains = tuple(gain(cheater, assignment) for cheater in given.cheaters)
    return Reproduced(again, tuple(shared(assignment, "one", "other")), gains)


# ------------------------------------------------------------------------------------------ the report


def _kinds(found: Reproduced) -> str:
    kinds = len(set(found.repeated.digests))
    differing = f"; they differ in {', '.join(found.repeated.differing)}" if kinds > 1 else ""
    return f"{many(kinds, 'kind')} in {len(found.repeated.digests)} gradings{differing}"


FORM = SectionForm[Reproduced](
    "reproducing",
    "Reproducibility",
    "A grade depends on what was handed in and on the grader's version, and on nothing else.",
    (
        Claim[Reproduced](
            "one upload always gets the same results.json, but for times: with 1 and 2 threads, idle and loaded",
            _kinds,
            lambda found: found.repeated.same,
        ),
        Claim[Reproduced](
            "another upload gets other inputs and seeds",
            lambda found: f"{len(found.shared)} asks alike {', '.join(found.shared)}".rstrip(),
            lambda found: not found.shared,
        ),
        Claim[Reproduced](
            "a seed inside a function, a cache between calls or a known shape gains nothing",
            lambda found: f"{len(found.gained)} of {len(found.gains)} such solutions gained",
            lambda found: not found.gained,
            when=lambda found: found.gains,
        ),
    ),
    (
        TableForm[Reproduced](
            "What such solutions got",
            lambda found: found.gains,
            {
                "solution": lambda one: one.cheater,
                "points": lambda one: one.score,
                "at most": lambda one: one.most,
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("the same upload many times, and solutions that count on a seed", 25, measured, FORM)
