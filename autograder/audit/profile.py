"""Says where a submission's CPU goes, phase by phase and request by request: `bench --profile [PATH]`.

Every figure is CPU seconds and page faults of one process or of a part of its life, so that a busy machine changes
little. Notebooks' whole runs are left out: what they cost is their training.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder import homeworks
from autograder.audit import bench
from autograder.classroom import jobs
from autograder.core import Assignment, Check, CheckFailed, Observation, Request, Submission, Trial, Values
from autograder.grade import Grading
from autograder.intake import submission
from autograder.output import terminal
from autograder.sandbox.host import canary
from autograder.sandbox.host.judging import Guarded, Ruling
from autograder.sandbox.host.sandbox import PING, Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import scratch

ROUNDS = 5
"""Gradings after the first one, each with inputs of its own."""
SHOWN = 25
"""Requests in the table, the costliest first."""
START = {
    "the interpreter": "pass",
    "the judge's imports": "from autograder.output import gradescope, terminal; import autograder.grade, {homework}",
    "import torch, alone": "import torch",
}
NAME, CELL = 60, 12
"""Characters of a table's first column, and of each other one."""
COLUMNS = {"load": "worker: load", "probe": "worker: probe", "judging": "judging"}
"""What is shown of a request by itself; the rest is what a worker takes for any."""


@dataclass
class Spent:
    """CPU seconds and page faults that were added up, and how often."""

    seconds: float = 0.0
    faults: int = 0
    times: int = 0

    def add(self, seconds: float, faults: int) -> None:
        self.seconds += seconds
        self.faults += faults
        self.times += 1


class Ledger:
    """What gradings spend: by phase, and of each request by phase. This process's own spending is always on a phase."""

    def __init__(self) -> None:
        self.by_phase: dict[str, Spent] = {}
        self.by_ask: dict[str, dict[str, Spent]] = {}
        self._now, self._last = ("judge: inputs, admission, results", ""), _self()

    def add(self, phase: str, seconds: float, faults: int, request: str = "") -> None:
        """Books what any process spent."""
        self.by_phase.setdefault(phase, Spent()).add(seconds, faults)
        if request:
            self.by_ask.setdefault(request, {}).setdefault(phase, Spent()).add(seconds, faults)

    def worker(self, request: Request, cpu: float, faults: int, told: Mapping[str, tuple[float, int]]) -> None:
        """Books one worker: what it says of its phases, and as `end` what the kernel counted beyond that."""
        for phase, (seconds, count) in told.items():
            self.add(f"worker: {phase}", seconds, count, request.name)
        left = cpu - sum(seconds for seconds, _ in told.values())
        self.add("worker: end", left, faults - sum(count for _, count in told.values()), request.name)

    @contextmanager
    def within(self, phase: str, request: str = "") -> Iterator[None]:
        """What this process spends inside of the block is booked on that phase."""
        before = self._now
        self._begin((phase, request))
        try:
            yield
        finally:
            self._begin(before)

    def close(self) -> None:
        """Books what this process spent last."""
        self._begin(self._now)

    def _begin(self, now: tuple[str, str]) -> None:
        spent = _self()
        self.add(self._now[0], spent[0] - self._last[0], spent[1] - self._last[1], self._now[1])
        self._now, self._last = now, spent

    def all(self) -> Spent:
        return total(self.by_phase)


def total(spent: Mapping[str, Spent]) -> Spent:
    """The sum of all phases."""
    return Spent(sum(one.seconds for one in spent.values()), sum(one.faults for one in spent.values()))


@dataclass
class _Noted:
    """Asks and judges as grading does, and books what that costs."""

    sandbox: Sandbox
    inner: Guarded
    ledger: Ledger = field(default_factory=Ledger)

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        with self.ledger.within("judge: wire", request.name):
            return self.sandbox.ask(submission, request, given, seed=seed, seconds=seconds)

    def judge(self, check: Check, trial: Trial, seconds: float) -> Ruling:
        with self._judging(check):
            return self.inner.judge(check, trial, seconds)

    def describe(self, check: Check, failed: Trial, tiny: Trial, seconds: float) -> Ruling:
        with self._judging(check):
            return self.inner.describe(check, failed, tiny, seconds)

    @contextmanager
    def _judging(self, check: Check) -> Iterator[None]:
        with self.ledger.within("judge: wire", check.request.name):
            before, pid = _of(self.inner.pid), self.inner.pid
            yield
            if self.inner.pid != pid:
                before = 0.0, 0
            after = _of(self.inner.pid)
        self.ledger.add("judging", after[0] - before[0], after[1] - before[1], check.request.name)


@dataclass(frozen=True)
class Profile:
    """What was measured: up to the first grading, in the first grading, in all that followed."""

    start: Mapping[str, Spent]
    first: Ledger
    then: Ledger
    rounds: int


