"""Grading one submission from the command line: early results, the canary, the table, the exit status."""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from autograder.homeworks import NoHomework
from autograder.intake import uploads
from autograder.intake.chosen import Asked
from autograder.sandbox import confine
from autograder.sandbox.host import canary, room
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import scratch
from autograder.text import shown

if TYPE_CHECKING:
    from rich.text import Text

    from autograder.core import Assignment, Result
    from autograder.intake.chosen import Chosen
    from autograder.intake.settings import PointsTally
    from autograder.message import Message

ROOT = Path(__file__).resolve().parents[2]
GRADESCOPE = Path("/autograder")
METADATA = GRADESCOPE / "submission_metadata.json"
GRADED, NOT_GRADABLE, OUR_FAULT, STOPPED = 0, 2, 3, 130
NARROW = 50
"""Columns of a terminal in which a table leaves no room for sentences: there they stand below each other."""
BRIEF = 80
"""Characters of an answer for a person that the table shows."""


def grade(
    path: Path | None,
    out: Path | None,
    homework: str,
    asked: Asked = Asked(),  # noqa: B008 (frozen)
    *,
    two: bool = True,
) -> int:
    """Grades `path` and writes results.json. Returns 0 graded, 2 cannot be graded, 3 a fault of ours, 130 for Ctrl-C.

    A file that can be replaced is there from the start and grows with each result, so that a kill leaves what was
    graded until then. Into a pipe or a device the result is written once, at the end. With `two` a notebook runs beside
    the other checks, where there is room for that.
    """
    started = time.monotonic()
    confine.shield()
    on_gradescope = path is None
    if path is None:
        path = GRADESCOPE / "submission"
        out = out or GRADESCOPE / "results" / "results.json"
        if not path.is_dir():
            print(
                "Which submission? Give a zip or a folder: ./run_autograder PATH\n(Without PATH, the command grades "
                f"{path}, the place that Gradescope uses.)",
                file=sys.stderr,
            )
            return NOT_GRADABLE
        _close_to_others()
    out = out or Path("results.json")
    # The zygote begins to import torch now, beside everything that the judge still has to do.
    with Sandbox(SandboxConfig(homework), runs=uploads.may_run(path)) as sandbox, _tidy() as workspace:
        if sys.stderr.isatty():
            sandbox.tell = _tell
        return _grade(path, out.absolute(), homework, asked, started, on_gradescope, two, sandbox, workspace)


