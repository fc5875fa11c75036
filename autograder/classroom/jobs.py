"""One submission of a class, graded in a process that keeps its warm zygote for the next one.

The same call runs in a pool of processes on a laptop and on the workers of a cluster. It takes and returns
plain values, writes nothing but its scratch folder, and never raises for anything that a submission does.
"""

from __future__ import annotations

import atexit
import base64
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autograder import homeworks
from autograder.classroom import kept
from autograder.classroom.roster import Upload
from autograder.core import Assignment, CheckFailed, Question, Result, Values
from autograder.grade import Grading
from autograder.intake import parts, submission
from autograder.intake.late import HandedIn, time_of
from autograder.output import gradescope
from autograder.sandbox import confine, fingerprints
from autograder.sandbox.host import canary
from autograder.sandbox.host.judging import Guarded
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import scratch
from autograder.text import clean

if TYPE_CHECKING:  # at run time only where a course.toml is: pydantic takes a moment
    from autograder.intake.settings import Settings

Outcome = Literal["graded", "not gradable", "grader error", "unjudgeable"]
"""`unjudgeable`: graded, but values of it broke a judge; the staff has to look, and grading it anew changes nothing."""
KEPT = "kept"
GRACE = 60.0
"""Seconds past an upload's time after which its process is ended, whatever it does."""


@dataclass(frozen=True)
class Task:
    """What is the same for the whole class.

    `secret` is the key of all seeds: given, so that every machine of a cluster draws the same inputs. `checks` are
    the ids of the only ones to grade, none for all; `runs` says whether notebooks are also run whole. `only` and
    `settings` say what is graded, and how, for everybody.
    """

    homework: str
    grader: str
    secret: bytes = b""
    seconds: float = 480.0
    checks: tuple[str, ...] = ()
    runs: bool = True
    only: tuple[str, ...] = ()
    settings: Settings | None = None

    def whole(self) -> Assignment:
        """The homework's, as the course has it, and of that the part to grade."""
        whole = homeworks.load(self.homework)
        return parts.selected(self.settings.applied(whole) if self.settings else whole, self.only)

    def assignment(self) -> Assignment:
        """Of the whole, what this task grades."""
        return narrowed(self.whole(), checks=self.checks, runs=self.runs)


def narrowed(assignment: Assignment, *, checks: Collection[str] = (), runs: bool = True) -> Assignment:
    """The assignment with some checks alone (none: all), or without those that run a notebook whole."""
    kept = (each if runs else _without_runs(each) for each in assignment.questions)
    if checks:
        kept = (parts.narrowed(each, checks) for each in kept)
    return replace(assignment, questions=tuple(each for each in kept if each.checks))


def _without_runs(question: Question) -> Question:
    """Without its checks that run a notebook whole. Of a part the numbers stay; else they are counted anew."""
    kept = [at for at, check in enumerate(question.checks) if not check.request.collector]
    return replace(
        question,
        checks=tuple(question.checks[at] for at in kept),
        places=tuple(question.places[at] for at in kept) if question.places else (),
    )


