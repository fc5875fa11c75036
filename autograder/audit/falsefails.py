"""False fails: what every statistical check's alpha rests on, what it can see, and how right solutions really fare.

What a homework's statistical checks rest on it tells by a `homework.FalseFails`.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, special

from autograder import version
from autograder.audit import bank, casefiles, homework, parallel
from autograder.audit.homework import FalsePositiveBound
from autograder.audit.journal import Journal, Key
from autograder.audit.section import AuditPart, Claim, SectionForm, Table, TableForm, Tell, but, nobody
from autograder.audit.solutions import Solution
from autograder.core import Array, Assignment, Check
from autograder.judging.stats import CDF_SLACK, SQUARE_SLACK

MISS = 1e-6
"""The chance to miss an effect of the size that a check is said to see."""
MOST_ALPHA = 1e-9
"""Of all checks together, in one look at a submission."""
CONFIDENCE = 0.95
GRADED_OFTEN = 200
"""Gradings of the nearest mistake of each check: where all are caught, at least 98.5 % of them are (95 %)."""
LEVELS = (0.1, 0.01, 0.001)
"""Where p-values of right solutions are held against their null: P(p <= t) <= t."""
RARE = 1e-9
"""A count that is exceeded with this probability under the null means that a p-value is not valid."""
NO_P = -1.0
"""Of a mistake that fails without a p-value: its code raises, or what comes back of it is no sample at all."""

# ------------------------------------------------------------------------- what a normal test can see
# Each function takes the single test's own level p: the check's alpha, divided among its tests. An effect of the size
# returned is missed by this one test with probability MISS, and so by the whole battery with at most that.


def shift(n: int, p: float) -> float:
    """stats.mean: by how many standard deviations the mean is off. sum(e) / sqrt(n) ~ N(shift sqrt(n), 1)."""
    slack = 1e-4  # as in stats.mean
    return float((slack - special.ndtri(p / 2) - special.ndtri(MISS)) / math.sqrt(n))


def scale(n: int, p: float) -> tuple[float, float]:
    """stats.variance: the factors of the standard deviation, below and above 1. sum(e^2) ~ s^2 chi^2_n."""
    low, high = special.gammaincinv(n / 2, p / 2), special.gammainccinv(n / 2, p / 2)
    up = high / (1 - SQUARE_SLACK) / special.gammaincinv(n / 2, MISS)
    down = low / (1 + SQUARE_SLACK) / special.gammainccinv(n / 2, MISS)
    return math.sqrt(down), math.sqrt(up)


def _chi(freedom: int) -> tuple[Array, Array]:
    """Points and weights to average over chi_freedom: seven units to either side of its middle leave out 1e-20."""
    x = np.linspace(max(1e-9, math.sqrt(freedom) - 7), math.sqrt(freedom) + 7, 400)
    log_density = (freedom - 1) * np.log(x) - x**2 / 2
    weights = np.exp(log_density - log_density.max())
    return x, weights / weights.sum()


def covariate(n: int, p: float) -> float:
    """stats.contrast: by how many standard deviations e moves for one of the covariate.

    t = (Z + effect sqrt(n)) / (V / sqrt(n - 2)) with Z ~ N(0, 1) and V ~ chi_{n-2}, exactly.
    """
    v, weights = _chi(n - 2)
    critical = -float(special.stdtrit(n - 2, p / 2)) / math.sqrt(n - 2) * v

    def missed(effect: float) -> float:
        return float(weights @ special.ndtr(critical - effect * math.sqrt(n))) - MISS

    return float(optimize.brentq(missed, 0.0, 1.0))


def correlation(n: int, p: float) -> float:
    """stats.pairs: the correlation of two slices of n entries each.

    t = (Z + W r / sqrt(1 - r^2)) / (V / sqrt(n - 2)) with Z ~ N(0, 1), W ~ chi_{n-1} and V ~ chi_{n-2}, exactly.
    """
    (v, of_v), (w, of_w) = _chi(n - 2), _chi(n - 1)
    critical = -float(special.stdtrit(n - 2, p / 2)) / math.sqrt(n - 2) * v

    def missed(r: float) -> float:
        return float(of_v @ special.ndtr(critical[:, None] - w * r / math.sqrt(1 - r * r)) @ of_w) - MISS

    return float(optimize.brentq(missed, 0.0, 0.999))


def shared(size: int, number: int, p: float) -> float:
    """stats.groups: the correlation of all entries of a group of `size`, of `number` groups. F grows by a factor."""
    between, inside = number - 1, number * (size - 1)
    x = special.betaincinv(inside / 2, between / 2, p / 2)  # F > f where inside / (inside + between f) < x
    critical = inside * (1 - x) / (between * x) / (1 - SQUARE_SLACK)
    odds = (critical / special.fdtri(between, inside, MISS) - 1) / size  # r / (1 - r)
    return float(odds / (1 + odds))


def halves(n: int, p: float) -> float:
    """stats.ratio: how many times the standard deviation of one half of n entries is the other's. A Beta's odds."""
    y = special.betaincinv(n / 4, n / 4, p / 2) / (1 + SQUARE_SLACK)
    q = special.betaincinv(n / 4, n / 4, 1 - MISS)
    return math.sqrt(q / (1 - q) * (1 - y) / y)


def tail(n: int, p: float, cut: float) -> float:
    """stats.tails: how many times as many values as there should be lie beyond +-cut. Binomial, exact."""
    chance = 2 * float(special.ndtr(-cut))
    # The p of binomial, for a count that is too high: P(at least k) where the chance is known up to CDF_SLACK.
    count = next(
        k for k in range(math.ceil(n * chance), n) if 2 * special.betainc(k, n - k + 1, chance + CDF_SLACK) < p
    )
    return float(special.betaincinv(count, n - count + 1, 1 - MISS)) / chance


# --------------------------------------------------------------------------------------- what was found


@dataclass(frozen=True)
class FalseFailTally:
    """A right solution's gradings with fresh inputs: false fails, second looks, and p-values up to each of LEVELS.

    `looks` counts first looks by check, `valued` those that gave a p-value: where an identity holds, none is needed.
    """

    solution: str
    gradings: int
    failed: int
    second: int
    cpu: float
    looks: Mapping[str, int]
    valued: Mapping[str, int]
    below: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Power:
    """The bank's mistake that comes nearest to passing a check, and how often the check caught it."""

    check: str
    solution: str
    p: float
    caught: int
    gradings: int
    candidates: int


