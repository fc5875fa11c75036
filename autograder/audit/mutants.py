"""Mutants and the mutation matrix: which checks fail which mutants of the reference, and which mutants none fails.

A mutant is graded as an upload is: in the sandbox, where every request has a process of its own with limits on memory,
CPU and time, so that one that loops or eats memory costs its own checks and never stops the audit.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns
from textwrap import indent
from typing import Any

import numpy as np

from autograder import version
from autograder.audit import bank, casefiles, homework, mutation, parallel
from autograder.audit.journal import Journal, Key
from autograder.audit.mutation import Mutant
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, first, nobody
from autograder.audit.solutions import Solution, applied
from autograder.core import Assignment, Observation, Request, Submission, Value, Values
from autograder.grade import Grading
from autograder.intake import submission
from autograder.judging.judges import tolerance_ratio
from autograder.judging.stats import gamma
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.host.scratch import scratch

SECONDS = 30.0
"""For one request: the reference takes half of one, and what loops must not take the minute that a student may have."""
SEEDS = 20
"""Fresh inputs on which a survivor must agree with the reference to count as equivalent."""
ROUNDINGS = 32
"""Two ways to compute one number, each of so many float32 operations without cancellation, are apart by at most
2 gamma(ROUNDINGS) of the largest entry beside it. A mutant that is further off is not called equivalent by itself:
where cancellation or longer sums are to blame a person says so in equivalents.toml."""
AGAIN = 20
"""Further gradings of a survivor that is not: one that is failed now and then is a hole as well, of another kind."""
SAME, ROUNDED = "the same bits as the reference", "equal to the reference up to rounding"


@dataclass(frozen=True)
class GradedMutant:
    """One mutant's grading: the score (0 to 1) and the diagnosis of every check, the CPU seconds of every request.

    `faulty` are the checks in which the grader itself failed. `agreement` is there for examined survivors: SAME,
    ROUNDED, or where the mutant differs from the reference and how often fresh inputs kill it.
    """

    id: str
    code: str
    grader: str
    question: str
    operator: str
    diff: str
    scores: Mapping[str, float]
    diagnoses: Mapping[str, str]
    requests: Mapping[str, str]
    cpu: Mapping[str, float]
    faulty: tuple[str, ...] = ()
    agreement: str = ""

    @property
    def key(self) -> Key:
        """What must be the same for a grading to be used again."""
        return self.id, self.code, self.grader

    @staticmethod
    def read(row: Mapping[str, Any]) -> GradedMutant:
        """A row of the journal."""
        return GradedMutant(**{**row, "faulty": tuple(row["faulty"])})

    @property
    def failed(self) -> frozenset[str]:
        """The checks that kill it."""
        return frozenset(check for check, score in self.scores.items() if score < 1)


# ---------------------------------------------------------------------------------------- one mutant


@dataclass
class _Meter:
    """Puts asks to the pool, with our limit of time, and adds up what they cost.

    A request that ran out of time without using half of it as CPU time is put once more: the machine was busy or
    asleep.
    """

    sandbox: Sandbox
    cpu: dict[str, float] = field(default_factory=dict)

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        seconds = min(seconds, SECONDS)
        seen = self.sandbox.ask(submission, request, given, seed=seed, seconds=seconds)
        if seen.diagnosis == "deadline" and seen.cpu < seconds / 2:
            seen = self.sandbox.ask(submission, request, given, seed=seed, seconds=seconds)
        self.cpu[request.name] = self.cpu.get(request.name, 0.0) + seen.cpu
        return seen


@contextmanager
def submitted(sandbox: Sandbox, assignment: Assignment, mutant: Mutant | None) -> Iterator[Submission]:
    """The mutant, or the reference itself, as a received submission, in a folder that is removed afterwards."""
    with scratch() as folder:
        upload = folder / "upload"
        copytree(assignment.reference, upload, ignore=ignore_patterns("__pycache__", ".*"))
        if mutant is not None:
            (upload / mutant.file).write_text(mutant.text)
        yield submission.receive(upload, assignment, folder / "workspace", group=sandbox.uid)


def _own(assignment: Assignment, mutant: Mutant) -> Assignment:
    """The mutant's question alone, without what is about other files or needs a kernel."""
    return bank.of(assignment, Solution(mutant.id, mutant.diff, mutant.file, ""))


