"""Measures what grading a class costs, beside otter-grader and beside no sandbox at all: `bench --class [N]`.

The class is made of our own right and wrong solutions. The same checks of the same uploads are carried out three
ways: by the `class` command; by otter-grader, whose test cases call our checks in its own process; and by a process
that forks for every upload and grades it in the fork, unconfined, which is the floor. The ways must agree on every
check, so that none is fast because it does less.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autograder.audit import bank, bench, casefiles, documents, figures, homework, progress
from autograder.audit.figures import Figure
from autograder.audit.inprocess import InProcess
from autograder.audit.solutions import applied
from autograder.classroom import jobs
from autograder.core import Assignment, CheckFailed
from autograder.grade import Grading
from autograder.intake import submission
from autograder.output import terminal
from autograder.sandbox import protocol
from autograder.sandbox.guest import zygote

OTTER = "otter-grader==7.0.0"
OTTERS = 8.0
"""How many times our CPU time otter-grader's must at least be."""
FLOORS = 2.0
"""How many times the floor's CPU time ours may be."""
SPEED = 1.7
"""How many times as fast two processes must be, on two cores that nobody else uses."""
GROWTH = 1.05
"""How many times its peak after a tenth of the class a process's memory may reach: a late upload can be the largest."""

Verdicts = Mapping[str, frozenset[str]]
"""The ids of the checks that an upload passed, by the upload's name."""


COMMAND = "bench --class --write"
"""What a document's markers call the figures."""


def run(
    package: str, number: int, *, sample: int = 10, write_to: Path | bool | None = None, anyway: bool = False
) -> int:
    """Prints the table for a class of `number`, of which otter grades `sample`. Returns 1 if a promise is missed, 2
    where nothing is measured: on a busy machine, too, but `anyway`.

    With `write_to` the table also goes into that document, or into the homework's own (True).
    """
    if number < 1:
        print(f"--class {number} is no class. Expected: at least one submission.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    load, whole = os.getloadavg()[0], homework.load(package)
    if told := figures.busy(load, anyway=anyway):
        print(told, file=sys.stderr)
        if not anyway:
            return 2
    try:
        document = figures.document(whole, write_to, COMMAND)
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="class-") as name:
        found = figures.shown(_figures(package, whole, Path(name), number, sample, load))
    if document is not None:
        documents.write(document, COMMAND, figures.markdown(whole, found, quick=False, load=load))
        beside = figures.save(document, COMMAND, whole, found, load=load, quick=False)
        print(f"The table is in {document}, and as JSON in {beside}.")
    print(*figures.looks(found), sep="\n", file=sys.stderr, end="\n" if not figures.kept(found) else "")
    return 0 if figures.kept(found) else 1


def _figures(package: str, whole: Assignment, folder: Path, number: int, sample: int, load: float) -> Iterator[Figure]:
    """Every figure of a class of `number`, in `folder`."""
    assignment = jobs.narrowed(whole, runs=False)
    assignment = bank.only(assignment, {c.id for q in assignment.questions for c in q.checks if not c.manual})
    uploads = folder / "uploads"
    _hand_in(whole, number, uploads)
    checks = sum(len(question.checks) for question in assignment.questions)
    print(f"A class of {number}, {checks} checks each, on {os.cpu_count()} cores with a load of {load:.1f} before.")
    one = _class(uploads, folder / "one", package, 1)
    yield Figure(f"CPU of a submission of a class of {number}, --jobs 1 --no-runs", f"{one.each:.2f} s")
    yield from _beside_otter(folder, package, assignment, sorted(uploads.iterdir())[:sample], one)  # while it is new
    floor = _floor(uploads, package)
    times = one.cpu / floor.cpu
    detail = f"{times:.2f} times ({one.each:.2f} / {floor.each:.2f} s)"
    yield Figure(
        "beside forks without a sandbox", detail, f"at most {FLOORS:g} times", times <= FLOORS, look=bench.PROFILE
    )
    yield _agree("the forks'", floor.passed, one.passed)
    yield _grows(one)
    yield _faster(one, _class(uploads, folder / "two", package, 2), load)


