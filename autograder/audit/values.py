"""A million near-right answers with up to three values changed to extremes, for every judge: what it raises and costs.

The reference's own answers are changed, so that what is behind the first look at a value is met, too. All follow from a
seed and a number. They take the way that a worker's answer takes: what was not declared reaches no judge.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from autograder import version
from autograder.audit import homework, parallel
from autograder.audit.fuzzing import TooSlow
from autograder.audit.journal import Journal
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, first, nobody
from autograder.core import Array, Assignment, Check, CheckFailed, Observation, Submission, Trial, Value, Values
from autograder.sandbox import returns, wire
from autograder.text import many

SEED = 11
CHUNK = 1000
DRAWS = 3
"""Inputs that are drawn for each request; the changes are spread over them."""
LIMIT, MEMORY = 1.0, 200 * 1024**2
"""CPU seconds and bytes of one judgement: a tenth and two fifths of what ends it (`judging.Limits`)."""

# ------------------------------------------------------------------------------------------ the answers

NUMBERS = (
    *(0.0, -0.0, 5e-324, 1e-320, 1e-308, 1e-45, 1e-30, 1e-8, 0.5, 1.0, -1.0, 2.0, 1e8, 1e15, 1e30, 1.1e30, 3e38, 1e300),
    *(1e308, -1e308, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan")),
)
WHOLE = (0, 1, -1, 2, 3, 7, 255, 256, -128, 10**4, 10**6, 2**31 - 1, 2**31, -(2**31), 2**53, 2**62, -(2**62))
TEXTS = ("", "x", "None", "a list", "raised", "missing", "é", "\u202e", "0", "nan", "inf", "-1", "1e400", "a" * 60, " ")
DTYPES = tuple(wire.DTYPES.values())


def changed(right: Values, rng: random.Random) -> dict[str, Value]:
    """One to three of the values changed, missing, or there in excess."""
    values = dict(right)
    for _ in range(rng.randint(1, 3)):
        names = list(values)
        if not names or rng.random() < 0.03:
            values[rng.choice(("x", "fault.kind", "values.fault.kind", "shapes.fault.text", "cases.0.x"))] = _plain(rng)
            continue
        name = rng.choice(names)
        kind = rng.random()
        if kind < 0.08:
            del values[name]
        elif kind < 0.14:
            values[name] = values[rng.choice(names)]
        elif kind < 0.20:
            values[name] = _plain(rng)
        else:
            value = values[name]
            values[name] = _array(value, rng) if isinstance(value, np.ndarray) else _scalar(value, rng)
    return values


def _plain(rng: random.Random) -> Value:
    """Anything that a frame can hold."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(WHOLE)
    if kind == 1:
        return rng.choice(TEXTS)
    if kind == 2:
        return rng.random() < 0.5
    if kind == 3:
        number = rng.choice(NUMBERS)
        return number if np.isfinite(number) else np.asarray(number)
    shape = tuple(rng.choice((0, 1, 2, 3, 7)) for _ in range(rng.randrange(5)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.full(shape, rng.choice(NUMBERS)).astype(rng.choice(DTYPES))


def _scalar(value: Value, rng: random.Random) -> Value:
    """A plain value's extremes, mostly of its own type."""
    if rng.random() < 0.2:
        return _plain(rng)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*WHOLE, value + 1, value - 1, -value, 1000 * value)) % 2**62
    if isinstance(value, float):
        number = rng.choice((*NUMBERS, -value, 1000 * value, value + 1e-9))
        return number if np.isfinite(number) else np.asarray(number)
    assert isinstance(value, str)
    return rng.choice((*TEXTS, value[:1], value * 2, value.upper()))


def _array(value: Array, rng: random.Random) -> Array:
    """Extremes in one place, in a row or everywhere; another shape, another rank, another dtype."""
    changes: tuple[Callable[[Array, random.Random], Array], ...] = (_one, _one, _row, _all, _shaped, _typed, _scaled)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.ascontiguousarray(rng.choice(changes)(value, rng))


def _number(value: Array, rng: random.Random) -> Any:
    return np.asarray(rng.choice(WHOLE if value.dtype.kind in "iub" else NUMBERS), object).astype(float)


def _one(value: Array, rng: random.Random) -> Array:
    if not value.size:
        return np.ones(3, value.dtype)
    made = value.copy()
    flat = made.reshape(-1)
    for _ in range(rng.choice((1, 1, 2, 5))):
        flat[rng.randrange(flat.size)] = _number(value, rng).astype(value.dtype)
    return made


def _row(value: Array, rng: random.Random) -> Array:
    if value.ndim == 0 or not value.size:
        return value.reshape(1, -1)
    made = value.copy()
    axis = rng.randrange(value.ndim)
    np.moveaxis(made, axis, 0)[rng.randrange(value.shape[axis])] = _number(value, rng).astype(value.dtype)
    return made


def _all(value: Array, rng: random.Random) -> Array:
    return np.full(value.shape, _number(value, rng)).astype(value.dtype)