def run(homework: str, path: Path | None) -> int:
    """Prints the profile of the submission at `path`, or of the reference. Returns 0, or 2 where it cannot be read."""
    assignment = homeworks.load(homework)
    try:
        measured = profile(path or assignment.reference, assignment, homework, ROUNDS)
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
        return 2
    print(f"{path or 'The reference'}, without notebooks' whole runs; load {os.getloadavg()[0]:.1f}.")
    print(*lines(measured), sep="\n")
    return 0


def profile(path: Path, whole: Assignment, homework: str, rounds: int) -> Profile:
    """Grades the submission once, and `rounds` times more in the same processes."""
    assignment = jobs.narrowed(whole, runs=False)
    start = {name: _process(code.format(homework=homework)) for name, code in START.items()}
    with Sandbox(SandboxConfig(homework)) as sandbox, tempfile.TemporaryDirectory() as results:
        sandbox.ask(Submission(Path(results), ""), PING, {}, seed=0, seconds=60)
        start["the zygote, ready"] = Spent(*_of(sandbox.zygote_pid), 1)
        ledger = Ledger()
        sandbox.profile = ledger.worker
        canary.inspect(sandbox, beside=whole.reference, results=Path(results))
        ledger.close()
        start["the canary"] = ledger.all()
        noted = _Noted(sandbox, Guarded([check for question in whole.questions for check in question.checks]))
        baseline_cpus: dict[str, float] = {}
        ledgers: list[Ledger] = []
        for count in (1, rounds):
            ledger = noted.ledger = Ledger()
            sandbox.profile = ledger.worker
            zygote = _of(sandbox.zygote_pid)
            for _ in range(count):
                with scratch() as folder:
                    with ledger.within("judge: intake"):
                        received = submission.receive(path, whole, folder / "workspace", group=sandbox.uid)
                    with ledger.within("judge: wire", "notebook_cache:of_files"):
                        sandbox.read(received, compared=whole.graded)
                    salted = replace(received, digest=f"{received.digest}{len(ledgers)}")
                    grading = Grading(
                        noted, salted, assignment, terminal.secret(), baseline_cpus=baseline_cpus, judging=noted
                    )
                    for _ in grading.results():
                        pass
            ledger.close()
            after = _of(sandbox.zygote_pid)
            ledger.add("zygote: fork, reap, imports", after[0] - zygote[0], after[1] - zygote[1])
            ledgers.append(ledger)
        noted.inner.close()
    first, then = ledgers
    return Profile(start, first, then, rounds)


def lines(measured: Profile) -> Iterator[str]:
    """The profile as aligned tables."""
    first, then, rounds = measured.first, measured.then, measured.rounds
    head = ("CPU s", "faults")
    yield _row("before the first grading", *head)
    for name, spent in measured.start.items():
        yield _row(f"  {name}", f"{spent.seconds:.3f}", f"{spent.faults:,}")
    yield _row("by phase", "first s", "faults", f"then s ({rounds})", "faults", "times")
    phases = dict.fromkeys((*first.by_phase, *then.by_phase))
    for name in sorted(phases, key=lambda one: (one.partition(":")[0], -then.by_phase.get(one, Spent()).seconds)):
        yield _both(name, first.by_phase.get(name, Spent()), then.by_phase.get(name, Spent()), rounds)
    yield _both("all", first.all(), then.all(), rounds)
    yield _row("by request, then", "CPU s", *COLUMNS, "the rest", "faults")
    ranked = sorted(then.by_ask.items(), key=lambda pair: -total(pair[1]).seconds)
    for request, spent_on in ranked[:SHOWN]:
        every = total(spent_on)
        parts = [spent_on.get(phase, Spent()).seconds for phase in COLUMNS.values()]
        seconds = [value / rounds for value in (every.seconds, *parts, every.seconds - sum(parts))]
        name = f"  {request.partition('<')[0]} {request.rpartition('.')[2]}"
        yield _row(name, *(f"{value:.3f}" for value in seconds), f"{every.faults // rounds:,}")


def _row(name: str, *cells: str) -> str:
    return f"{name[: NAME - 1]:<{NAME}}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _both(name: str, one: Spent, more: Spent, rounds: int) -> str:
    cells = (f"{one.seconds:.3f}", f"{one.faults:,}", f"{more.seconds / rounds:.3f}", f"{more.faults // rounds:,}")
    return _row(f"  {name}", *cells, f"{more.times // rounds}")


def _process(code: str) -> Spent:
    """What a new interpreter spends on the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=bench.CLEAN, cwd=bench.ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(seconds, after.ru_minflt - before.ru_minflt, 1)


def _self() -> tuple[float, int]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_minflt


def _of(pid: int) -> tuple[float, int]:
    """CPU seconds and page faults of another process, without its children's; nothing where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0, 0
    with suppress(OSError, IndexError):  # in nanoseconds, where the kernel keeps that
        seconds = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return seconds, int(fields[7])
