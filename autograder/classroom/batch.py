"""Grades a class: what is missing or out of date, on all cores or on a cluster, losing nothing when it is stopped.

The parent alone writes: a result file as soon as a grading is there, then the gradebook, the tables and the report,
each by rename or in one transaction. Killed at any moment and started again, it goes on from the result files.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from autograder import version
from autograder.classroom import gradebook, jobs, report, roster
from autograder.classroom.gradebook import Gradebook
from autograder.classroom.jobs import Task
from autograder.classroom.records import Records, holds, merged
from autograder.classroom.roster import Upload
from autograder.core import Assignment, Reject
from autograder.output.terminal import GRADED, NOT_GRADABLE, OUR_FAULT
from autograder.sandbox.host.scratch import alone
from autograder.text import many

ATTEMPTS = 2
"""Times that an upload is tried at which the grader's own process dies."""
MARKER = ".again.json"


@dataclass(frozen=True)
class Options:
    """What the command line said. `again` is None, "" (everything) or a question's id."""

    path: Path
    out: Path
    homework: str
    jobs: int
    seconds: float = 480.0
    again: str | None = None
    runs: bool = True
    scheduler: str = ""


@dataclass
class Count:
    """What a run has done so far."""

    whole: int
    done: int = 0
    refused: int = 0
    faults: int = 0
    odd: int = 0

    def add(self, content: dict[str, Any]) -> None:
        self.done += 1
        self.refused += content["extra_data"]["outcome"] == "not gradable"
        self.faults += content["extra_data"]["outcome"] == "grader error"
        self.odd += any(test["extra_data"].get("status") == "unjudgeable" for test in content["tests"])

    def __str__(self) -> str:
        told = f"{self.done} of {self.whole} graded"
        told += f", {self.refused} not gradable" if self.refused else ""
        told += f", {self.odd} for a person to look at" if self.odd else ""
        return told + (f", {self.faults} with a fault of ours" if self.faults else "")


class Stopped(Exception):
    """We were told to stop."""


def run(options: Options, secret: bytes) -> int:
    """Grades what has to be graded and writes everything. Returns 0, 2 (no class there) or 3 (a fault of ours)."""
    assignment: Assignment = importlib.import_module(options.homework).ASSIGNMENT
    known = [question.id for question in assignment.questions]
    if options.again and options.again not in known:
        return _refuse(f"--again {options.again} names no question. There are: {', '.join(known)}.")
    try:
        uploads = [upload for upload in roster.read(options.path) if upload.path.resolve() != options.out.resolve()]
        with alone(options.out):
            return _run(options, assignment, uploads, secret)
    except Reject as fault:
        return _refuse(str(fault))
    except OSError as error:
        return _refuse(f"{error.filename or options.out} cannot be used: {error.strerror or error}.", OUR_FAULT)


