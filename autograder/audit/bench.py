"""Measures what a homework's grading costs, and grades its whole bank: `python -m autograder bench`."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, documents, figures, homework, parallel, progress
from autograder.audit.figures import Figure
from autograder.audit.homework import Promised
from autograder.audit.journal import Journal, Key
from autograder.audit.solutions import CaseError, Solution
from autograder.core import Assignment, Check, CheckFailed, Question
from autograder.grade import Grading
from autograder.intake import submission
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.storage import alone

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "HOME": "/"}
MEMORY_LIMIT = 600 * 1024**2
PROFILE = "`python3 -m autograder bench --profile` says where the CPU goes, by phase and request."
COMMAND, ONE_QUESTION = "bench --write", "bench --question {} --write"
"""What a document's markers call the figures."""


def run(
    package: str,
    *,
    quick: bool,
    question: str = "",
    times: int = 0,
    out: Path | None = None,
    write_to: Path | bool | None = None,
    anyway: bool = False,
) -> int:
    """Prints the table. Returns 1 if a figure that we promise is missed, 2 where nothing can be measured.

    With `question` only the bank of that question is graded; every wrong solution `times` times. Gradings of the bank
    are kept in `out`, where it is given: a run that was stopped goes on from there. With `write_to` the table also goes
    into that document, or into the homework's own (True), and as JSON beside it. On a busy machine nothing is measured,
    but `anyway`; the bank alone says the same on any machine.
    """
    assignment, load = homework.load(package), os.getloadavg()[0]
    if not question and (told := figures.busy(load, anyway=anyway)):
        print(told, file=sys.stderr)
        if not anyway:
            return 2
    if question not in ("", *(one.id for one in assignment.questions)):
        known = ", ".join(one.id for one in assignment.questions)
        print(f"There is no question {question}; there are: {known}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        place, command = out or Path(folder), ONE_QUESTION.format(question) if question else COMMAND
        try:
            document = figures.document(assignment, write_to, command)
            with alone(place):
                journal = Journal(place / "bench.jsonl")
                print(f"Measuring on {os.cpu_count()} cores with a load of {load:.1f} before.", flush=True)
                found = figures.shown(_figures(package, assignment, quick, question, times, journal))
        except (CheckFailed, CaseError) as fault:
            print(fault, file=sys.stderr)
            return 2
    if not found:
        print(f"{question} lacks right or wrong solutions; docs/solutions.md says how to write them.", file=sys.stderr)
        return 2
    if document is not None:
        table = figures.markdown(assignment, found, quick=quick, load=load, timed=not question)
        documents.write(document, command, table)
        beside = figures.save(document, command, assignment, found, load=load, quick=quick)
        print(f"The table is in {document}, and as JSON in {beside}.")
    print(*figures.looks(found), sep="\n", file=sys.stderr, end="\n" if not figures.kept(found) else "")
    return 0 if figures.kept(found) else 1


def _figures(
    package: str, assignment: Assignment, quick: bool, question: str, times: int, journal: Journal
) -> Iterator[Figure]:
    """Every figure of the homework, or those of one question's bank; what the homework lacks is left out."""
    promised = homework.of(assignment).promised
    if not question:
        yield _start(package, assignment, promised, 3 if quick else 9)
        for one in assignment.questions:
            if _drawn(one):
                yield _functions(one, assignment, promised, 8 if quick else 20)
        if any(
            check.request.deterministic and not check.request.collector
            for one in assignment.questions
            for check in one.checks
        ):
            yield _deterministic(assignment, promised, 4 if quick else 10)
        yield _whole(package, assignment, promised)
        for one in assignment.questions:
            if _runs(one):
                yield _notebook(one, assignment, promised)
        yield _memory(package, assignment)
        yield _limited(package, assignment)
    files = {file for one in assignment.questions if question in ("", one.id) for file in one.files}
    known = casefiles.bank_of(assignment)
    right, wrong = ([one for one in kind if one.file in files] for kind in (known.right, known.wrong))
    for kind, some in (("right", right), ("wrong", wrong)):
        if not some and not question:
            yield Figure(f"{kind} solutions", "the homework has none")
    if right:
        number = promised.right_gradings.get(question, promised.usual_gradings)
        yield from _right(package, assignment, right, 1 if quick else -(-number // len(right)), journal)
    if wrong:
        yield from _wrong(package, assignment, wrong, times or (1 if quick else 200), journal)


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=CLEAN, cwd="/", check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _grade(package: str, upload: Path, folder: str) -> list[str]:
    """The command that grades an upload, as run_autograder starts it."""
    program = [sys.executable, "-I", str(ROOT / "autograder" / "__main__.py"), "grade", "--homework", package]
    return [*program, str(upload), "--out", f"{folder}/results.json"]


def _start(package: str, assignment: Assignment, promised: Promised, repetitions: int) -> Figure:
    """One submission from process start to results.json, beside a bare `import torch`; medians, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder, "upload")
        copytree(assignment.reference / promised.typical, upload / promised.typical)
        grade = _grade(package, upload, folder)
        bare = [sys.executable, "-I", "-c", "import torch"]
        pairs = [(_seconds(grade), _seconds(bare)) for _ in range(repetitions + 1)][1:]
    name = f"one submission{' of ' + promised.typical if promised.typical else ''}, above `import torch`"
    return figures.median(name, [ours - torch for ours, torch in pairs], promised.start, look=PROFILE)


def _cpu() -> float:
    """CPU seconds of this process and of all children that it has waited for."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def _zygote_cpu(sandbox: Sandbox) -> float:
    """CPU seconds of the zygote and of the workers that it has reaped."""
    fields = Path(f"/proc/{sandbox.zygote_pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _runs(question: Question) -> list[Check]:
    """The question's checks of a notebook's whole run."""
    return [check for check in question.checks if check.request.collector]


def _drawn(question: Question) -> tuple[Check, ...]:
    """The question's checks of single functions with drawn inputs: what trains a network or reads a file is not."""
    return tuple(check for check in question.checks if not check.request.deterministic)


def _functions(question: Question, assignment: Assignment, promised: Promised, number: int) -> Figure:
    """The functions of one question."""
    samples = _each(replace(assignment, questions=(replace(question, checks=_drawn(question)),)), number)
    name = f"functions of question {question.number} ({question.title}), CPU each of {number}"
    most = promised.functions.get(question.id, promised.usual)
    return figures.median(name, samples, most, digits=3, look=PROFILE)


def _deterministic(assignment: Assignment, promised: Promised, number: int) -> Figure:
    """What needs neither a draw nor a kernel, of all questions: fixed problems, pictures, answers, logs."""
    kept = {c.id for q in assignment.questions for c in q.checks if c.request.deterministic and not c.request.collector}
    samples = _each(bank.only(assignment, kept), number)
    name = f"what draws nothing (fixed problems, files), CPU each of {number}"
    return figures.median(name, samples, promised.deterministic, digits=3, look=PROFILE)


def _each(assignment: Assignment, number: int) -> list[float]:
    """CPU seconds of judge, zygote and workers for each of many submissions in one process, after the first."""
    spent = []
    with Sandbox(SandboxConfig(assignment.probes)) as sandbox, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        before = _cpu() + _zygote_cpu(sandbox)
        for index in range(number + 1):
            workspace = Path(folder, str(index))
            workspace.mkdir()
            received = submission.receive(assignment.reference, assignment, workspace, group=sandbox.uid)
            sandbox.read(received)
            list(Grading(sandbox, replace(received, digest=f"{received.digest}{index}"), assignment).results())
            now = _cpu() + _zygote_cpu(sandbox)
            spent.append(now - before)
            before = now
    return spent[1:]


def _whole(package: str, assignment: Assignment, promised: Promised) -> Figure:
    """All questions, notebooks' runs and process start included, in one process on one core."""
    with tempfile.TemporaryDirectory() as folder:
        program = ["taskset", "-c", "0", *_grade(package, assignment.reference, folder)]
        before = _cpu()
        subprocess.run(program, env=CLEAN, cwd="/", check=True, stdout=subprocess.DEVNULL)
        spent = _cpu() - before
    name, most = "the reference, all questions and runs, CPU", promised.whole
    return Figure(name, f"{spent:.1f} s", f"at most {most:g} s", spent <= most)


def _notebook(question: Question, assignment: Assignment, promised: Promised) -> Figure:
    """A notebook's whole run without its training: what it costs beside the training itself, in CPU seconds."""
    assignment = replace(assignment, questions=(replace(question, checks=tuple(_runs(question))),))
    with Sandbox(SandboxConfig(assignment.probes)) as sandbox, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        upload, workspace = Path(folder, "upload"), Path(folder, "workspace")
        copytree(assignment.reference, upload, ignore=ignore_patterns("__pycache__", ".*"))
        for file in upload.glob("*.ipynb"):
            file.write_text(promised.shortened(file.read_text()))
        workspace.mkdir()
        received = submission.receive(upload, assignment, workspace, group=sandbox.uid)
        sandbox.ask(received, assignment.questions[0].checks[0].request, {}, seed=0, seconds=120)
        before = _cpu() + _zygote_cpu(sandbox)
        sandbox.ask(received, assignment.questions[0].checks[0].request, {}, seed=0, seconds=120)
        spent = _cpu() + _zygote_cpu(sandbox) - before
    name, most = f"notebook of question {question.number}, CPU above its training", promised.notebook
    return Figure(name, f"{spent:.2f} s", f"at most {most:g} s", 0 < spent <= most)


def _memory(package: str, assignment: Assignment) -> Figure:
    """Peak of the proportional set sizes of judge, zygote and workers together while one is graded."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            _grade(package, assignment.reference, folder), env=CLEAN, cwd="/", stdout=subprocess.DEVNULL
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, tree(process.pid))))
            time.sleep(0.005)
    name = "peak memory of everything together (PSS)"
    return Figure(name, f"{peak / 1024**2:.0f} MB", "below 600 MB", 0 < peak < MEMORY_LIMIT)


def _limited(package: str, assignment: Assignment) -> Figure:
    """One grading in a control group that may use 600 MB, page cache included. Needs root and cgroups."""
    name = "the reference, graded in a 600 MB control group"
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(top, f"autograder-bench-{os.getpid()}")
        try:
            group.mkdir()
            (group / limit).write_text(str(MEMORY_LIMIT))
        except OSError:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                inside = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
                program = ["sh", "-c", inside, str(group), *_grade(package, assignment.reference, folder)]
                subprocess.run(program, env=CLEAN, cwd="/", stdout=subprocess.DEVNULL)
                full = json.loads(Path(folder, "results.json").read_text())
        finally:
            time.sleep(0.2)  # a group can be removed when its last process is gone
            group.rmdir()
        most = sum(test.get("max_score", 0.0) for test in full["tests"])
        detail = f"{full['score']:g} of {most:g} points"
        return Figure(name, detail, "all points", full["score"] == most)
    return Figure(name, "no control group can be made here", "all points")


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    found, new = [root], [root]
    while new:
        parent = new.pop()
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        new += map(int, children)
        found += map(int, children)
    return found


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _right(
    package: str, assignment: Assignment, solutions: list[Solution], times: int, journal: Journal
) -> Iterator[Figure]:
    """Right solutions with fresh seeds: none may lose a point. Counts second attempts and tolerances used."""
    tallies = _tallies(package, assignment, "right", solutions, times, journal)
    gradings, bad = len(tallies) * times, [tally for tally in tallies if tally.surprises]
    for tally in bad:
        print(f"      {tally.solution} failed {', '.join(tally.checks)}")
    failures = sum(tally.surprises for tally in bad)
    used = max(tally.tolerance_used for tally in tallies)
    detail = f"{failures} of {gradings:,}, {sum(tally.second for tally in tallies)} second looks"
    yield Figure(f"{len(tallies)} right solutions, fresh seeds: failed", detail, "0", failures == 0)
    yield Figure("largest share of a rounding bound used by a right one", f"{used:.0%}", "at most 20 %", used <= 0.2)


def _wrong(
    package: str, assignment: Assignment, solutions: list[Solution], times: int, journal: Journal
) -> Iterator[Figure]:
    """Wrong solutions with fresh seeds: each must fail every check that it names, every time."""
    tallies = _tallies(package, assignment, "wrong", solutions, times, journal)
    for tally in tallies:
        if tally.surprises:
            print(f"      {tally.solution} passed {', '.join(tally.checks)}")
    missed, gradings = sum(tally.surprises for tally in tallies), len(tallies) * times
    name = f"{len(tallies)} wrong solutions, {times} times each: missed"
    yield Figure(name, f"{missed} of {gradings:,}", "0", missed == 0)


@dataclass(frozen=True)
class SolutionTally:
    """Many gradings of one solution: how often it surprised, in which checks, and how near it came."""

    solution: str
    surprises: int
    checks: Sequence[str]
    second: int
    tolerance_used: float


def _tallies(
    package: str, assignment: Assignment, kind: str, solutions: list[Solution], times: int, journal: Journal
) -> list[SolutionTally]:
    """One tally for each solution, on all cores, or from the journal."""
    grader = version.of(assignment)
    work: dict[Key, tuple[str, Solution, int]] = {
        (one.id, one.code, str(times), grader): (package, one, times) for one in solutions
    }
    with progress.shown(f"{kind} solutions") as tell:
        rows = parallel.kept(journal, _tally, work, os.cpu_count() or 1, tell)
    return [SolutionTally(**row) for row in rows]


def _tally(package: str, solution: Solution, times: int) -> dict[str, Any]:
    """The tally of many gradings, as plain values."""
    assignment = homework.load(package)
    whole = bank.terse(bank.of(assignment, solution))
    judged = bank.only(whole, solution.fails) if solution.fails else whole
    surprises = second = 0
    used, checks = 0.0, set()
    with bank.submitted(solution, judged) as received:
        for salt in range(times):
            if salt == 1:  # what is asked without drawing anything need not be asked again
                judged = bank.drawn(judged)
                if not judged.questions:
                    break
            outcome = bank.outcome(received, judged, salt=f"bench{salt}")
            here = {result.check.id for result in outcome.results}
            wrong = (set(solution.fails) & here) ^ outcome.failed
            surprises += bool(wrong)
            checks |= wrong
            second += sum(result.attempts - 1 for result in outcome.results)
            used = max([used, *(result.verdict.tolerance_used or 0.0 for result in outcome.results)])
    return asdict(SolutionTally(solution.id, surprises, sorted(checks), second, used))