@dataclass(frozen=True)
class Found:
    """The statistical checks with what they rest on; the gradings of right solutions; the nearest mistakes.

    `margins` are sentences about checks whose pass mark rests on measurements.
    """

    checks: tuple[tuple[Check, FalsePositiveBound | None], ...]
    margins: Mapping[str, str]
    right: tuple[FalseFailTally, ...]
    power: tuple[Power, ...]

    @property
    def gradings(self) -> int:
        return sum(tally.gradings for tally in self.right)

    @property
    def failed(self) -> int:
        """Gradings of right solutions that a check failed."""
        return sum(tally.failed for tally in self.right)

    @property
    def looks(self) -> int:
        return sum(sum(tally.looks.values()) for tally in self.right)

    @property
    def second(self) -> int:
        return sum(tally.second for tally in self.right)

    @property
    def alphas(self) -> Mapping[str, float]:
        """By check."""
        return {check.id: check.judge.alpha for check, _ in self.checks}

    @property
    def expected(self) -> float:
        """How many first looks at right solutions may fail, at most and on average."""
        return sum(self.alphas[name] * times for tally in self.right for name, times in tally.looks.items())

    @property
    def unproved(self) -> list[str]:
        return [check.id for check, bound in self.checks if bound is None]

    @property
    def proved(self) -> list[tuple[Check, FalsePositiveBound]]:
        return [(check, bound) for check, bound in self.checks if bound is not None]

    @property
    def alpha(self) -> float:
        """Of all checks together, in one look."""
        return sum(check.judge.alpha for check, _ in self.checks)

    @property
    def twice(self) -> float:
        """The bound on a false fail of a submission: a second look, where there is one, must fail as well."""
        everything = [check for check, _ in self.checks]
        siblings = {
            one.id: sum(two.judge.alpha for two in everything if two.request == one.request) for one in everything
        }
        return sum(one.judge.alpha * (1 if one.request.deterministic else siblings[one.id]) for one in everything)


