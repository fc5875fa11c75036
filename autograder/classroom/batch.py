"""Grades a class: what is missing or out of date, on all cores or on a cluster, losing nothing when it is stopped.

The parent alone writes: a result file as soon as a grading is there, then the gradebook, the tables and the report,
each by rename or in one transaction. Killed at any moment and started again, it goes on from the result files.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from autograder import storage, version
from autograder.classroom import cluster, gradebook, jobs, publish, roster
from autograder.classroom.gradebook import Gradebook
from autograder.classroom.jobs import Task
from autograder.classroom.kept import Store
from autograder.classroom.records import FORMER, Records, merged, why
from autograder.classroom.roster import Upload
from autograder.core import Assignment, CheckFailed
from autograder.intake.chosen import Asked, Chosen, chosen, digest
from autograder.output import gradescope
from autograder.output.terminal import GRADED, NOT_GRADABLE, OUR_FAULT, STOPPED
from autograder.storage import alone
from autograder.text import many

ATTEMPTS = 2
"""Times that an upload is tried at which the grader's own process dies."""
MARKER = ".again.json"
NAMED = 12
"""Submissions that are named where many could be."""


@dataclass(frozen=True)
class ClassOptions:
    """What the command line said.

    `again` is None, or what to grade anew: questions, checks and students by any of their names, none of them for all.
    `students` are the only ones to grade, none for all.
    """

    path: Path
    out: Path
    homework: str
    jobs: int
    again: tuple[str, ...] | None = None
    runs: bool = True
    scheduler: str = ""
    students: tuple[str, ...] = ()
    asked: Asked = Asked()  # noqa: RUF009 (frozen)


@dataclass(frozen=True)
class Scope:
    """What a run is asked to do: `checks` to grade anew (none: all) where `anew`, and whom it may touch (None: all)."""

    anew: bool
    checks: tuple[str, ...]
    ids: frozenset[str] | None

    def __contains__(self, upload: Upload) -> bool:
        return self.ids is None or upload.id in self.ids


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
        return told + (f", {self.faults} with a grader error" if self.faults else "")


class Stopped(BaseException):
    """We were told to stop."""


def run(options: ClassOptions, secret: bytes) -> int:
    """Grades what has to be graded and writes everything. Returns 0, 2 (no class there) or 3 (a fault of ours)."""
    try:
        own = chosen(options.homework, options.asked)
        if own.settings is not None and own.settings.course.late is not None and own.settings.course.late.due is None:
            raise CheckFailed(NO_DUE_DATE.format(name=own.settings.name))
        uploads = [upload for upload in roster.read(options.path) if upload.path.resolve() != options.out.resolve()]
        scope = scope_of(options, own.assignment, uploads)
        if options.scheduler:  # its workers have working folders of their own
            uploads = [replace(upload, path=upload.path.absolute()) for upload in uploads]
        with alone(options.out):
            return _run(options, own, uploads, scope, secret)
    except CheckFailed as fault:
        return _refuse(str(fault))
    except OSError as error:
        return _refuse(f"{error.filename or options.out} cannot be used: {error.strerror or error}.", OUR_FAULT)
    except sqlite3.Error as error:  # of a full disk, or of a file that is no gradebook
        return _refuse(f"The gradebook in {options.out} cannot be used: {error}.", OUR_FAULT)


NO_DUE_DATE = (
    "{name} has a late policy but no due date, and the export of a class contains none. Expected: due in [late], such "
    "as due = 2026-11-23T23:59:00-08:00."
)


