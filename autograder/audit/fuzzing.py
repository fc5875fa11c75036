"""A hundred thousand damaged inputs to everything that reads a stranger's bytes: what it raises, keeps and costs.

All inputs follow from a seed and their number, so that one that was found to be at fault can be made again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import inspect
import random
import signal
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autograder import version
from autograder.audit import formats, homework, parallel
from autograder.audit.homework import Target
from autograder.audit.journal import Journal
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, first, nobody
from autograder.text import many

SEED = 11
CHUNK = 1000
"""Inputs that are tried together: one line of the journal."""
LIMIT = 2.0
"""CPU seconds for one input, of at most 64 KB: the least that a student's ask may take is five times as long."""
SLOW = 10 * LIMIT
"""After so many an input is given up."""
OBJECT = 16
"""Bytes of the smallest object that Python allocates. What kept anything of each input would grow by more, so less
than this for each input on average is no growth."""


class TooSlow(BaseException):
    """An input was given up. No `except Exception` of a reader may take it for a fault of the file."""


# ------------------------------------------------------------------------------------------------ trying


def made(target: Target, number: int) -> bytes:
    """Input number `number`."""
    return target.make(random.Random(f"{SEED} {target.id} {number}"))


@dataclass(frozen=True)
class TriedInputs:
    """Some inputs of one target: how many were read, the CPU seconds, the slowest one's, and what was at fault."""

    inputs: int
    read: int
    seconds: float
    slowest: float
    faults: tuple[str, ...]


def tried(target: Target, numbers: Sequence[int], *, limit: float = LIMIT) -> TriedInputs:
    """Reads these inputs. At fault is what raises anything undocumented or takes longer than `limit` CPU seconds."""
    read, slowest, total, faults = 0, 0.0, 0.0, []
    with _given_up(10 * limit):
        for number in numbers:
            data = made(target, number)
            signal.setitimer(signal.ITIMER_PROF, 10 * limit)
            started = time.process_time()
            try:
                target.read(data)
                read += 1
            except target.documented as refusal:
                if not str(refusal):
                    faults.append(f"{target.id} {number}: {type(refusal).__name__} without a sentence")
            except (Exception, TooSlow) as error:
                faults.append(f"{target.id} {number}: {type(error).__name__}: {error}"[:300])
            spent = time.process_time() - started
            if spent > limit:
                faults.append(f"{target.id} {number}: {spent:.1f} CPU s")
            total, slowest = total + spent, max(slowest, spent)
    return TriedInputs(len(numbers), read, total, slowest, tuple(faults))


@contextlib.contextmanager
def _given_up(seconds: float) -> Iterator[None]:
    """While it lasts, the timer of CPU time raises TooSlow."""

    def stop(_number: int, _frame: object) -> None:
        raise TooSlow(f"given up after {seconds:g} CPU s")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def growth(target: Target, count: int) -> float:
    """Bytes that are kept for each input, on average of `count`, after as many others; traced in Python and numpy.

    The lesser of two such growths, one after the other: a late import or a small cache grows once, a leak twice.
    """

    def kept(first: int) -> int:
        for number in (*range(first, first + count), *range(8)):  # the last ones fill small caches alike each time
            with contextlib.suppress(*target.documented):
                target.read(made(target, number))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        one, two, three = (kept(target.inputs + block * count) for block in range(3))
        return min(two - one, three - two) / count
    finally:
        tracemalloc.stop()


# -------------------------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class Found:
    """By target: what it is, what was tried, and the bytes kept for each input."""

    targets: Mapping[str, str]
    tried: Mapping[str, TriedInputs]
    kept: Mapping[str, float]

    @property
    def inputs(self) -> int:
        return sum(one.inputs for one in self.tried.values())

    @property
    def faults(self) -> list[str]:
        return [fault for one in self.tried.values() for fault in one.faults]

    @property
    def slowest(self) -> float:
        """CPU seconds."""
        return max(one.slowest for one in self.tried.values())

    @property
    def grown(self) -> dict[str, float]:
        """The targets that keep something of each input."""
        return {id: kept for id, kept in self.kept.items() if kept >= OBJECT}