def at_least(caught: int, times: int) -> float:
    """The exact one-sided lower bound of Clopper and Pearson (1934) on a probability."""
    return float(special.betaincinv(caught, times - caught + 1, 1 - CONFIDENCE)) if caught else 0.0


def at_most(failed: int, times: int) -> float:
    """The upper one; of none in n it is 1 - 0.05^(1/n), about 3 / n."""
    return 1 - at_least(times - failed, times)


# ------------------------------------------------------------------------------------------- gradings


def drawn(assignment: Assignment) -> dict[str, Check]:
    """The statistical checks whose inputs are drawn, by id."""
    checks = (check for question in assignment.questions for check in question.checks)
    return {check.id: check for check in checks if check.judge.alpha > 0 and not check.request.deterministic}


def concerned(assignment: Assignment, wrong: Sequence[Solution], file: str) -> frozenset[str]:
    """The drawn statistical checks that something in this file can fail, as the bank's mistakes show."""
    caught = {check for solution in wrong if solution.file == file for check in solution.fails}
    return frozenset(caught & drawn(assignment).keys())


def graded(package: str, solution: Solution, checks: Collection[str], times: int, salt: str) -> dict[str, Any]:
    """Many gradings of one solution by these checks: a row of the journal."""
    assignment = homework.load(package)
    judged = bank.terse(bank.only(bank.of(assignment, solution), checks))
    failed: Counter[str] = Counter()
    seen: list[tuple[str, float | None]] = []
    any_failed = second = 0
    begun = time.process_time()
    with bank.submitted(solution, judged) as received:
        for number in range(times):
            outcome = bank.outcome(received, judged, salt=f"{salt}{number}")
            failed.update(outcome.failed)
            any_failed += bool(outcome.failed)
            second += sum(result.attempts - 1 for result in outcome.results)
            seen += [(result.check.id, result.verdict.p) for result in outcome.results]
    p = {check: [p for name, p in seen if name == check and p is not None] for check in checks}
    return {
        "failed": dict(failed),
        "any": any_failed,
        "second": second,
        "looks": dict(Counter(name for name, _ in seen)),
        "valued": {check: len(own) for check, own in p.items()},
        "below": {check: [sum(one <= level for one in own) for level in LEVELS] for check, own in p.items()},
        "largest": {check: max(own) for check, own in p.items() if own},
        "cpu": time.process_time() - begun,
    }


Job = tuple[Solution, frozenset[str], int, str]
"""Solution, checks, times, salt."""


@dataclass(frozen=True)
class _Runner:
    """Grades what the journal lacks, in `jobs` processes."""

    package: str
    journal: Journal
    jobs: int
    grader: str

    def key(self, job: Job) -> Key:
        solution, checks, times, salt = job
        return solution.id, solution.code, ",".join(sorted(checks)), str(times), salt, self.grader

    def rows(self, jobs: Sequence[Job], tell: Callable[[int], None]) -> list[dict[str, Any]]:
        """The rows of all jobs, in their order; `tell` gets how many are done."""
        work = {self.key(job): (self.package, *job) for job in jobs}
        return parallel.kept(self.journal, graded, work, self.jobs, lambda done, _of: tell(done))