def _grade(
    path: Path, out: Path, homework: str, asked: Asked, started: float, on_gradescope: bool, two: bool,
    sandbox: Sandbox, workspace: Path,
) -> int:  # fmt: skip
    from autograder import storage
    from autograder.core import CheckFailed
    from autograder.grade import Grading
    from autograder.intake import late, submission
    from autograder.intake.chosen import chosen
    from autograder.output import gradescope
    from autograder.sandbox.host.judging import Guarded, deepest

    try:
        own = chosen(homework, asked)
    except (CheckFailed, NoHomework) as fault:
        return _unusable(str(fault), out, on_gradescope)
    assignment, settings = own.assignment, own.settings
    results: list[Result] = []
    remarks: list[str] = []
    absent: tuple[str, ...] = ()
    isolation = ""
    handed_in = late.handed_in(METADATA) if settings is not None and on_gradescope else None

    unwritten: list[OSError] = []
    linked = out.is_symlink()  # one that comes later is not from whoever asked for the results

    def write(reason: str = "", *, last: bool = False) -> None:
        """In between a full disk is let pass: what was written before stays, and there may be room later."""
        spent = time.monotonic() - started
        content = gradescope.document(
            assignment, results, remarks=remarks, seconds=spent, isolation=isolation, reason=reason,
            leaderboard=own.leaderboard, absent=absent, settings=settings, handed_in=handed_in,
        )  # fmt: skip
        unwritten.clear()
        try:
            if last or storage.keeps_one(out):
                gradescope.write(out, content, links=linked)
        except OSError as error:
            unwritten.append(error)

    def lost() -> int:
        print(f"{out} cannot be written: {unwritten[0].strerror or unwritten[0]}.", file=sys.stderr)
        return OUR_FAULT

    def refuse(reason: str, status: int) -> int:
        write(reason, last=True)
        print(reason)
        if unwritten:
            return lost()
        print(f"Nothing could be graded. The reason is in {out}")
        return status

    write("The grading started but did not finish.")
    if unwritten:
        return lost()
    limit = settings.course.limits.submissions_a_day if settings is not None else None
    kept = late.beyond(limit, handed_in) if settings and limit and handed_in else None
    if settings is not None and kept is not None:
        try:
            gradescope.write(out, gradescope.standing(assignment, kept, settings))
        except OSError as error:
            unwritten.append(error)
            return lost()
        print(kept.told)
        return GRADED
    try:
        received = submission.receive(path, assignment, workspace, group=sandbox.uid)
        remarks += received.remarks
        absent = received.absent
        report = canary.inspect(sandbox, beside=assignment.reference, results=out.parent)
        isolation = report.line()
        if on_gradescope and not report.trustworthy:
            return refuse(
                "The grader's sandbox does not protect this machine, so nothing was graded: "
                + "; ".join(leak for leak in report.leaks.values() if leak)
                + ". This is not a fault of the submission. Course staff: please run the doctor.",
                OUR_FAULT,
            )
        write()
        sandbox.read(received)
        left = own.seconds - (time.monotonic() - started)
        judging = Guarded([check for question in assignment.questions for check in question.checks])
        beside = None
        if two and report.strong and sandbox.may_run_two and room.for_two():
            judging.start()
            beside = sandbox
        grading = Grading(sandbox, received, assignment, secret(), left, judging=judging, beside=beside)
        for result in grading.results():
            results.append(result)
            write()
        write(last=True)
    except KeyboardInterrupt:
        write("The grading was stopped before its end.", last=True)
        print(f"\nStopped. The results so far are in {out}", file=sys.stderr)
        return STOPPED
    except CheckFailed as fault:
        absent = assignment.graded if isinstance(fault, submission.Empty) else absent
        return refuse(str(fault), NOT_GRADABLE)
    except Exception as error:  # our bug: what was graded so far stays, the reason is told, the status says so
        print(f"{type(error).__name__} in the grader, {deepest(error)}: {error}", file=sys.stderr)
        return refuse(gradescope.OUR_FAULT, OUR_FAULT)
    stopped = gradescope.stopped(results)
    if stopped and on_gradescope:  # what is printed there is for the staff only
        print("For the staff, first: these checks had a problem.", *stopped, "", sep="\n")
    scores = {result.check.id: result.score for result in _there(results, absent)}
    tally = settings.tally(assignment, scores, handed_in or late.HandedIn()) if settings else None
    show(assignment, results, remarks, report, time.monotonic() - started, out, absent=absent, tally=tally)
    logged = gradescope.logs(results)
    if logged and on_gradescope:
        print(f"\nWhat the submission printed (for the staff only):\n{logged}")
    if stopped and not on_gradescope:
        print("\nFor the staff: these checks had a problem.", *stopped, sep="\n")
    if unwritten:
        return lost()
    return OUR_FAULT if stopped else GRADED


def _unusable(reason: str, out: Path, on_gradescope: bool) -> int:
    """Tells that settings or a part cannot be used; on Gradescope in the result, too, where nobody reads stderr."""
    print(reason, file=sys.stderr)
    if not on_gradescope:
        return NOT_GRADABLE
    from autograder.output import gradescope

    told = "The homework or the course's settings have a fault, so nothing was graded. Please tell the course staff."
    staffs = {"stdout_visibility": "hidden", "extra_data": {"for_the_staff": [reason]}}
    gradescope.write(out, {"score": 0.0, "output": told, **staffs})
    print(reason)
    return OUR_FAULT


def _tell(line: str) -> None:
    """Shows how far a notebook's run has come, on one line of the terminal that the next one takes."""
    print(f"\r\033[Krunning the notebook: {line}", end="\r", file=sys.stderr, flush=True)


def secret() -> bytes:
    """The key of all seeds, made once by setup.sh for this machine; empty where there is none."""
    try:
        return Path(sys.prefix, "secret").read_bytes()
    except OSError:
        return b""