def _shaped(value: Array, rng: random.Random) -> Array:
    kind = rng.randrange(9)
    if kind == 0:
        return value.reshape(-1)
    if kind == 1:
        return value[..., None]
    if kind == 2:
        return value[None]
    if kind == 3:
        return value.T
    if kind == 4 and value.ndim:
        shape = list(value.shape)
        shape[rng.randrange(value.ndim)] = 0
        return np.zeros(shape, value.dtype)
    if kind == 5 and value.ndim and value.shape[0]:
        return np.concatenate([value, value[: rng.randint(1, len(value))]])
    if kind == 6 and value.ndim:
        return value[: rng.randrange(len(value) + 1)]
    if kind == 7 and value.ndim:
        return np.repeat(value, 2, axis=rng.randrange(value.ndim))
    return value.reshape(-1)[:1].reshape(()) if value.size else np.zeros((), value.dtype)


def _typed(value: Array, rng: random.Random) -> Array:
    return value.astype(rng.choice(DTYPES))


def _scaled(value: Array, rng: random.Random) -> Array:
    return (value.astype(float) * rng.choice((-1.0, 0.0, 1e-310, 1e-38, 1e-3, 1e3, 1e29, 1e300))).astype(value.dtype)


# ------------------------------------------------------------------------------------------ the judging


@dataclass(frozen=True)
class FuzzedCheck:
    """A check with right trials of its request, and of its smallest examples' ask where it has one."""

    check: Check
    trials: tuple[Trial, ...]
    tiny: Trial | None


def checks_of(assignment: Assignment) -> dict[str, Check]:
    return {check.id: check for question in assignment.questions for check in question.checks}


def inputs_of(assignment: Assignment) -> dict[str, int]:
    """How many changed answers each check gets, of those that can be judged here."""
    given = homework.of(assignment).values
    return {
        id: given.inputs.get(id, given.usual_inputs)
        for id, check in checks_of(assignment).items()
        if not check.request.collector or id in given.answers
    }


def right(assignment: Assignment, check: Check, draw: int) -> Trial:
    """The reference's answer to one draw of the check's ask."""
    from autograder.audit.inprocess import InProcess

    request = check.request
    given = request.inputs(np.random.Generator(np.random.Philox(SEED + draw)))
    if request.collector:
        return Trial(given, homework.of(assignment).values.answers[check.id](assignment, check), {}, 1.0, 1.0)
    reference = Submission(assignment.reference, "reference", ours=True)
    seen = InProcess(assignment.probes).ask(reference, request, given, seed=SEED + draw, seconds=600.0)
    assert seen.values is not None, (request.name, seen.error)
    return Trial(given, seen.values, seen.values if request.reference else {}, 1.0, 1.0)


@lru_cache(maxsize=4)
def case_of(package: str, id: str) -> FuzzedCheck:
    """Made once in a process."""
    assignment = homework.load(package)
    check = checks_of(assignment)[id]
    trials = tuple(right(assignment, check, draw) for draw in range(1 if check.request.deterministic else DRAWS))
    tiny = None
    if check.counterexample is not None:
        tiny = right(assignment, Check(id, "", 0.0, check.counterexample.request, check.judge), 0)
    return FuzzedCheck(check, trials, tiny)


@dataclass(frozen=True)
class Judged:
    """Some judgements of one check: those that were refused before it, its verdicts, rejections, costs and faults."""

    inputs: int
    refused: int
    verdicts: int
    rejected: int
    seconds: float
    slowest: float
    faults: tuple[str, ...]


def made(case: FuzzedCheck, number: int) -> tuple[Trial, Trial | None]:
    """Changed answer number `number`; every tenth one where there are tiny inputs is of these."""
    rng = random.Random(f"{SEED} {case.check.id} {number}")
    right = case.trials[number % len(case.trials)]
    request = case.check.request
    if case.tiny is not None and case.check.counterexample is not None and number % 10 == 0:
        got = returns.admitted(
            case.check.counterexample.request, case.tiny.given, Observation(changed(case.tiny.got, rng))
        )
        return right, Trial(case.tiny.given, got.values) if got.values is not None else None
    seen = returns.admitted(request, right.given, Observation(changed(right.got, rng)))
    return Trial(right.given, seen.values or {}, right.want, right.got_cpu, right.want_cpu), None


def judged(case: FuzzedCheck, numbers: Sequence[int], *, limit: float = LIMIT) -> Judged:
    """Judges these. At fault is what raises anything but `CheckFailed`, gives no verdict, or passes a limit."""
    refused = verdicts = rejected = 0
    total, slowest, faults, id = 0.0, 0.0, [], case.check.id
    _warmed(case)
    with _limited(10 * limit):
        for number in numbers:
            trial, tiny = made(case, number)
            if tiny is None and not trial.got:
                refused += 1
                continue
            signal.setitimer(signal.ITIMER_PROF, 10 * limit)
            started = time.process_time()
            try:
                if tiny is not None and case.check.counterexample is not None:
                    verdicts += isinstance(case.check.counterexample.describe(trial, tiny), str)
                else:
                    verdict = case.check.judge(trial)
                    verdicts += 1
                    if not (0.0 <= verdict.score <= 1.0 and verdict.message):
                        faults.append(f"{id} {number}: no verdict: {verdict}"[:300])
            except CheckFailed as refusal:
                rejected += 1
                if not str(refusal):
                    faults.append(f"{id} {number}: CheckFailed without a sentence")
            except (Exception, TooSlow) as error:
                faults.append(f"{id} {number}: {type(error).__name__}: {error}"[:300])
            signal.setitimer(signal.ITIMER_PROF, 0)
            spent = time.process_time() - started
            if spent > limit:
                faults.append(f"{id} {number}: {spent:.1f} CPU s")
            total, slowest = total + spent, max(slowest, spent)
    return Judged(len(numbers), refused, verdicts, rejected, total, slowest, tuple(faults))