def grade(task: Task, upload: Upload, fingerprint: str) -> dict[str, Any]:
    """The upload's results.json as plain data, with what tells later runs whether it still holds.

    Under `KEPT` stands what is kept beside it (kept.py), as bytes; whoever gets this takes it out.
    """
    started = time.monotonic()
    whole, assignment = task.whole(), task.assignment()
    absent: tuple[str, ...] = ()
    results: list[Result] = []
    remarks: tuple[str, ...] = ()
    reason, digest, isolation = "", "", ""
    code: Values = {}
    beside = b""
    cpu, memory = 0.0, 0
    outcome: Outcome = "graded"
    try:
        if upload.reason:
            raise CheckFailed(upload.reason)
        station = _station(task.homework)
        sandbox, isolation = station.sandbox, station.isolation
        with station.lock, _deadline(task.seconds), scratch() as folder:
            started = time.monotonic()
            sandbox.memory, sandbox.cpu, own = 0, 0.0, time.process_time()
            # Files are placed as the whole homework has them, so that one question's grading reads the same upload.
            received = submission.receive(upload.fetch(folder), whole, folder / "workspace", group=sandbox.uid)
            code = sandbox.read(received, compared=whole.graded)
            remarks, digest, absent = received.remarks, received.digest, received.absent
            left = task.seconds - (time.monotonic() - started)
            grading = Grading(
                *(sandbox, received, assignment, task.secret, left),
                baseline_cpus=station.baseline_cpus,
                judging=station.judging,
            )
            results += grading.results()
            with suppress(OSError):  # a full disk: pages say that there is nothing to show, and the grades hold
                beside = kept.of(received, grading, results, whole).packed()
            cpu, memory = sandbox.cpu + time.process_time() - own, sandbox.memory
    except CheckFailed as fault:
        reason, outcome = str(fault), "not gradable"
        absent = whole.graded if isinstance(fault, submission.Empty) else absent
    except SystemExit:  # told to stop: the scratch folder is gone, and an executor would only catch this
        os._exit(128 + signal.SIGTERM)
    except Exception as error:  # our bug, or a disk that is full: this submission is graded anew next time
        print(f"{type(error).__name__} in the grader at {upload.id}: {error}", file=sys.stderr)
        reason, outcome = gradescope.OUR_FAULT, "grader error"
    statuses = {result.status for result in results}
    if "grader error" in statuses:
        outcome = "grader error"
    elif "unjudgeable" in statuses:
        outcome = "unjudgeable"
    spent = time.monotonic() - started
    content = gradescope.document(
        assignment,
        results,
        remarks=remarks,
        seconds=spent,
        isolation=isolation,
        reason=reason,
        absent=absent,
        settings=task.settings,
        handed_in=handed_in(upload),
    )
    content["extra_data"] |= {
        "upload": fingerprint,
        "grader": task.grader,
        "content": digest,
        "outcome": outcome,
        "runs": task.runs,
        "cpu": round(cpu, 3),
        "memory": memory,
        "code": _encoded(code),
    }
    return {**content, KEPT: beside}


def handed_in(upload: Upload) -> HandedIn:
    """When, and by whom, as the export has it. The due date is for the course's settings to tell."""
    emails = tuple(student.email for student in upload.students if student.email)
    return HandedIn(time_of(upload.created_at), emails=emails)


def _encoded(values: Values) -> dict[str, str]:
    """Fingerprints by file, as JSON can hold them."""
    found = {}
    for index in range(fingerprints.MAX_FILES):
        name, hashes = values.get(f"file{index}.name"), values.get(f"file{index}.hashes")
        if isinstance(name, str) and isinstance(hashes, np.ndarray) and hashes.dtype == np.int64:
            kept = np.unique(hashes)[: fingerprints.MAX_KEPT].astype("<i8")
            found[clean(name, limit=200, line=True)] = base64.b64encode(kept.tobytes()).decode()
    return found


def broken(task: Task, fingerprint: str, reason: str) -> dict[str, Any]:
    """The results.json of an upload at which the grader's own process died, more than once."""
    content = gradescope.document(task.assignment(), [], reason=f"{gradescope.OUR_FAULT} ({reason})")
    content["extra_data"] |= {"upload": fingerprint, "grader": task.grader, "content": "", "outcome": "grader error"}
    return content


@dataclass(frozen=True)
class _Station:
    """A process's zygote, and what its sandbox holds. One submission at a time, whatever threads a cluster uses."""

    sandbox: Sandbox
    isolation: str
    lock: Lock = field(default_factory=Lock)
    baseline_cpus: dict[str, float] = field(default_factory=dict)
    judging: Guarded = field(default_factory=Guarded)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Ends this process where an upload takes much longer than it may: its requests and judgements have limits already.

    Done by a thread of C code, which needs neither a signal nor the interpreter. The run goes on without the upload.
    """
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@lru_cache(maxsize=1)
def _station(homework: str) -> _Station:
    """Started and tried once in a process."""
    confine.shield()
    assignment = homeworks.load(homework)
    sandbox = Sandbox(SandboxConfig(assignment.probes))
    sandbox.start()
    atexit.register(sandbox.close)
    with scratch() as results:
        line = canary.inspect(sandbox, beside=assignment.reference, results=results).line()
    checks = [check for question in assignment.questions for check in question.checks]
    return _Station(sandbox, line, judging=Guarded(checks))


def sandbox(homework: str) -> str:
    """What this process's sandbox holds, in a line. Starts it; raises whatever goes wrong there."""
    return _station(homework).isolation


def begin(parent: int) -> None:
    """Called once in every process of a local pool: ends it, and its workers, when `parent` is gone."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then goes
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    signal.signal(signal.SIGTERM, stop)
    with suppress(confine.Unavailable, OSError):
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it went before we could ask to be told
        os._exit(1)