SHARED = tuple(map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")))


def _close_to_others() -> None:
    """On Gradescope's machine, where all is ours: other users cannot enter our folder or read who submits.

    Nor can they leave files in the shared folders, which Landlock would prevent where the kernel has it.
    """
    places = [(ROOT, 0o700), (GRADESCOPE / "submission", 0o700), (GRADESCOPE / "results", 0o755)]
    for place, mode in (*places, *((folder, 0o1755) for folder in SHARED)):
        if os.geteuid() == 0 and place.is_dir():
            place.chmod(mode)
    if os.geteuid() == 0 and METADATA.is_file():
        METADATA.chmod(0o600)


@contextmanager
def _tidy() -> Iterator[Path]:
    """A folder for the submission that workers can reach, removed at the end, also when we are told to stop."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with scratch() as folder:
            yield folder / "workspace"
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------------------------ for people's eyes


def show(
    assignment: Assignment,
    results: list[Result],
    remarks: list[str],
    report: canary.Report,
    seconds: float,
    out: Path,
    *,
    absent: Collection[str] = (),
    tally: PointsTally | None = None,
) -> None:
    """The table: every check, what it gave, and for what was lost the sentence that says why."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from autograder.output import streams
    from autograder.output.gradescope import missing_line
    from autograder.text import clean

    console = Console(highlight=False, soft_wrap=False)
    narrow = console.width < NARROW
    right, wrong, for_people = "✓✗·" if streams.can_show("✓✗·") else "+x."
    there = _there(results, absent)
    for question in assignment.questions:
        missing = question.missing(absent)
        own = [result for result in there if result.question == question]
        score = sum(result.score for result in own)
        kind = " (optional)" if question.optional else ""
        title = f"Question {question.number}: {question.title}{kind}   {shown(score)} of {shown(question.points)}"
        console.print(Text(title, style="bold"), soft_wrap=True)
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(justify="left", no_wrap=True)
        table.add_column(justify="right", no_wrap=True, style="dim")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=1)
        if missing:
            told = Text(missing_line(question, missing), style="red")
            if narrow:
                console.print(Text(f"{wrong} {question.number}", style="red"), told, sep="\n")
            else:
                table.add_row(Text(wrong, style="red"), str(question.number), "", told)
        said: dict[str, str] = {}  # a message that several checks share is read once
        for group in _alike(own):
            result = group[0]
            full, ours = result.verdict.score == 1, result.status in ("grader error", "unjudgeable")
            mark, style = ("?", "yellow") if ours else (right, "green") if full else (wrong, "red")
            words = Text("; ".join(each.check.name for each in group))
            number = result.number if len(group) == 1 else f"{result.number}-{group[-1].number.partition('.')[2]}"
            scored, most = (sum(values) for values in zip(*((r.score, r.check.points) for r in group), strict=True))
            points = f"{shown(scored)}/{shown(most)}"
            if result.check.manual and not ours:
                mark, style, points = for_people, "dim", ""
                words.append(f"\nfor manual grading: {clean(result.verdict.message, limit=BRIEF, line=True)}", style)
            elif not full or ours:
                first = said.setdefault(result.verdict.message, result.number)
                if first != result.number:
                    words.append(f"\nSee {first} for the same message.", style=style)
                else:
                    _add(words, result.told, style)
            elif result.told.pace:
                words.append(f"\n{result.told.pace}", style="yellow")
            if narrow:
                console.print(Text(f"{mark} {number} {points}".rstrip(), style=style))
                console.print(words)
            else:
                table.add_row(Text(mark, style=style), number, points, words)
        if not narrow:
            console.print(table)
    for remark in remarks:
        console.print(Text(f"note: {remark}", style="yellow"))
    console.print(Text(f"\n{_sums(assignment, there, tally)} in {seconds:.1f} s, written to {out}", style="bold"))
    for line in _course_lines(assignment, tally) if tally else ():
        console.print(Text(line, style="bold"))
    console.print(Text(report.line(), style="dim" if report.strong else "yellow"), soft_wrap=True)
    if not report.strong:
        console.print(
            Text(
                "Run `python3 -m autograder doctor` to see what that means and how to fix it.",
                style="yellow",
            )
        )


def _add(words: Text, message: Message, style: str) -> None:
    """Puts a message below the name of its check, a line for each part."""
    words.append(f"\n{message.seen}", style=style)
    for call in message.calls:
        words.append(f"\n  {call.line}", style="dim")
    for label, part in message.labelled:
        words.append(f"\n{label}{part}", style=style if label else "yellow")