def lacks(assignment: Assignment) -> str:
    """Why there is nothing to measure, "" if there is."""
    checks = (check for question in assignment.questions for check in question.checks)
    return "" if any(check.judge.alpha for check in checks) else "the homework has no statistical check."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Found:
    """Grades the right solutions and the nearest mistakes; goes on from the journal in `out`.

    With `every` > 1 each `every`-th solution of the bank is graded, an `every`-th as often.
    """
    assignment = homework.load(package)
    known, given = casefiles.bank_of(assignment), homework.of(assignment).falsefails
    right, wrong = known.right, known.wrong
    checks = {solution.file: concerned(assignment, wrong, solution.file) for solution in (*right, *wrong)}

    often = max(1, GRADED_OFTEN // every)
    first: list[Job] = [
        (solution, checks[solution.file], max(1, given.rounds.get(solution.file, given.usual_rounds) // every), "right")
        for solution in right[::every]
        if checks[solution.file]
    ]
    candidates = {
        check: near
        for check in drawn(assignment)
        if (near := [solution for solution in wrong if check in solution.fails][::every])
    }
    looks: list[Job] = [
        (solution, frozenset({check}), 1, "nearest") for check, near in candidates.items() for solution in near
    ]
    runner = _Runner(package, Journal(out / "falsefails.jsonl"), jobs, version.of(assignment))
    total = len(first) + len(looks) + len(candidates)
    rows = runner.rows([*first, *looks], lambda done: tell(done, total))
    tallies = tuple(
        FalseFailTally(job[0].id, job[2], *(row[name] for name in ("any", "second", "cpu", "looks", "valued", "below")))
        for job, row in zip(first, rows, strict=False)
    )
    p = {job: row["largest"].get(next(iter(job[1])), NO_P) for job, row in zip(looks, rows[len(first) :], strict=True)}
    nearest = {check: max((job for job in looks if job[1] == {check}), key=p.__getitem__) for check in candidates}
    again: list[Job] = [(*job[:2], often, "power") for job in nearest.values()]
    caught = runner.rows(again, lambda done: tell(len(first) + len(looks) + done, total))
    power = tuple(
        Power(check, job[0].id, p[job], row["failed"].get(check, 0), often, len(candidates[check]))
        for (check, job), row in zip(nearest.items(), caught, strict=True)
    )
    bounds = given.bounds(assignment)
    everything = (check for question in assignment.questions for check in question.checks if check.judge.alpha > 0)
    return Found(tuple((check, bounds.get(check.id)) for check in everything), given.margins, tallies, power)


# ------------------------------------------------------------------------------------------ the report


def _calibrated(found: Found) -> Iterator[tuple[str, int, tuple[int, ...], bool]]:
    """By check: p-values of right solutions, how many are up to each level, and whether that is possible by luck."""
    for check in dict.fromkeys(name for tally in found.right for name in tally.looks):
        n = sum(tally.valued.get(check, 0) for tally in found.right)
        below = [
            sum(tally.below[check][at] for tally in found.right if check in tally.below) for at in range(len(LEVELS))
        ]
        likely = [
            count == 0 or special.betainc(count, n - count + 1, t) > RARE
            for count, t in zip(below, LEVELS, strict=True)
        ]
        yield check, n, tuple(below), all(likely)


def _odd(found: Found) -> list[str]:
    """The checks of which more p-values are small than chance can give."""
    return [name for name, _, _, valid in _calibrated(found) if not valid]


def _calibration(found: Found) -> str:
    number, odd = sum(n for _, n, _, _ in _calibrated(found)), _odd(found)
    told = f"too many are small in {', '.join(odd)}" if odd else "no check has more small ones than chance can give"
    return f"of {number:,} {told}"


def _levels(found: Found) -> Table:
    """The calibration of p-values by check."""
    return Table(
        "p-values of right solutions: the share up to each level, which is to be that level or less",
        ("check", "p-values", *(f"up to {level:g}" for level in LEVELS)),
        tuple((name, n, *(count / max(n, 1) for count in below)) for name, n, below, _ in _calibrated(found)),
    )


def _margins(found: Found) -> list[tuple[str, str, str]]:
    alphas = found.alphas
    return [(name, f"{alphas[name]:.0e}" if name in alphas else "none", told) for name, told in found.margins.items()]


FORM = SectionForm[Found](
    "falsefails",
    "False fails",
    "A statistical check may fail a right answer by bad luck. How likely that is at most is proved for each, for "
    "the number of values that it looks at; what fails is asked once more, with fresh inputs. Right solutions are "
    "graded many times to see whether the proofs' assumptions hold.",
    (
        Claim[Found](
            f"all statistical checks together fail a right submission with probability below {MOST_ALPHA:g}",
            lambda found: f"{found.alpha:.2g} in one look, {found.twice:.2g} with second looks",
            lambda found: 0 < found.alpha < MOST_ALPHA,
        ),
        Claim[Found](
            "every alpha is a proved bound",
            lambda found: but(len(found.proved), len(found.checks), found.unproved),
            lambda found: not found.unproved,
            when=lambda found: found.proved,  # a homework may give no proofs at all
        ),
        Claim[Found](
            "no right solution fails by luck",
            lambda found: (
                f"{found.failed} of {found.gradings:,} gradings of {len(found.right)} right solutions; at most "
                f"{at_most(found.failed, found.gradings):.2g} of all (95 %)"
            ),
            lambda found: found.failed == 0,
        ),
        Claim[Found](
            "no right solution needs a second look",
            lambda found: (
                f"{found.second} of {found.looks:,} first looks; {found.expected:.1g} expected; at most "
                f"{at_most(found.second, found.looks):.2g} of all (95 %)"
            ),
            lambda found: found.second == 0,
        ),
        Claim[Found]("p-values of right solutions are not too small", _calibration, lambda found: not _odd(found)),
        Claim[Found](
            "the nearest mistake of the bank is caught every time",
            lambda found: (
                f"{sum(one.caught for one in found.power):,} of {sum(one.gradings for one in found.power):,}, by "
                f"{len(found.power)} checks"
            ),
            lambda found: all(one.caught == one.gradings for one in found.power),
            when=lambda found: found.power,
        ),
    ),
    (
        TableForm[Found](
            "What each alpha rests on",
            lambda found: found.proved,
            {
                "check": lambda row: row[0].id,
                "alpha": lambda row: f"{row[0].judge.alpha:.0e}",
                "proved by": lambda row: row[1].proof,
                "tests": lambda row: row[1].tests,
                "looks": lambda row: "one" if row[0].request.deterministic else "two",
                "values": lambda row: row[1].values,
            },
        ),
        TableForm[Found](
            f"The smallest effects that each check misses with a probability of at most {MISS:g}",
            lambda found: found.proved,
            {"check": lambda row: row[0].id, "effects": lambda row: row[1].effects},
        ),
        TableForm[Found](
            "The bank's mistake with the largest p in one look at each, graded again and again "
            f"({CONFIDENCE:.0%} bounds)",
            lambda found: found.power,
            {
                "check": lambda one: one.check,
                "mistakes": lambda one: one.candidates,
                "nearest": lambda one: one.solution,
                "its p": lambda one: f"{one.p:.1e}" if one.p >= 0 else "none",
                "caught": lambda one: one.caught,
                "of": lambda one: one.gradings,
                "at least": lambda one: f"{at_least(one.caught, one.gradings):.1%}",
            },
        ),
        _levels,
        TableForm[Found](
            "Pass marks that rest on measured margins: the inputs are the same for everybody, or the student's own",
            _margins,
            {"check": lambda row: row[0], "alpha": lambda row: row[1], "rests on": lambda row: row[2]},
        ),
        TableForm[Found](
            "Right solutions",
            lambda found: found.right,
            {
                "solution": lambda one: one.solution,
                "gradings": lambda one: one.gradings,
                "failed": lambda one: one.failed,
                "second looks": lambda one: one.second,
                "CPU seconds": lambda one: one.cpu,
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("statistical checks, and thousands of gradings of right solutions", 40, measured, FORM, lacks)