def _warmed(case: FuzzedCheck) -> None:
    """What is worked out once for a draw is no part of a judgement's cost; a right answer passes."""
    for trial in case.trials:
        verdict = case.check.judge(trial)
        assert verdict.score == 1 or case.check.request.collector, (case.check.id, verdict)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """While it lasts, memory past MEMORY raises MemoryError, and the timer of CPU time TooSlow."""

    def stop(_number: int, _frame: object) -> None:
        raise TooSlow(f"given up after {seconds:g} CPU s")

    before = signal.signal(signal.SIGPROF, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform.startswith("linux"):
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, hard))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# -------------------------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class Found:
    """By check: what was judged. `left_out` are the checks of a notebook's run for which there is no answer."""

    judged: Mapping[str, Judged]
    left_out: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return sum(one.inputs for one in self.judged.values())

    @property
    def faults(self) -> list[str]:
        return [fault for one in self.judged.values() for fault in one.faults]

    @property
    def slowest(self) -> tuple[float, str]:
        """CPU seconds, and the check."""
        return max((one.slowest, id) for id, one in self.judged.items())


def _chunk(package: str, id: str, begin: int, count: int) -> dict[str, Any]:
    """A row of the journal."""
    found = judged(case_of(package, id), range(begin, begin + count))
    return {**vars(found), "faults": list(found.faults)}


def lacks(assignment: Assignment) -> str:
    """Why nothing can be judged, "" if it can."""
    return "" if inputs_of(assignment) else "the homework has no check that needs no kernel."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """All changed answers of all checks; with `every`, one of so many of each."""
    assignment = homework.load(package)
    grader, own = version.of(assignment), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    plan: dict[tuple[str, ...], tuple[Any, ...]] = {}
    inputs = inputs_of(assignment)
    for id, number in inputs.items():
        whole = -(-number // every)
        for begin in range(0, whole, CHUNK):
            plan[id, f"{begin}", f"{whole}", own, grader] = package, id, begin, min(CHUNK, whole - begin)
    rows = zip(plan, parallel.kept(Journal(out / "values.jsonl"), _chunk, plan, jobs, tell, apart=True), strict=True)
    by_check: dict[str, list[Mapping[str, Any]]] = {}
    for key, row in rows:
        by_check.setdefault(key[0], []).append(row)
    left_out = tuple(id for id in checks_of(assignment) if id not in inputs)
    return Found({id: _sum(own_rows) for id, own_rows in by_check.items()}, left_out)


def _sum(rows: Sequence[Mapping[str, Any]]) -> Judged:
    totals = {name: sum(row[name] for row in rows) for name in ("inputs", "refused", "verdicts", "rejected", "seconds")}
    faults = tuple(fault for row in rows for fault in row["faults"])
    return Judged(**totals, slowest=max(row["slowest"] for row in rows), faults=faults)


FORM = SectionForm[Found](
    "values",
    "Values at extremes",
    "Near-right answers with up to three values changed, for every judge: each is judged or refused.",
    (
        Claim[Found](
            "no judge raises anything but a refusal with a sentence",
            lambda found: (
                f"{many(found.inputs, 'answer')} for {many(len(found.judged), 'judge')}, "
                f"{len(found.faults)} at fault{first(found.faults)}"
            ),
            lambda found: not found.faults and found.inputs > 0,
        ),
        Claim[Found](
            f"none takes {LIMIT:g} CPU second or {MEMORY // 1024**2} MB",
            lambda found: f"the slowest {found.slowest[0]:.2f} s ({found.slowest[1]})",
            lambda found: found.slowest[0] < LIMIT,
        ),
    ),
    (
        TableForm[Found]("Not tried: only a kernel could answer", lambda found: found.left_out, {"check": str}),
        TableForm[Found](
            "Changed answers by judge",
            lambda found: found.judged.items(),
            {
                "check": lambda row: row[0],
                "answers": lambda row: row[1].inputs,
                "refused before": lambda row: row[1].refused,
                "refused by it": lambda row: row[1].rejected,
                "verdicts": lambda row: row[1].verdicts,
                "CPU s": lambda row: row[1].seconds,
                "slowest, CPU ms": lambda row: 1000 * row[1].slowest,
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("near-right answers with values at extremes, for every judge", 100, measured, FORM, lacks)