def scope_of(options: ClassOptions, assignment: Assignment, uploads: list[Upload]) -> Scope:
    """What the words of `--again` and `--only-student` mean.

    Raises `CheckFailed` for a word that means nothing here.
    """
    known: dict[str, tuple[str, ...]] = {
        check.id: (check.id,) for each in assignment.questions for check in each.checks
    }
    known |= {each.id: tuple(check.id for check in each.checks) for each in assignment.questions}
    words = dict.fromkeys(options.again or ())
    checks = tuple(dict.fromkeys(check for word in words if word in known for check in known[word]))
    ids = _called(options.students, uploads, "--only-student", "")
    questions = ", ".join(each.id for each in assignment.questions)
    named = _called(
        [word for word in words if word not in known],
        uploads,
        "--again",
        f" Nor is it a check, or one of the questions {questions}.",
    )
    if ids is not None and named is not None:
        ids &= named
        if not ids:
            raise CheckFailed("--only-student and --again name different students, so no student is left to grade.")
    return Scope(options.again is not None, checks, named if ids is None else ids)


def _called(words: Iterable[str], uploads: list[Upload], option: str, more: str) -> frozenset[str] | None:
    """The ids of the uploads that the words name; None where there is no word."""
    found: set[str] | None = None
    for word in words:
        ids = {upload.id for upload in uploads if upload.is_called(word)}
        if not ids:
            near = difflib.get_close_matches(word, [upload.id for upload in uploads], 3, 0.5)
            raise CheckFailed(
                f"{option} {word}: no submission has this id, name, email or student number.{more}"
                + (f" Similar: {', '.join(near)}." if near else "")
            )
        found = (found or set()) | ids
    return None if found is None else frozenset(found)


def _run(options: ClassOptions, own: Chosen, uploads: list[Upload], scope: Scope, secret: bytes) -> int:
    assignment = own.assignment
    grader = version.of(assignment, digest(own.settings, own.only))
    checks = tuple(check for check in scope.checks if check in _checks(jobs.narrowed(assignment, runs=options.runs)))
    if scope.checks and not checks:
        return _refuse(f"--no-runs leaves out everything that --again names: {', '.join(scope.checks)}.")
    task = Task(options.homework, grader, secret, own.seconds, checks, options.runs, own.only, own.settings)
    assignment = jobs.narrowed(assignment, runs=options.runs)
    again = _again(options, scope, grader) if scope.anew else ""
    records, store = Records(options.out), Store(options.out)
    prints = {upload.id: upload.fingerprint() for upload in uploads}
    for line in _put_away(records, uploads, prints):
        print(line)
    reasons = {
        upload.id: why(records.load(upload.id), task, prints[upload.id], again) for upload in uploads if upload in scope
    }
    todo = [upload for upload in uploads if reasons.get(upload.id)]
    where = f"on the cluster at {options.scheduler}" if options.scheduler else f"with {many(options.jobs, 'process')}"
    held = sum(reason == "" for reason in reasons.values())
    print(
        f"{many(len(uploads), 'submission')} in {options.path}, of which this grader ({grader}) has graded {held} "
        f"before. Grading {len(todo)} {where}. The results go to {options.out}",
    )
    for line in _plan(options, scope, uploads, todo, reasons):
        print(line)
    sys.stdout.flush()
    book = Gradebook(options.out / roster.BOOK)
    with _executor(options) as make:
        if options.scheduler and todo:
            cluster.check(options.scheduler, task, [upload for upload in todo if not upload.reason], print)
        with book.open() as open_book:
            said = " ".join(options.again or ())
            number = gradebook.begin(open_book, assignment, grader=grader, jobs=where, question=said, now=_now())
            gradebook.keep_settings(open_book, grader, in_force(own))
            gradebook.note(open_book, "homework", options.homework)
        count = Count(len(todo))

        def keep(upload: Upload, content: dict[str, Any]) -> None:
            if beside := content.pop(jobs.KEPT, b""):
                store.save(upload.id, beside)
            old = records.load(upload.id) if _part(records, upload, task, prints[upload.id]) else None
            if old is not None and content["extra_data"]["outcome"] != "not gradable":
                content = merged(old, content)
                if own.settings is not None:
                    content = gradescope.settled(content, assignment, own.settings, jobs.handed_in(upload))
            if again:
                content["extra_data"]["again"] = again
            records.save(upload.id, content)
            with book.open() as open_book:
                gradebook.record(open_book, upload, content, number)
            count.add(content)

        started = time.monotonic()
        try:
            with _progress(count) as tell:
                _all(
                    todo,
                    lambda upload: replace(task, checks=_part(records, upload, task, prints[upload.id])),
                    prints,
                    make,
                    options,
                    keep,
                    tell,
                )
        except Stopped:
            print(f"\nStopped: {count}. The same command continues from here.", file=sys.stderr)
            return STOPPED
        except _Unreachable as error:
            return _refuse(f"{error} {count}. The same command continues from here.", OUR_FAULT)
        except (OSError, sqlite3.Error) as error:
            told = getattr(error, "strerror", None) or error
            return _refuse(
                f"{options.out} cannot be written: {told}. {count}. The same command continues once this is fixed.",
                OUR_FAULT,
            )
    (options.out / MARKER).unlink(missing_ok=True)
    with book.open() as open_book:
        for upload in uploads:  # a kill can come between a result file and its line in the book
            content = records.load(upload.id)
            if content is not None:
                gradebook.record(open_book, upload, content, None)
        gone = gradebook.keep_only(open_book, uploads)
        gradebook.finish(open_book, number, graded=count.done, now=_now())
    with book.open() as open_book:
        publish.everything(open_book, assignment, options.out)
        odd = open_book.execute(
            "SELECT COUNT(DISTINCT submission) FROM verdicts WHERE status = 'unjudgeable'"
        ).fetchone()[0]
        faults = open_book.execute("SELECT COUNT(*) FROM submissions WHERE outcome = 'grader error'").fetchone()[0]
        missing = len(uploads) - open_book.execute("SELECT COUNT(*) FROM submissions").fetchone()[0]
    if gone:
        print(
            f"{many(gone, 'submission')} of an earlier run are no longer in {options.path} and were removed from "
            "the gradebook."
        )
    print(f"{count} in {time.monotonic() - started:.0f} s.")
    if missing:
        print(f"{many(missing, 'submission')} outside this run were never graded, so no table contains them yet.")
    print(
        f"Report: {options.out / 'report.html'}\nGrades: {options.out / 'grades.csv'} (Gradescope), grades-canvas.csv"
    )
    print(f"Gradebook: {book.path}. One results.json for each submission: {options.out / 'results'}")
    if odd:
        print(
            f"{many(odd, 'submission')} returned values that could not be judged. There are no points for them yet, "
            "and a person must look at them."
        )
    if faults:
        print(f"{many(faults, 'submission')} met a grader error. They lose no points for it. See the report.")
    return OUR_FAULT if faults or odd else GRADED