def _there(results: Iterable[Result], absent: Collection[str]) -> list[Result]:
    """The results of checks whose files are there; the others have no points, whatever became of them."""
    return [result for result in results if result.check not in result.question.missing(absent)]


def _sums(assignment: Assignment, results: list[Result], tally: PointsTally | None) -> str:
    """78 of 100, and 24 of 25 optional points."""
    kinds = [sum(result.score for result in results if result.question.optional == kind) for kind in (False, True)]
    required, optional = (tally.required, tally.optional) if tally else kinds
    extra = f", and {shown(optional)} of {shown(assignment.extra)} optional" if assignment.extra else ""
    return f"{shown(required)} of {shown(assignment.points)}{extra} points"


def _course_lines(assignment: Assignment, tally: PointsTally) -> Iterator[str]:
    """What the course's settings made of the points."""
    if assignment.extra and tally.counted != tally.optional:
        yield f"{shown(tally.counted)} of the {shown(tally.optional)} optional points count."
    if tally.lateness is not None and tally.lateness.by:
        yield f"{tally.lateness.told} Before: {shown(tally.before)}. Now: {shown(tally.score)}."


def _alike(results: list[Result]) -> list[list[Result]]:
    """Neighbours that failed with one and the same message together: they are one row of the table."""
    groups: list[list[Result]] = []
    for result in results:
        last = groups[-1][0] if groups else None
        lost = result.verdict.score < 1 and not result.check.manual
        if lost and last is not None and not last.check.manual and last.verdict.message == result.verdict.message:
            groups[-1].append(result)
        else:
            groups.append([result])
    return groups


def doctor(homework: str, asked: Asked = Asked()) -> int:  # noqa: B008 (frozen)
    """Tries the sandbox and tells what it holds, on which machine, and what to do about each weakness.

    And which settings of the course are in force. Returns 0, 1 where scores can be forged, 2 for unusable settings.
    """
    from autograder.core import CheckFailed
    from autograder.intake.chosen import chosen

    confine.shield()
    try:
        own = chosen(homework, asked)
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
        return NOT_GRADABLE
    assignment = own.assignment
    print("Trying the sandbox with code that attacks it. This takes some seconds.", flush=True)
    with Sandbox(SandboxConfig(homework)) as sandbox, tempfile.TemporaryDirectory() as results:
        try:
            report = canary.inspect(sandbox, beside=assignment.reference, results=Path(results))
        except RuntimeError as error:
            print(f"No worker could be started, so nothing can be graded here: {error}")
            return OUR_FAULT
    print(report.line())
    for aspect in canary.ASPECTS:
        leak = report.leaks[aspect]
        print(f"  {aspect:<10}{'OPEN   ' if leak else 'BLOCKED'}  students' code tried to {canary.MEANING[aspect]}")
        if leak:
            print(f"{'':22}it {leak}\n{'':22}what helps: {canary.ADVICE[aspect]}")
    bound = f"{assignment.alpha:.1e} for one attempt (a fail needs two)"
    print(f"false-fail bound of all checks together: {bound}")
    for name, version in _versions().items():
        print(f"  {name:<14}{version}")
    print(*in_force(own), sep="\n")
    if not report.trustworthy:
        print("A determined student could forge scores on this machine. Gradescope would refuse to grade.")
    return 0 if report.trustworthy else 1


def in_force(own: Chosen) -> list[str]:
    """Which part is graded, by which settings of the course, and what the staff should know about these."""
    if own.settings is None:
        part = (
            f"the part {', '.join(own.only)}: {shown(own.assignment.points)} points"
            if own.only
            else "the whole homework"
        )
        return [f"course settings: no course.toml, so the homework's own settings count; graded is {part}"]
    from autograder.intake import course_command

    lines = [f"course settings: {own.settings.name}, digest {own.settings.digest}"]
    lines += [f"  {line}" for line in course_command.described(own.settings, own.assignment)]
    lines += [f"  only this part: {', '.join(own.only)}"] if own.only else []
    minded = [*own.settings.warnings(own.assignment), *course_command.shadowed(own.settings.name, own.unread)]
    return lines + [f"  note: {line}" for line in minded]


def _versions() -> dict[str, Any]:
    from importlib import metadata

    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    for name in ("torch", "numpy", "scipy", "pyseccomp", "landlockpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["user"] = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    found["environment"] = sys.prefix
    return found