def concerned(sandbox: Sandbox, assignment: Assignment, mutant: Mutant) -> Assignment:
    """The assignment with the requests that call the mutant's function: the others cannot tell it from the reference.

    They are those in which a check fails where the function does nothing but raise.
    """
    owner, _, name = mutant.function.partition(".")[2].rpartition(".")
    raises = f"def {name}(*args, **kwargs):\n    raise RuntimeError\n"
    source = f"class {owner}:\n{indent(raises, '    ')}" if owner else raises
    text = applied(Solution("raises", "", mutant.file, source), (assignment.reference / mutant.file).read_text())
    own = _own(assignment, mutant)
    with submitted(sandbox, assignment, replace(mutant, text=text)) as received:
        results = list(Grading(_Meter(sandbox), received, bank.terse(own)).results())
    requests = {result.check.request for result in results if result.verdict.score < 1}
    return bank.only(own, {result.check.id for result in results if result.check.request in requests})


def graded(sandbox: Sandbox, assignment: Assignment, mutant: Mutant, grader: str) -> GradedMutant:
    """Grades the mutant once, by an assignment that may hold no more than concerns it; `grader` is its version."""
    meter = _Meter(sandbox)
    with submitted(sandbox, assignment, mutant) as received:
        results = list(Grading(meter, received, bank.terse(_own(assignment, mutant))).results())
    return GradedMutant(
        *(mutant.id, mutant.code, grader, mutant.question, mutant.operator, mutant.diff),
        scores={result.check.id: result.verdict.score for result in results},
        diagnoses={result.check.id: result.verdict.diagnosis for result in results if result.verdict.diagnosis},
        requests={result.check.id: result.check.request.name for result in results},
        cpu={request: round(seconds, 4) for request, seconds in meter.cpu.items()},
        faulty=tuple(result.check.id for result in results if result.status != "graded"),
    )


def failures(sandbox: Sandbox, assignment: Assignment, mutant: Mutant, *, times: int = AGAIN) -> int:
    """In how many gradings with other inputs the mutant loses points."""
    own = _own(assignment, mutant)
    with submitted(sandbox, assignment, mutant) as received:
        salted = [replace(received, digest=f"{received.digest}again{salt}") for salt in range(times)]
        gradings = [Grading(_Meter(sandbox), one, own).results() for one in salted]
        return sum(any(result.verdict.score < 1 for result in results) for results in gradings)


# --------------------------------------------------------------------------------------- equivalence


def agreements(
    sandbox: Sandbox,
    assignment: Assignment,
    survivors: Sequence[Mutant],
    *,
    requests: Collection[str] = (),
    seeds: int = SEEDS,
) -> dict[str, str]:
    """How each of several mutants of one file agrees with the reference on fresh inputs: SAME, ROUNDED, or where not.

    What a request gives is compared whole, not only what some judge reads of it; the first difference ends it. Only the
    asks of these names are put, where any is given.
    """
    found, meter = {mutant.id: SAME for mutant in survivors}, _Meter(sandbox)
    with contextlib.ExitStack() as stack:
        reference = stack.enter_context(submitted(sandbox, assignment, None))
        left = {one.id: stack.enter_context(submitted(sandbox, assignment, one)) for one in survivors}
        checks = [check for one in _own(assignment, survivors[0]).questions for check in one.checks]
        chosen = {
            check.request.name: check.request for check in checks if not requests or check.request.name in requests
        }
        for request in chosen.values():
            for seed in range(1 if request.deterministic else seeds):
                given = request.inputs(np.random.Generator(np.random.Philox(seed)))
                want = meter.ask(reference, request, given, seed=seed, seconds=SECONDS)
                assert want.values is not None, f"The reference failed at {request.name}: {want.error}"
                for id, workspace in list(left.items()):
                    got = meter.ask(workspace, request, given, seed=seed, seconds=SECONDS)
                    used, where = apart(got.values or {}, want.values)
                    if used > 1:
                        found[id] = f"differs in {request.probe} at {where}, seed {seed}"
                        del left[id]
                    elif used > 0:
                        found[id] = ROUNDED
    return found


def apart(got: Values, want: Values) -> tuple[float, str]:
    """0 where all values have the same bits, up to 1 within rounding, infinity beyond; and the worst value's name."""
    if got.keys() != want.keys():
        return float("inf"), ", ".join(sorted(got.keys() ^ want.keys())[:2])
    return max((_share(got[name], want[name]), name) for name in want)