def _checks(assignment: Assignment) -> frozenset[str]:
    return frozenset(check.id for each in assignment.questions for check in each.checks)


def _plan(
    options: ClassOptions, scope: Scope, uploads: list[Upload], todo: list[Upload], reasons: dict[str, str]
) -> Iterator[str]:
    """What this run will do, and what it will not."""
    if todo:
        counts = Counter(reasons[upload.id] for upload in todo)
        yield "To grade: " + ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) + "."
    if scope.anew:
        yield f"Graded again, even if unchanged: {', '.join(options.again or ()) or 'everything'}."
    if scope.ids is not None:
        others = len(uploads) - len(scope.ids)
        yield f"Only {_listed(sorted(scope.ids))} will be graded. The other {others} stay as they are."
    unread = [upload.id for upload in todo if upload.reason]
    if unread:
        yield f"{len(unread)} of these cannot be graded, as their rows say: {_listed(unread)}."
    yield from [upload.note for upload in uploads if upload.note][:NAMED]
    if nobodys := roster.passed_over(options.path):
        yield f"Skipped, because nobody submitted them: {_listed(nobodys)}."


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:NAMED]) + (f" and {len(items) - NAMED} more" if len(items) > NAMED else "")


def _put_away(records: Records, uploads: list[Upload], prints: dict[str, str]) -> Iterator[str]:
    """Moves results of ids that are not among the uploads out of the way; says so.

    An earlier version of this command gave other ids. Its result is taken over where the upload has the very same
    bytes, since nothing in it depends on the id.
    """
    stray = records.stray({upload.id for upload in uploads})
    if not stray:
        return
    by_print: dict[str, dict[str, Any]] = {}
    for path in stray:
        content = records.load(path.stem)
        if content is not None:
            by_print.setdefault(str(content["extra_data"].get("upload")), content)
    taken = 0
    for upload in uploads:
        if prints[upload.id] in by_print and records.load(upload.id) is None:
            records.save(upload.id, by_print[prints[upload.id]])
            taken += 1
    for path in stray:
        records.put_away(path)
    yield (
        f"{many(len(stray), 'result')} in {records.out} belong to no submission here and were moved to "
        f"{records.out / FORMER}: {_listed([path.stem for path in stray])}."
    )
    if taken:
        yield (
            f"The results of {many(taken, 'submission')} were taken over from earlier ones with the same content and "
            "other ids."
        )