def _hand_in(assignment: Assignment, number: int, folder: Path) -> None:
    """Writes the uploads: of every question a solution drawn from our bank, right and wrong ones equally often.

    The first ones are the same for every `number`, so they are a sample of all.
    """
    bank = casefiles.bank_of(assignment)
    drawn = random.Random(0)
    for index in range(number):
        upload = folder / f"{index:04}"
        shutil.copytree(assignment.reference, upload, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for question in assignment.questions:
            known = [each for each in drawn.choice((bank.right, bank.wrong)) if each.file in question.files]
            if not known:  # a question of answers alone
                continue
            solution = drawn.choice(known)
            text = applied(solution, (assignment.reference / solution.file).read_text())
            (upload / solution.file).write_bytes(text.encode())


@contextmanager
def _started(program: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that ends when we do: it would go on grading for half an hour."""
    with subprocess.Popen(program, **options) as process:
        try:
            yield process
        finally:
            process.terminate()  # nothing, where it was waited for


def _cpu() -> float:
    """CPU seconds of all processes that were waited for, by us or by one that we waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _agree(name: str, theirs: Verdicts, ours: Verdicts) -> Figure:
    """Whether the uploads that were graded in another way passed the same checks there."""
    differ = sum(len(passed ^ ours[upload]) for upload, passed in theirs.items())
    return Figure(f"  verdicts unlike {name}, {len(theirs)} submissions", f"{differ}", "0", differ == 0)


# -------------------------------------------------------------------------------------------- ours


class MemorySample(NamedTuple):
    """How many uploads are graded, and the peak of resident memory of every process that is alive, in bytes."""

    graded: int
    peaks: Mapping[int, int]


@dataclass(frozen=True)
class ClassRun:
    """A class graded in one way: CPU and wall seconds, the verdicts, and what was seen of our processes meanwhile."""

    cpu: float
    passed: Verdicts
    wall: float = 0.0
    looks: Sequence[MemorySample] = ()

    @property
    def each(self) -> float:
        """CPU seconds for a submission, start and end of the whole run included."""
        return self.cpu / len(self.passed)


def _class(uploads: Path, out: Path, package: str, processes: int) -> ClassRun:
    """By the `class` command, process start to report."""
    program = [sys.executable, "-I", str(bench.ROOT / "autograder" / "__main__.py"), "class", str(uploads)]
    program += ["--out", str(out), "--homework", package, "--jobs", str(processes), "--no-runs"]
    number, looks = len(list(uploads.iterdir())), []
    before, started = _cpu(), time.perf_counter()
    nowhere = subprocess.DEVNULL
    running = _started(program, env=bench.CLEAN, stdout=nowhere, stderr=nowhere)
    with progress.shown(f"class, --jobs {processes}") as tell, running as process:
        while process.poll() is None:
            peaks = {pid: _peak(pid) for pid in bench.tree(process.pid)}
            looks.append(MemorySample(len(list(out.glob("results/*.json"))), peaks))
            tell(looks[-1].graded, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
    wall, cpu = time.perf_counter() - started, _cpu() - before
    if process.returncode:
        raise RuntimeError(f"{' '.join(program)} ended with {process.returncode}.")
    passed = {}
    for file in out.glob("results/*.json"):
        tests = json.loads(file.read_bytes())["tests"]
        passed[file.stem] = frozenset(test["extra_data"]["check"] for test in tests if test.get("status") == "passed")
    return ClassRun(cpu, passed, wall, looks)


def _peak(pid: int) -> int:
    """The most memory that the process has had resident, in bytes; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _grows(ours: ClassRun) -> Figure:
    """Peaks of the processes that live throughout: the command's, multiprocessing's tracker, the job's, its zygote."""
    number = len(ours.passed)
    under_way = [look for look in ours.looks if number / 10 <= look.graded < number] or ours.looks
    first, last = under_way[0].peaks, under_way[-1].peaks
    stayed = [pid for pid in first if pid in last]
    kept = all(last[pid] <= GROWTH * first[pid] for pid in stayed)
    early, late = ("+".join(f"{peaks[pid] / 1024**2:.0f}" for pid in stayed) for peaks in (first, last))
    name = "peak memory after a tenth, at the end (MB)"
    return Figure(name, f"{early}, {late}", f"at most {GROWTH - 1:.0%} more", kept)


def _faster(one: ClassRun, two: ClassRun, load: float) -> Figure:
    name = f"two processes against one ({os.cpu_count()} cores, load {load:.1f})"
    detail = f"{one.wall / two.wall:.2f} times ({one.wall:.0f} / {two.wall:.0f} s)"
    return Figure(name, detail, f"at least {SPEED:g} times when idle", one.wall / two.wall >= SPEED)


# ----------------------------------------------------------------------------------------- the floor


def _floor(uploads: Path, package: str) -> ClassRun:
    """By forks of a process that imported everything once."""
    call = f"from {__name__} import fork_each; fork_each({str(uploads)!r}, {package!r})"
    before, number = _cpu(), len(list(uploads.iterdir()))
    lines = _lines([sys.executable, "-c", call], {**protocol.ENVIRONMENT, "TMPDIR": str(uploads.parent)})
    passed = {}
    with progress.shown("forks") as tell:
        for line in lines:
            passed[line["upload"]] = frozenset(line["passed"])
            tell(len(passed), number)
    return ClassRun(_cpu() - before, passed)


def fork_each(uploads: str, package: str) -> None:
    """The floor's own process: grades every upload in a fork of itself and prints a line of JSON for it."""
    assignment = homework.load(package)  # before the zygote leaves the judges out
    assignment = jobs.narrowed(assignment, runs=False)
    zygote.warm(assignment.probes)
    _passed(assignment.reference, assignment)  # imports what is imported late, so that no fork has to
    zygote.warm_for_notebooks()
    for upload in sorted(Path(uploads).iterdir()):
        if (pid := os.fork()) == 0:
            passed = _passed(upload, assignment)
            print(json.dumps({"upload": upload.name, "passed": passed}), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)


def _passed(upload: Path, assignment: Assignment) -> list[str]:
    """The ids of the checks that the upload passes in this very process."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder, "workspace")
        workspace.mkdir()
        received = submission.receive(upload, assignment, workspace)
        results = Grading(InProcess(assignment.probes), received, assignment, terminal.secret()).results()
        return [result.check.id for result in results if result.verdict.score == 1 and not result.check.manual]


def _lines(program: list[str], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What the program prints, line by line, each an object of JSON. Raises with its last words if it fails."""
    with tempfile.TemporaryFile("w+") as errors:
        pipe = subprocess.PIPE
        with _started(program, env=environment, cwd=bench.ROOT, stdout=pipe, stderr=errors, text=True) as process:
            assert process.stdout is not None
            yield from map(json.loads, process.stdout)
            process.wait()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{program[0]} ended with {process.returncode}:\n{errors.read()[-2000:]}")


# --------------------------------------------------------------------------------------------- otter

CASES = '''"""What this assignment's test cases call: a check of ours, asked and judged in otter's process."""
import json
from pathlib import Path

from autograder import homeworks
from autograder.audit.inprocess import InProcess
from autograder.core import Submission
from autograder.grade import Grading

HERE = Path(__file__).parent
TOLD = json.loads((HERE / "told.json").read_text())
ASSIGNMENT = homeworks.load(TOLD["homework"])
CHECKS = {check.id: (question, check) for question in ASSIGNMENT.questions for check in question.checks}
RECEIVED = Submission(HERE / "workspace", TOLD["digest"])
GRADING = Grading(InProcess(ASSIGNMENT.probes), RECEIVED, ASSIGNMENT, bytes.fromhex(TOLD["secret"]))


def passes(check):
    return GRADING.check(*CHECKS[check]).verdict.score == 1
'''
"""One process for probe and judge costs otter half a second of question 1 that is not its own: nltk, which ROUGE needs,
imports more of scipy where the judge has imported that before."""
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "source": "from cases import passes",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "id": "cases",
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
"""What otter runs: nothing of the student's, since our probes take the graded functions out of the files themselves."""
TOGETHER = "together"
"""The assignment that holds every question; the others are named by their question."""


def _beside_otter(
    folder: Path, package: str, assignment: Assignment, uploads: Sequence[Path], ours: ClassRun
) -> Iterator[Figure]:
    """The uploads by otter, with an assignment for each question and with one for all; kept where it cannot be had."""
    python = _environment(folder / "environment")
    if python is None:
        yield Figure(f"{OTTER}, an assignment a question", "cannot be installed here", f"at least {OTTERS:g} times")
        return
    _write(folder / "otter", package, assignment, uploads)
    call = f"from {__name__} import grade_with_otter; grade_with_otter({str(folder / 'otter')!r})"
    places = {"HOME": str(folder), "TMPDIR": str(folder)}
    cpu = {"apart": 0.0, TOGETHER: 0.0}
    passed = {way: {upload.name: frozenset[str]() for upload in uploads} for way in cpu}
    gradings, done = len(uploads) * (len(assignment.questions) + 1), 0
    with progress.shown("otter") as tell:
        for line in _lines([str(python), "-c", call], {**bench.CLEAN, **places}):
            way = TOGETHER if line["assignment"] == TOGETHER else "apart"
            cpu[way] += line["cpu"]
            passed[way][line["upload"]] |= frozenset(line["passed"])
            tell(done := done + 1, gradings)
    apart, together = (cpu[way] / len(uploads) for way in cpu)
    times, most = apart / ours.each, f"at least {OTTERS:g} times"
    yield Figure(
        f"{OTTER}, an assignment a question",
        f"{times:.1f} times ({apart:.2f} / {ours.each:.2f} s)",
        most,
        times >= OTTERS,
    )
    yield Figure("  all questions in one", f"{together / ours.each:.1f} times ({together:.2f} s)")
    for way in cpu:
        yield _agree(f"otter's {way}", passed[way], ours.passed)


def _environment(place: Path) -> Path | None:
    """The interpreter of a new environment with otter, where our packages stand behind its own; None without one."""
    program = [str(place / "bin" / "python"), "-m", "pip", "install", "-qq", OTTER]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run(program, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    torch = importlib.util.find_spec("torch")
    assert torch is not None and torch.origin is not None
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "zz-ours.pth").write_text(f"{Path(torch.origin).parents[1]}\n{bench.ROOT}\n")
    return place / "bin" / "python"


def _write(folder: Path, package: str, assignment: Assignment, uploads: Sequence[Path]) -> None:
    """Writes assignments as `otter generate` reads them, and every upload as a zip with a notebook, received by us.

    One test file for each question and one case for each check, in otter's own format; `cases.py` is a support file.
    """
    for question in assignment.questions:
        cases = [{"code": f">>> passes({check.id!r})\nTrue", "name": check.id} for check in question.checks]
        suite = {"type": "doctest", "setup": "", "teardown": "", "scored": True, "cases": cases}
        test = {"name": question.id, "points": None, "suites": [suite]}
        for place in (folder / "assignments" / question.id, folder / "assignments" / TOGETHER):
            (place / "tests").mkdir(parents=True, exist_ok=True)
            (place / "tests" / f"{question.id}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
            (place / "cases.py").write_text(CASES)
    for upload in uploads:
        packed = folder / "packed" / upload.name
        (packed / "workspace").mkdir(parents=True)
        digest = submission.receive(upload, assignment, packed / "workspace").digest
        told = {"homework": package, "digest": digest, "secret": terminal.secret().hex()}
        (packed / "told.json").write_text(json.dumps(told))
        (packed / "homework.ipynb").write_text(json.dumps(NOTEBOOK))
        shutil.make_archive(str(folder / "uploads" / upload.name), "zip", packed)


def grade_with_otter(place: str) -> None:
    """otter's own process: grades every upload by its API and prints a line of JSON for each grading.

    CPU seconds are those of the grading and the kernel that it starts. Importing otter and the first grading, which
    imports more, are not counted.
    """
    from otter.api import grade_submission  # type: ignore[import-not-found]
    from otter.generate import main as generate  # type: ignore[import-not-found]

    def spent() -> float:
        return time.process_time() + _cpu()

    told = os.fdopen(os.dup(1), "w")  # the kernels print to standard output, too
    os.dup2(2, 1)
    assignments = sorted(Path(place, "assignments").iterdir())
    for assignment in assignments:
        os.chdir(assignment)
        generate(tests_dir="tests", files=["cases.py"])
    uploads = sorted(Path(place, "uploads").iterdir())
    grade_submission(str(uploads[0]), str(assignments[0] / "autograder.zip"), quiet=True)
    for upload in uploads:
        for assignment in assignments:
            before = spent()
            graded = grade_submission(str(upload), str(assignment / "autograder.zip"), quiet=True)
            results = [result for test in graded.results.values() for result in test.test_case_results]
            line = {
                "assignment": assignment.name,
                "upload": upload.stem,
                "cpu": spent() - before,
                "passed": [result.test_case.name for result in results if result.passed],
            }
            print(json.dumps(line), file=told, flush=True)