def _share(got: Value, want: Value) -> float:
    if type(got) is type(want) and not isinstance(want, np.ndarray):
        return 0.0 if got == want else float("inf")
    one, other = np.asarray(got), np.asarray(want)
    real = one.dtype.kind == other.dtype.kind == "f"
    if one.dtype == other.dtype and np.array_equal(one, other, equal_nan=real):
        return 0.0
    if one.shape != other.shape or not real:
        return float("inf")
    tiny = float(np.finfo(np.float64).tiny)  # of two arrays of zeros one may be of another precision
    size = float(np.abs(other).max(initial=0.0))
    return max(tiny, tolerance_ratio(one, other, max(tiny, 2 * gamma(ROUNDINGS) * size)))


@dataclass(frozen=True)
class Equivalent:
    """Mutants, by a pattern of their ids, of which a person says why they are no mistakes.

    Those that are wrong by as much as is just allowed may lose points: where `near`, it is up to the draw.
    """

    mutant: str
    reason: str
    near: bool = False


def equivalents(path: Path | None) -> tuple[Equivalent, ...]:
    """The table of documented equivalents: `[[equivalent]]` with `mutants` (patterns of ids), `reason`, `near`."""
    if path is None:
        return ()
    rows = tomllib.loads(path.read_text()).get("equivalent", ())
    return tuple(Equivalent(mutant, row["reason"], row.get("near", False)) for row in rows for mutant in row["mutants"])


# ---------------------------------------------------------------------------------------- the matrix


@dataclass(frozen=True)
class MutationRow:
    """One check.

    The mutants that it kills, those that no other check kills, CPU seconds of its request in all gradings.

    `named` is the number of named mistakes that are held to fail this check alone.
    """

    check: str
    request: str
    kills: tuple[str, ...]
    alone: tuple[str, ...]
    cpu: float
    named: int = 0

    @property
    def cost(self) -> float:
        """CPU seconds for a kill; infinite without one."""
        return self.cpu / len(self.kills) if self.kills else float("inf")


@dataclass(frozen=True)
class Matrix:
    """Check by mutant. `equivalent` are survivors that are no mistakes, with the reason; `survivors` are the others.

    `stray` are sentences about documented equivalents that are killed or do not exist, `faults` about mutants at which
    the grader itself failed.
    """

    mutants: tuple[GradedMutant, ...]
    rows: tuple[MutationRow, ...]
    equivalent: Mapping[str, str]
    survivors: tuple[GradedMutant, ...]
    stray: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def killed(self) -> tuple[GradedMutant, ...]:
        return tuple(one for one in self.mutants if one.failed)

    @property
    def idle(self) -> list[str]:
        """The checks that are not the only ones to fail anything."""
        return [row.check for row in self.rows if not row.alone and not row.named]


def matrix(
    gradings: Sequence[GradedMutant],
    documented: Sequence[Equivalent],
    ids: Sequence[str],
    named: Sequence[Solution] = (),
) -> Matrix:
    """The matrix of these gradings; `ids` are those of all mutants that exist, `named` the bank's mistakes."""
    checks = dict.fromkeys(check for one in gradings for check in one.scores)
    requests = {check: request for one in gradings for check, request in one.requests.items()}
    only = Counter(solution.fails[0] for solution in named if len(solution.fails) == 1)
    rows = []
    for check in checks:
        kills = [one for one in gradings if check in one.failed]
        alone = tuple(one.id for one in kills if len(one.failed) == 1)
        cpu = sum(one.cpu.get(requests[check], 0.0) for one in gradings)
        rows.append(MutationRow(check, requests[check], tuple(one.id for one in kills), alone, cpu, only[check]))
    explained = {id: known for known in documented for id in ids if fnmatchcase(id, known.mutant)}
    stray = [
        *(f"No mutant is called {known.mutant}, as equivalents.toml has it." for known in documented
          if not any(fnmatchcase(id, known.mutant) for id in ids)),
        *(f"{one.id} is documented as equivalent, but fails {', '.join(sorted(one.failed))}." for one in gradings
          if one.failed and one.id in explained and not explained[one.id].near),
    ]  # fmt: skip
    faults = [f"The grader itself failed at {one.id}, in {', '.join(one.faulty)}." for one in gradings if one.faulty]
    alive = [one for one in gradings if not one.failed and not one.faulty]
    excused = {
        one.id: explained[one.id].reason if one.id in explained else one.agreement
        for one in alive
        if one.id in explained or one.agreement in (SAME, ROUNDED)
    }
    rest = tuple(one for one in alive if one.id not in excused)
    return Matrix(tuple(gradings), tuple(rows), excused, rest, tuple(stray), tuple(faults))


