"""Measures the figures that the README states, on this machine and in one run: `python -m autograder bench`."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

from autograder import version
from autograder.audit import bank, casefiles, parallel
from autograder.audit.journal import Journal, Key
from autograder.audit.solutions import CaseError, Solution
from autograder.core import Assignment, Check, Question, Reject
from autograder.grade import Grading
from autograder.intake import submission
from autograder.sandbox.host.wall import Pool, Wall
from autograder.storage import alone

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "HOME": "/"}
MEMORY_LIMIT = 600 * 1024**2
RIGHT_GRADINGS = {"summarization": 500}
"""Gradings of a question's right solutions; of most questions 2,000. There is no luck in this one, and it is slow."""
CPU_LIMIT, CPU_LIMITS = 0.3, {"summarization": 2.0, "continual_learning": 1.0, "distributions": 0.5}
"""CPU seconds that a question's functions may take; some questions ask more of them than others."""


def run(homework: str, *, quick: bool, question: str = "", times: int = 0, out: Path | None = None) -> int:
    """Prints the table. Returns 1 if a figure that we promise is missed.

    With `question` only the bank of that question is graded; every wrong solution `times` times. Gradings of the bank
    are kept in `out`, where it is given: a run that was stopped goes on from there.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = out or Path(folder)
        try:
            with alone(place):
                return _run(homework, quick, question, times, Journal(place / "bench.jsonl"))
        except (Reject, CaseError) as fault:
            print(fault, file=sys.stderr)
            return 2


def _run(homework: str, quick: bool, question: str, times: int, journal: Journal) -> int:
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
    files = {file for one in assignment.questions if question in ("", one.id) for file in one.files}
    known = casefiles.bank_of(assignment)
    right, wrong = ([one for one in kind if one.file in files] for kind in (known.right, known.wrong))
    if not files:
        print(f"There is no question {question}; there are: {', '.join(one.id for one in assignment.questions)}.")
        return 2
    if not (right and wrong):
        print(f"{question or 'The homework'} lacks right or wrong solutions; docs/solutions.md says how to write them.")
        return 2
    rounds = times or (1 if quick else 200)
    repeated = 1 if quick else -(-RIGHT_GRADINGS.get(question, 2000) // len(right))
    if question:
        kept = _right(homework, right, repeated, journal)
        return 0 if _wrong(homework, wrong, rounds, journal) and kept else 1
    print(f"Measuring on {os.cpu_count()} cores; this takes {'about two minutes' if quick else 'about half an hour'}.")
    promises = [
        _latency(3 if quick else 9),
        *(_question(each, assignment, homework, 8 if quick else 20) for each in assignment.questions if _drawn(each)),
        _given(assignment, homework, 4 if quick else 10),
        _full(),
        *(_notebook(question, assignment, homework) for question in assignment.questions if _whole(question)),
        _memory(),
        _limited(),
        _right(homework, right, repeated, journal),
        _wrong(homework, wrong, rounds, journal),
    ]
    return 0 if all(promises) else 1


def line(name: str, measured: str, promised: str, kept: bool) -> bool:
    print(f"{'ok  ' if kept else 'MISS'}  {name:<56}{measured:<34}{promised}", flush=True)
    return kept


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=CLEAN, cwd="/", check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _grade(folder: str, upload: Path = ROOT / "reference") -> list[str]:
    """The command that grades the reference or another upload, as run_autograder starts it."""
    program = [sys.executable, "-I", str(ROOT / "autograder" / "__main__.py"), "grade"]
    return [*program, str(upload), "--out", f"{folder}/results.json"]


def _latency(repetitions: int) -> bool:
    """One submission from process start to results.json, beside a bare `import torch`; medians, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        copytree(ROOT / "reference" / "gan_vae", Path(folder, "upload", "gan_vae"))
        grade = _grade(folder, Path(folder, "upload"))
        bare = [sys.executable, "-I", "-c", "import torch"]
        pairs = [(_seconds(grade), _seconds(bare)) for _ in range(repetitions + 1)][1:]
    ours, torch = (sorted(times)[len(times) // 2] for times in zip(*pairs, strict=True))
    name = "one submission of gan_vae/, above `import torch`"
    return line(name, f"{ours - torch:.2f} s ({ours:.2f} - {torch:.2f})", "at most 1.0 s", ours - torch <= 1.0)


def _cpu() -> float:
    """CPU seconds of this process and of all children that it has waited for."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def _zygote_cpu(pool: Pool) -> float:
    """CPU seconds of the zygote and of the workers that it has reaped."""
    fields = Path(f"/proc/{pool.zygote_pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _whole(question: Question) -> list[Check]:
    """The question's checks of a notebook's whole run."""
    return [check for check in question.checks if check.ask.collector]


def _drawn(question: Question) -> tuple[Check, ...]:
    """The question's checks of single functions with drawn inputs: what trains a network or reads a file is not."""
    return tuple(check for check in question.checks if not check.ask.fixed)


def _question(question: Question, assignment: Assignment, homework: str, number: int) -> bool:
    """The functions of one question."""
    each = _each(replace(assignment, questions=(replace(question, checks=_drawn(question)),)), homework, number)
    name = f"functions of question {question.number} ({question.title}), CPU each of {number}"
    most = CPU_LIMITS.get(question.id, CPU_LIMIT)
    return line(name, f"{each:.3f} s", f"at most {most:g} s", each <= most)


def _given(assignment: Assignment, homework: str, number: int) -> bool:
    """What needs neither a draw nor a kernel, of all questions: fixed problems, pictures, answers, the log."""
    kept = {c.id for q in assignment.questions for c in q.checks if c.ask.fixed and not c.ask.collector}
    each = _each(bank.only(assignment, kept), homework, number)
    name = f"fixed problems, pictures, answers, log, CPU each of {number}"
    return line(name, f"{each:.3f} s", "at most 8 s", each <= 8)


def _each(assignment: Assignment, homework: str, number: int) -> float:
    """CPU seconds of judge, zygote and workers for each of many submissions in one process, after the first."""
    with Pool(Wall(homework)) as pool, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        before = 0.0
        for index in range(number + 1):
            box = Path(folder, str(index))
            box.mkdir()
            received = submission.receive(assignment.reference, assignment, box, group=pool.uid)
            pool.read(received)
            list(Grading(pool, replace(received, digest=f"{received.digest}{index}"), assignment).results())
            if index == 0:
                before = _cpu() + _zygote_cpu(pool)
        return (_cpu() + _zygote_cpu(pool) - before) / number


def _full() -> bool:
    """All seven questions, notebooks' runs and process start included, in one process on one core."""
    with tempfile.TemporaryDirectory() as folder:
        before = _cpu()
        subprocess.run(["taskset", "-c", "0", *_grade(folder)], env=CLEAN, check=True, stdout=subprocess.DEVNULL)
        spent = _cpu() - before
    return line("the reference, all questions and runs, CPU", f"{spent:.1f} s", "at most 40 s", spent <= 40)


def _notebook(question: Question, assignment: Assignment, homework: str) -> bool:
    """A notebook's whole run with a single training step: what it costs beside the training itself, in CPU seconds."""
    assignment = replace(assignment, questions=(replace(question, checks=tuple(_whole(question))),))
    with Pool(Wall(homework)) as pool, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        upload, box = Path(folder, "upload"), Path(folder, "box")
        copytree(assignment.reference, upload, ignore=ignore_patterns("__pycache__", ".*"))
        for file in upload.glob("*.ipynb"):
            file.write_text(re.sub(r"\biterations = \d+", "iterations = 1", file.read_text()))
        box.mkdir()
        received = submission.receive(upload, assignment, box, group=pool.uid)
        pool.ask(received, assignment.questions[0].checks[0].ask, {}, seed=0, seconds=120)
        before = _cpu() + _zygote_cpu(pool)
        pool.ask(received, assignment.questions[0].checks[0].ask, {}, seed=0, seconds=120)
        spent = _cpu() + _zygote_cpu(pool) - before
    name = f"notebook of question {question.number}, CPU above its training"
    return line(name, f"{spent:.2f} s", "at most 6 s", 0 < spent <= 6)


def _memory() -> bool:
    """Peak of the proportional set sizes of judge, zygote and workers together while one is graded."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(_grade(folder), env=CLEAN, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, tree(process.pid))))
            time.sleep(0.005)
    name = "peak memory of everything together (PSS)"
    return line(name, f"{peak / 1024**2:.0f} MB", "below 600 MB", 0 < peak < MEMORY_LIMIT)


def _limited() -> bool:
    """One grading in a control group that may use 600 MB, page cache included. Needs root and cgroups."""
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
                subprocess.run(["sh", "-c", inside, str(group), *_grade(folder)], env=CLEAN, stdout=subprocess.DEVNULL)
                full = json.loads(Path(folder, "results.json").read_text())
        finally:
            time.sleep(0.2)  # a group can be removed when its last process is gone
            group.rmdir()
        most = sum(test.get("max_score", 0.0) for test in full["tests"])
        detail = f"{full['score']:g} of {most:g} points"
        return line("the reference, graded in a 600 MB control group", detail, "all points", full["score"] == most)
    print("----  no control group can be made here, so no run under a memory limit is shown")
    return True


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


def _right(homework: str, solutions: list[Solution], times: int, journal: Journal) -> bool:
    """Right solutions with fresh seeds: none may lose a point. Counts second attempts and tolerances used."""
    tallies = _tallies(homework, "right", solutions, times, journal)
    gradings, bad = len(tallies) * times, [tally for tally in tallies if tally.surprises]
    for tally in bad:
        print(f"      {tally.solution} failed {', '.join(tally.checks)}")
    failures = sum(tally.surprises for tally in bad)
    used = max(tally.used for tally in tallies)
    detail = f"{failures} of {gradings:,}, {sum(tally.second for tally in tallies)} second looks"
    kept = line(f"{len(tallies)} right solutions, fresh seeds: failed", detail, "0", failures == 0)
    return (
        line("largest share of a rounding bound used by a right one", f"{used:.0%}", "at most 20 %", used <= 0.2)
        and kept
    )


def _wrong(homework: str, solutions: list[Solution], times: int, journal: Journal) -> bool:
    """Wrong solutions with fresh seeds: each must fail every check that it names, every time."""
    tallies = _tallies(homework, "wrong", solutions, times, journal)
    for tally in tallies:
        if tally.surprises:
            print(f"      {tally.solution} passed {', '.join(tally.checks)}")
    missed, gradings = sum(tally.surprises for tally in tallies), len(tallies) * times
    name = f"{len(tallies)} wrong solutions, {times} times each: missed"
    return line(name, f"{missed} of {gradings:,}", "0", missed == 0)


@dataclass(frozen=True)
class Tally:
    """Many gradings of one solution: how often it surprised, in which checks, and how near it came."""

    solution: str
    surprises: int
    checks: Sequence[str]
    second: int
    used: float


def _tallies(homework: str, kind: str, solutions: list[Solution], times: int, journal: Journal) -> list[Tally]:
    """One tally for each solution, on all cores, or from the journal; a progress line goes to the terminal."""
    grader = version.of(importlib.import_module(homework).ASSIGNMENT)

    def tell(done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{kind} solutions: {done} of {of}", end="\r", file=sys.stderr)

    work: dict[Key, tuple[str, Solution, int]] = {
        (one.id, one.code, str(times), grader): (homework, one, times) for one in solutions
    }
    rows = parallel.kept(journal, _tally, work, os.cpu_count() or 1, tell)
    return [Tally(**row) for row in rows]


def _tally(homework: str, solution: Solution, times: int) -> dict[str, Any]:
    """The tally of many gradings, as plain values."""
    assignment: Assignment = importlib.import_module(homework).ASSIGNMENT
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
            used = max([used, *(result.verdict.used or 0.0 for result in outcome.results)])
    return asdict(Tally(solution.id, surprises, sorted(checks), second, used))