def _part(records: Records, upload: Upload, task: Task, fingerprint: str) -> tuple[str, ...]:
    """Some checks are enough only where the others were graded before, of these very bytes."""
    old = records.load(upload.id) if task.checks else None
    if old is None or old["extra_data"].get("outcome") != "graded" or old["extra_data"].get("runs") != task.runs:
        return ()
    return task.checks if old["extra_data"].get("upload") == fingerprint else ()


def in_force(own: Chosen) -> dict[str, str]:
    """The settings by key, with the part, for the book."""
    said = {"--only": ", ".join(own.only)} if own.only else {}
    if own.settings is not None:
        from autograder.intake import course_command

        said |= course_command.flat(own.settings)
    return said


# ----------------------------------------------------------------------------------------- the loop

Make = Callable[[], Executor]


class _Unreachable(Exception):
    """The cluster went away."""


def _all(
    todo: Sequence[Upload],
    task_of: Callable[[Upload], Task],
    prints: dict[str, str],
    make: Make,
    options: ClassOptions,
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
    ahead = 2 * options.jobs if not options.scheduler else 1000
    alone = False
    grade = cluster.grade if options.scheduler else jobs.grade
    executor = make()
    try:
        while waiting or running:
            while waiting and len(running) < (1 if alone else ahead):
                upload = waiting.pop()
                with _undisturbed():
                    future = executor.submit(grade, task_of(upload), upload, prints[upload.id])
                running[future] = upload
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
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():  # or what they grade would hold us up for minutes
            process.terminate()
        raise
    executor.shutdown()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process that is started here is not told of Ctrl-C, which is for us; see jobs.begin for what comes after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _executor(options: ClassOptions) -> Iterator[Make]:
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
        raise CheckFailed(
            "--scheduler needs Dask, which is not installed here: "
            f"{sys.executable} -m pip install -r autograder/requirements-cluster.txt"
        ) from None
    try:
        client = Client(options.scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise CheckFailed(f"There is no Dask scheduler at {options.scheduler}: {error}.") from None
    with client:
        # Not pure: no call is taken for another with the same arguments. Retries are for faults of the machines.
        yield lambda: client.get_executor(pure=False, retries=ATTEMPTS)


def _again(options: ClassOptions, scope: Scope, grader: str) -> str:
    """The id under which is graded anew what was asked for. The one of a run that did not finish goes on."""
    marker = options.out / MARKER
    asked = {
        "checks": sorted(scope.checks),
        "students": None if scope.ids is None else sorted(scope.ids),
        "grader": grader,
        "runs": options.runs,
    }
    with contextlib.suppress(OSError, ValueError, AttributeError):
        old = json.loads(marker.read_bytes())
        if {key: old.get(key) for key in asked} == asked:
            return str(old["id"])
    name = f"{time.time_ns():x}"
    storage.save(marker, json.dumps({**asked, "id": name}))
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