def _run(options: Options, assignment: Assignment, uploads: list[Upload], secret: bytes) -> int:
    grader = version.of(assignment)
    task = Task(options.homework, grader, secret, options.seconds, options.again or "", options.runs)
    assignment = jobs.narrowed(assignment, runs=options.runs)
    again = _again(options, grader)
    records = Records(options.out)
    prints = {upload.id: upload.fingerprint() for upload in uploads}
    todo = [upload for upload in uploads if not holds(records.load(upload.id), task, prints[upload.id], again)]
    where = f"on the cluster at {options.scheduler}" if options.scheduler else f"with {many(options.jobs, 'process')}"
    print(
        f"{many(len(uploads), 'submission')} in {options.path}; {len(uploads) - len(todo)} graded before by this "
        f"grader ({grader}). Grading {len(todo)} {where}; results go to {options.out}",
        flush=True,
    )
    book = Gradebook(options.out / "gradebook.sqlite")
    with book.open() as open_book:
        number = gradebook.begin(
            open_book, assignment, grader=grader, jobs=where, question=options.again or "", now=_now()
        )
    count = Count(len(todo))

    def keep(upload: Upload, content: dict[str, Any]) -> None:
        old = records.load(upload.id) if task.question else None
        if old is not None and old["extra_data"].get("outcome") == content["extra_data"]["outcome"] == "graded":
            content = merged(old, content, task.question)
        if again:
            content["extra_data"]["again"] = again
        records.save(upload.id, content)
        with book.open() as open_book:
            gradebook.record(open_book, upload, content, number)
        count.add(content)

    started = time.monotonic()
    try:
        with _executor(options) as make, _progress(count) as tell:
            _all(
                todo,
                lambda upload: replace(task, question=_scope(records, upload, task)),
                prints,
                make,
                options,
                keep,
                tell,
            )
    except Stopped:
        print(f"\nStopped: {count}. The same command goes on from here.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(128 + signal.SIGINT)  # the processes of the pool go with us
    except _Unreachable as error:
        return _refuse(f"{error} {count}. The same command goes on from here.", OUR_FAULT)
    (options.out / MARKER).unlink(missing_ok=True)
    with book.open() as open_book:
        for upload in uploads:  # a kill can come between a result file and its line in the book
            content = records.load(upload.id)
            if content is not None:
                gradebook.record(open_book, upload, content, None)
        gone = gradebook.keep_only(open_book, uploads)
        gradebook.finish(open_book, number, graded=count.done, now=_now())
    with book.open() as open_book:
        gradebook.grades(open_book, assignment, options.out / "grades.csv")
        gradebook.canvas(open_book, assignment, options.out / "grades-canvas.csv")
        report.write(open_book, assignment, options.out)
        odd = open_book.execute(
            "SELECT COUNT(DISTINCT submission) FROM verdicts WHERE status = 'unjudgeable'"
        ).fetchone()[0]
        faults = open_book.execute("SELECT COUNT(*) FROM submissions WHERE outcome = 'grader error'").fetchone()[0]
    if gone:
        print(f"{many(gone, 'submission')} of an earlier run are no longer in {options.path} and left the gradebook.")
    print(f"{count} in {time.monotonic() - started:.0f} s.")
    print(
        f"Report: {options.out / 'report.html'}\nGrades: {options.out / 'grades.csv'} (Gradescope), grades-canvas.csv"
    )
    print(f"Gradebook: {book.path}, one results.json each: {options.out / 'results'}")
    if odd:
        print(f"{many(odd, 'submission')} gave back what could not be judged: no points yet, a person has to look.")
    if faults:
        print(f"{many(faults, 'submission')} met a fault of ours; they lose no points for it. See the report.")
    return OUR_FAULT if faults or odd else GRADED


def _scope(records: Records, upload: Upload, task: Task) -> str:
    """One question is enough only where the others were graded before."""
    old = records.load(upload.id) if task.question else None
    return task.question if old is not None and old["extra_data"].get("outcome") == "graded" else ""


# ----------------------------------------------------------------------------------------- the loop

Make = Callable[[], Executor]


class _Unreachable(Exception):
    """The cluster went away."""


def _all(
    todo: Sequence[Upload],
    task_of: Callable[[Upload], Task],
    prints: dict[str, str],
    make: Make,
    options: Options,
    keep: Callable[[Upload, dict[str, Any]], None],
    tell: Callable[[], None],
) -> None:
    """Every upload through the executor, some ahead of what is being graded so that no process waits.

    When a process of a local pool dies, which no submission should be able to bring about, all that were under way
    are tried again, one after the other, so that the one at fault is known by its second try.
    """
    waiting = list(reversed(todo))
    tries: dict[str, int] = {}
    running: dict[Future[dict[str, Any]], Upload] = {}
    executor = make()
    ahead = 2 * options.jobs if not options.scheduler else 1000
    alone = False
    while waiting or running:
        while waiting and len(running) < (1 if alone else ahead):
            upload = waiting.pop()
            running[executor.submit(jobs.grade, task_of(upload), upload, prints[upload.id])] = upload
        done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
        tell()
        broken = False
        for future in done:
            upload = running.pop(future)
            try:
                content = future.result()
            except BrokenProcessPool:
                broken = True
                tries[upload.id] = tries.get(upload.id, 0) + alone
                if tries[upload.id] < ATTEMPTS:
                    waiting.append(upload)
                    continue
                content = jobs.broken(task_of(upload), prints[upload.id], "its process died")
            except OSError as error:
                raise _Unreachable(f"The cluster at {options.scheduler} does not answer: {error}.") from None
            except Exception as error:  # of the cluster: its workers died at this one, again and again
                content = jobs.broken(task_of(upload), prints[upload.id], type(error).__name__)
            keep(upload, content)
            tell()
        if broken:
            waiting += running.values()
            running.clear()
            executor.shutdown(wait=False)
            executor, alone = make(), True
    executor.shutdown()


@contextmanager
def _executor(options: Options) -> Iterator[Make]:
    """What makes an executor: processes of this machine, or the workers of a Dask cluster."""
    if not options.scheduler:
        context = multiprocessing.get_context("spawn")  # threads of numpy's do not survive a fork
        yield lambda: ProcessPoolExecutor(
            options.jobs, mp_context=context, initializer=jobs.begin, initargs=(os.getpid(),)
        )
        return
    try:
        from distributed import Client
    except ImportError:
        raise Reject(
            "--scheduler needs Dask, which is not installed here: "
            f"{sys.executable} -m pip install -r autograder/requirements-cluster.txt"
        ) from None
    try:
        client = Client(options.scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise Reject(f"There is no Dask scheduler at {options.scheduler}: {error}.") from None
    with client:
        # Not pure: no call is taken for another with the same arguments. Retries are for faults of the machines.
        yield lambda: client.get_executor(pure=False, retries=ATTEMPTS)


def _again(options: Options, grader: str) -> str:
    """The id under which all is graded anew, "" where nothing is. The one of a run that did not finish goes on."""
    marker = options.out / MARKER
    if options.again is None:
        return ""
    scope = {"question": options.again, "grader": grader, "runs": options.runs}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        old = json.loads(marker.read_bytes())
        if {key: old.get(key) for key in scope} == scope:
            return str(old["id"])
    name = f"{time.time_ns():x}"
    beside = marker.with_suffix(".new")
    beside.write_text(json.dumps({**scope, "id": name}))
    beside.replace(marker)
    return name


# ------------------------------------------------------------------------------------ for people's eyes


@contextmanager
def _progress(count: Count) -> Iterator[Callable[[], None]]:
    """A bar with the remaining time, or a line now and then for a log. Ctrl-C and SIGTERM raise `Stopped`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    said = time.monotonic()
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            line = bar.add_task(str(count), total=count.whole)

            def tell() -> None:
                nonlocal said
                bar.update(line, completed=count.done, description=str(count))
                if not console.is_terminal and time.monotonic() - said > 30:
                    said = time.monotonic()
                    print(count, file=sys.stderr, flush=True)

            yield tell
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _refuse(reason: str, status: int = NOT_GRADABLE) -> int:
    print(reason, file=sys.stderr)
    return status


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