# -------------------------------------------------------------------------------------------- audit

BATCH = 8
"""Mutants that a process is handed at a time: what a kill of the audit loses of each process's work."""


def sliced(everything: Sequence[Mutant], every: int) -> list[Mutant]:
    """Of each function every `every`-th mutant, from the first on."""
    functions: dict[str, list[Mutant]] = {}
    for mutant in everything:
        functions.setdefault(mutant.function, []).append(mutant)
    return [mutant for own in functions.values() for mutant in own[::every]]


def lacks(assignment: Assignment) -> str:
    """Why there is nothing to change, "" if there is."""
    paths = [assignment.reference / file for file in assignment.graded if file.endswith((".py", ".ipynb"))]
    marked = any("# BEGIN SOLUTION" in path.read_text() for path in paths)
    return "" if marked else "no graded function of the reference has a marked solution."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Matrix:
    """The matrix of every `every`-th mutant: grades those that the journal in `out` lacks, and examines survivors."""
    assignment = homework.load(package)
    questions = {question.id for question in assignment.questions}
    known = equivalents(homework.of(assignment).equivalents)
    documented = [one for one in known if one.mutant.partition(".")[0] in questions]
    grader, journal = version.of(assignment), Journal(out / "mutants.jsonl")
    everything = mutation.of(assignment)
    chosen = sliced(everything, every)
    keys = {mutant.id: (mutant.id, mutant.code, grader) for mutant in chosen}

    def added(batches: Iterable[tuple[int, list[GradedMutant]]], done: int, of: int) -> dict[str, GradedMutant]:
        """Writes down what the processes hand over; all gradings so far, by the mutants' ids."""
        tell(done, of)
        for _, batch in batches:
            for one in batch:
                journal.add(one.key, asdict(one))
            done += len(batch)
            tell(done, of)
        return {id: GradedMutant.read(journal.rows[key]) for id, key in keys.items()}

    left = [mutant for mutant in chosen if keys[mutant.id] not in journal.rows]
    work = [(package, batch, grader) for batch in _batches(left)]
    found = added(parallel.each(_graded, work, jobs), len(chosen) - len(left), len(chosen))
    unexplained = []
    for function in dict.fromkeys(mutant.function for mutant in chosen):
        siblings = [mutant for mutant in chosen if mutant.function == function]
        # Some mutants of a function raise whenever it is called: what none of them fails does not call it.
        requests = {found[one.id].requests[check] for one in siblings for check in found[one.id].failed}
        alive = [one for one in siblings if _is_unexplained(found[one.id], documented)]
        unexplained += [(package, batch, [found[one.id] for one in batch], requests) for batch in _batches(alive)]
    number = len(chosen) + sum(len(batch) for _, batch, _, _ in unexplained)
    found = added(parallel.each(_examined, unexplained, jobs), len(chosen), number)
    return matrix(list(found.values()), documented, [one.id for one in everything], named(assignment))


def named(assignment: Assignment) -> list[Solution]:
    """The named mistakes of the homework's bank, half-right ones among them."""
    known = casefiles.bank_of(assignment)
    return [*known.wrong, *known.half_right]


def _batches(some: list[Mutant]) -> list[list[Mutant]]:
    return [some[at : at + BATCH] for at in range(0, len(some), BATCH)]


@cache
def _pool(probes: str) -> Sandbox:
    """This process's own way through the sandbox; it ends with the process."""
    sandbox = Sandbox(SandboxConfig(probes))
    sandbox.start()
    return sandbox


def _graded(package: str, batch: Sequence[Mutant], grader: str) -> list[GradedMutant]:
    """In a process of its own: these mutants' gradings."""
    whole = homework.load(package)
    found = []
    for mutant in batch:
        if mutant.function not in _CONCERNED:
            _CONCERNED[mutant.function] = concerned(_pool(whole.probes), whole, mutant)
        found.append(graded(_pool(whole.probes), _CONCERNED[mutant.function], mutant, grader))
    return found


_CONCERNED: dict[str, Assignment] = {}
"""By function; in a process of its own."""