@cache
def targets_of(package: str) -> tuple[Target, ...]:
    """Made once in a process."""
    return formats.targets(homework.load(package))


def _chunk(package: str, id: str, numbers: Sequence[int]) -> dict[str, Any]:
    """A row of the journal; without numbers, of the growth."""
    target = next(target for target in targets_of(package) if target.id == id)
    if not numbers:
        return {"kept": growth(target, CHUNK // 2)}  # a cache that fills once is little beside so many
    found = tried(target, numbers)
    return {**vars(found), "faults": list(found.faults)}


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """All inputs of all targets, or every n-th chunk of them; and each target's growth."""
    grader = version.of(homework.load(package))
    journal, targets = Journal(out / "fuzzing.jsonl"), targets_of(package)
    plan: dict[tuple[str, ...], tuple[str, str, list[int]]] = {}
    for target in targets:
        own = _code(target)
        plan[target.id, "growth", f"{target.inputs}", own, grader] = package, target.id, []
        for begin in range(0, target.inputs, CHUNK * every):
            numbers = list(range(begin, min(begin + CHUNK, target.inputs)))
            plan[target.id, f"{begin}", f"{len(numbers)}", own, grader] = package, target.id, numbers
    rows = list(zip(plan, parallel.kept(journal, _chunk, plan, jobs, tell, apart=True), strict=True))
    return Found(
        {target.id: target.what for target in targets},
        {
            target.id: _sum([row for key, row in rows if key[:1] == (target.id,) and "read" in row])
            for target in targets
        },
        {key[0]: row["kept"] for key, row in rows if "kept" in row},
    )


def _code(target: Target) -> str:
    """A digest of how the target's inputs are made and tried, in the homework as well."""
    paths = {Path(__file__).with_name(name) for name in ("fuzzing.py", "formats.py", "damage.py")}
    paths.add(Path(inspect.getsourcefile(inspect.unwrap(target.make)) or __file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:12]


def _sum(rows: Sequence[Mapping[str, Any]]) -> TriedInputs:
    return TriedInputs(
        sum(row["inputs"] for row in rows),
        sum(row["read"] for row in rows),
        sum(row["seconds"] for row in rows),
        max(row["slowest"] for row in rows),
        tuple(fault for row in rows for fault in row["faults"]),
    )


FORM = SectionForm[Found](
    "fuzzing",
    "Damaged inputs",
    "What reads a stranger's bytes gets seeded damage: each input is either read or refused with a sentence.",
    (
        Claim[Found](
            "every input is read, or refused by the exception that is documented",
            lambda found: f"{many(found.inputs, 'input')}, {len(found.faults)} at fault{first(found.faults)}",
            lambda found: not found.faults and found.inputs > 0,
        ),
        Claim[Found](
            f"none takes {LIMIT:g} CPU seconds",
            lambda found: f"the slowest {found.slowest:.2f} s",
            lambda found: found.slowest < LIMIT,
        ),
        Claim[Found](
            f"nothing is kept: less than {OBJECT} bytes for each input, the size of the smallest object",
            lambda found: (
                "; ".join(f"{id} {kept:.0f} bytes" for id, kept in found.grown.items())
                or f"at most {max(found.kept.values()):.1f} bytes"
            ),
            lambda found: not found.grown,
        ),
    ),
    (
        TableForm[Found](
            "Inputs",
            lambda found: [(found.targets[id], one, found.kept[id]) for id, one in found.tried.items()],
            {
                "what": lambda row: row[0],
                "inputs": lambda row: row[1].inputs,
                "refused": lambda row: row[1].inputs - row[1].read,
                "read": lambda row: row[1].read,
                "CPU s": lambda row: row[1].seconds,
                "slowest, CPU ms": lambda row: 1000 * row[1].slowest,
                "kept, bytes for each": lambda row: row[2],
            },
        ),
    ),
)
section = FORM.filled
PART = AuditPart("hostile bytes for everything that reads them", 50, measured, FORM)