def _examined(
    package: str, batch: Sequence[Mutant], alive: Sequence[GradedMutant], requests: Collection[str]
) -> list[GradedMutant]:
    """In a process of its own: survivors of one file, with the way in which each agrees with the reference."""
    assignment = homework.load(package)
    sandbox = _pool(assignment.probes)
    told = agreements(sandbox, assignment, batch, requests=requests)
    for mutant in batch:
        if told[mutant.id] not in (SAME, ROUNDED):
            times = failures(sandbox, assignment, mutant)
            told[mutant.id] += f"; failed in {times} of {AGAIN} further gradings"
    return [replace(one, agreement=told[one.id]) for one in alive]


def _is_unexplained(one: GradedMutant, documented: Sequence[Equivalent]) -> bool:
    """Whether it is still to be found out why nothing kills it."""
    if one.failed or one.faulty or one.agreement:
        return False
    return not any(fnmatchcase(one.id, each.mutant) for each in documented)


# ------------------------------------------------------------------------------------------ the report


def _killed(found: Matrix) -> str:
    killed, survivors = len(found.killed), [f"survives: {one.id}, {one.diff}" for one in found.survivors]
    told = f"{killed:,} of {killed + len(survivors):,}; {len(found.equivalent):,} others are no mistakes"
    return told + first(survivors)


def _busy(found: Matrix) -> str:
    idle = f"; not {', '.join(found.idle)}" if found.idle else ""
    return f"{len(found.rows) - len(found.idle)} of {len(found.rows)}{idle}"


FORM = SectionForm[Matrix](
    "mutants",
    "Mutants of the reference",
    "Every solution of the reference with one small change, as a slip would make it, graded as an upload is. "
    "A check must be the only one to fail some mutant, or some named mistake of the bank; a mutant that none "
    "fails must be no mistake.",
    (
        Claim[Matrix]("every mutant that is a mistake loses points", _killed, lambda found: not found.survivors),
        Claim[Matrix]("every check is the only one to fail something", _busy, lambda found: not found.idle),
        Claim[Matrix](
            "what is documented as no mistake exists and loses no points",
            lambda found: " ".join(found.stray) or "so it is",
            lambda found: not found.stray,
        ),
        Claim[Matrix](
            "the grader itself never fails",
            lambda found: " ".join(found.faults) or "it did not",
            lambda found: not found.faults,
        ),
    ),
    (
        TableForm[Matrix](
            "Mutants by question",
            lambda found: [_counted(found, name) for name in dict.fromkeys(one.question for one in found.mutants)],
            {
                "question": lambda row: row.question,
                "mutants": lambda row: row.mutants,
                "killed": lambda row: row.killed,
                "no mistake": lambda row: row.equivalent,
                "survivors": lambda row: row.survivors,
                "CPU s": lambda row: row.cpu,
            },
        ),
        TableForm[Matrix](
            "What each check kills; mutants, and named mistakes of the bank, that it alone fails",
            lambda found: found.rows,
            {
                "check": lambda row: row.check,
                "mutants": lambda row: len(row.kills),
                "alone": lambda row: len(row.alone),
                "named alone": lambda row: row.named,
                "CPU s a kill": lambda row: row.cost if row.kills else "",
            },
        ),
        TableForm[Matrix](
            "Survivors: a check is missing, or a line of equivalents.toml",
            lambda found: found.survivors,
            {
                "mutant": lambda one: one.id,
                "change": lambda one: one.diff,
                "beside the reference": lambda one: one.agreement,
            },
        ),
        TableForm[Matrix](
            "Mutants that are no mistakes",
            lambda found: [(one, found.equivalent[one.id]) for one in found.mutants if one.id in found.equivalent],
            {"mutant": lambda row: row[0].id, "change": lambda row: row[0].diff, "why": lambda row: row[1]},
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("mutants of every graded reference function", 60, measured, FORM, lacks)


@dataclass(frozen=True)
class _Counted:
    """Mutants of one question."""

    question: str
    mutants: int
    killed: int
    equivalent: int
    survivors: int
    cpu: float


def _counted(found: Matrix, question: str) -> _Counted:
    own = [one for one in found.mutants if one.question == question]
    return _Counted(
        question,
        len(own),
        killed=sum(bool(one.failed) for one in own),
        equivalent=sum(one.id in found.equivalent for one in own),
        survivors=sum(one.question == question for one in found.survivors),
        cpu=sum(sum(one.cpu.values()) for one in own),
    )
