"""The one path: draw inputs, ask in the sandbox, judge what came back."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from autograder.core import (
    WHOLE,
    Assignment,
    Check,
    Observation,
    Question,
    Request,
    Result,
    Status,
    Submission,
    Trial,
    Values,
    Verdict,
)
from autograder.sandbox import faults, returns
from autograder.sandbox.host import discreet
from autograder.sandbox.host.judging import Inside, Judging

LEAST_SECONDS = 1.0
LONGEST = 600
"""Characters of a message, with its counterexample: a longer one is not read."""
LEAST_RUN = 60.0
"""Seconds for a whole run of a notebook below which it is not begun."""
SPARE = 10
"""A counterexample is looked for where the time left is as many times what the search may take."""
GRADER_ERROR = (
    "This check could not run because of a fault in the grader, not in your work. You lose no points, and the "
    "course staff has been informed."
)
UNJUDGEABLE = (
    "The values that your code returned could not be judged, so this check gets no points for now. The course "
    "staff has been informed, and a person will look at it."
)
LOADING = frozenset(("missing", "import", "raised"))
"""Diagnoses of what more of the notebook might mend."""
NOT_REACHED = "The time for the whole submission ran out before this check could start."


STOPS: tuple[Status, ...] = ("unjudgeable", "not reached", "grader error")
"""What ends a check without a verdict, the one that counts first: of several looks one may be a fault of ours, but no
attempt is worth points because another could not be judged."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a check; `broke` is for the staff where a judge broke."""

    observation: Observation
    trial: Trial | None
    verdict: Verdict
    status: Status
    broke: str = ""


@dataclass(frozen=True)
class Rung:
    """How much of a notebook is run: `Request.rung`, and on the last one which notebook and for how many seconds."""

    number: int = 0
    file: str = ""
    seconds: float = 0.0

    def __call__(self, check: Check) -> Check:
        """The check, asked on this rung."""
        if self.number < WHOLE:
            return replace(check, request=replace(check.request, rung=self.number))
        return replace(check, request=replace(check.request, rung=self.number, file=self.file, seconds=self.seconds))


class Asker(Protocol):
    """Puts a request to a submission: the sandbox in production, the same call without a sandbox in audits."""

    def ask(
        self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float
    ) -> Observation: ...


class Beside(Protocol):
    """Puts a request beside those that are put meanwhile.

    What is returned waits for what came back, None if nothing.
    """

    def begin(
        self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float
    ) -> Callable[[], Observation | None]: ...


@dataclass
class Grading:
    """One submission's grading: who is asked, what was already asked, and how much time is left.

    The seed of every request comes from `secret`, the submission's content, the request and the attempt: the
    same upload gets the same grade, another upload gets other inputs. `baseline_cpus` are the reference's CPU seconds
    by ask: whoever grades many submissions hands the same dictionary to all of these. `judging` is where judges run.
    With `beside` a notebook's whole run goes on beside the checks before its own: the results are the same.
    """

    asker: Asker
    submission: Submission
    assignment: Assignment
    secret: bytes = b""
    seconds: float = 480.0
    started: float = field(default_factory=time.monotonic)
    baseline_cpus: dict[str, float] = field(default_factory=dict)
    judging: Judging = field(default_factory=Inside)
    beside: Beside | None = None
    _begun: dict[tuple[str, int, int], Callable[[], Observation | None]] = field(default_factory=dict)
    _seen: dict[tuple[str, int, int], tuple[Observation, Trial | None]] = field(default_factory=dict)
    _looks: dict[tuple[str, int, int], Attempt] = field(default_factory=dict)
    _rungs: dict[str, Rung] = field(default_factory=dict)
    _right: dict[tuple[str, int], Observation] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Every check's result, as soon as it is known."""
        if self.beside is not None:
            self._begin_run(self.beside)
        for question in self.assignment.questions:
            for check in question.checks:
                yield self.check(question, check)

    def check(self, question: Question, check: Check) -> Result:
        """One check. A statistical one that fails is asked again with fresh inputs before it counts.

        The second attempt fails if any statistical check of the same request fails it: a wrong answer may
        break another property each time. For a right one both attempts fail with a probability below the
        product of the check's alpha and the sum of its siblings'.
        """
        started = time.monotonic()
        if self.left() < LEAST_SECONDS:
            return Result(question, check, Verdict(0.0, NOT_REACHED), status="not reached")
        asked, check = check, self._on_its_rung(question, check)
        looks = [self._attempt(check, 0)]
        may_be_luck = check.judge.alpha > 0 and not check.request.deterministic
        if may_be_luck and looks[0].verdict.score < 1 and looks[0].trial is not None and looks[0].status == "graded":
            siblings = [other for other in question.checks if other.request == asked.request and other.judge.alpha > 0]
            again = {other.id: self._attempt(replace(other, request=check.request), 1) for other in siblings}
            broken = [look for look in again.values() if look.status != "graded"]  # one look alone proves nothing
            if broken:
                looks.append(min(broken, key=lambda look: STOPS.index(look.status)))
            else:
                all_pass = all(look.verdict.score == 1 for look in again.values())
                looks.append(again[check.id] if all_pass else looks[0])
        last = looks[-1]
        verdict = last.verdict
        if verdict.score < 1 and last.status == "graded":
            verdict = self._with_smallest(check, verdict)
        log = "\n".join(dict.fromkeys(filter(None, (*(look.broke for look in looks), looks[0].observation.log))))
        spent = time.monotonic() - started
        took, limit = max(look.observation.seconds for look in looks), check.request.seconds
        return Result(question, asked, verdict, spent, len(looks), last.status, log, check.request.rung, took, limit)

    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.started)

    def _on_its_rung(self, question: Question, check: Check) -> Check:
        """The check with as much of a notebook run as gives its request most points, on the lowest rung that does.

        The next rung is tried only where a check of this request fails; rung 2, which runs what nothing is known to
        need, only where something could not be loaded or raised an exception.
        """
        name = check.request.name
        if name not in self._rungs:
            first = self._attempt(check, 0)
            if first.verdict.score == 1 or not first.observation.further:
                return check
            self._rungs[name] = self._best_rung(
                question, [one for one in question.checks if one.request == check.request]
            )
        return self._rungs[name](check)

    def _best_rung(self, question: Question, siblings: Sequence[Check]) -> Rung:
        best, most, rung = Rung(), -1.0, Rung()
        while True:
            looks = [self._attempt(rung(one), 0) for one in siblings]
            points = sum(
                one.points * look.verdict.score
                for one, look in zip(siblings, looks, strict=True)
                if look.status == "graded"
            )
            if points > most:
                best, most = rung, points
            failed = {look.verdict.diagnosis for look in looks if look.verdict.score < 1}
            further = self._above(rung, looks[0].observation.further, question, siblings[0])
            if not failed or further.number <= rung.number or (further.number > 1 and not failed & LOADING):
                return best
            if self.left() < 2 * siblings[0].request.seconds:
                return best
            rung = further

    def _above(self, rung: Rung, further: int, question: Question, check: Check) -> Rung:
        """The next rung: where the notebook is run whole anyway, what its kernel holds then is the last one.

        `further` is a worker's word: it opens no rung where no notebook is, and never the one that starts a kernel.
        """
        there = [file for file in question.files if file.endswith(".ipynb") and file not in self.submission.absent]
        if rung.number == WHOLE or not there:
            return Rung()
        if further:
            return Rung(further) if further < WHOLE else Rung()
        runs = [other.request for other in question.checks if other.request.collector]
        if not runs or check.request.private or check.request.collector:
            return Rung()
        run = max(request.seconds for request in runs)
        seconds = min(run, self.left() - run)  # the check of the whole run must still have its own time
        return Rung(WHOLE, there[0], seconds) if seconds >= LEAST_RUN else Rung()

    def _attempt(self, check: Check, attempt: int) -> Attempt:
        key = check.id, attempt, check.request.rung
        if key not in self._looks:
            self._looks[key] = self._look(check, attempt)
        return self._looks[key]

    def _look(self, check: Check, attempt: int) -> Attempt:
        observation, trial = self._observe(check.request, attempt)
        if observation.cause == "grader":
            return Attempt(observation, None, Verdict(1.0, GRADER_ERROR), "grader error")
        if observation.cause == "time":
            return Attempt(observation, None, Verdict(0.0, NOT_REACHED), "not reached")
        if trial is None:
            fault = Verdict(0.0, observation.error, observation.diagnosis, calls=observation.calls)
            return Attempt(observation, None, fault, "graded")
        ruling = self.judging.judge(check, trial, self.left())
        if ruling.verdict is not None:
            return Attempt(observation, trial, ruling.verdict, "graded")
        if ruling.late:
            return Attempt(observation, trial, Verdict(0.0, NOT_REACHED), "not reached")
        return self._whose_fault(check, attempt, observation, trial, ruling.broke)

    def _whose_fault(self, check: Check, attempt: int, observation: Observation, trial: Trial, broke: str) -> Attempt:
        """A judge raised, or took more than it may: the reference's values for the same inputs tell whose fault it is.

        Only where they break the judge, too, or cannot be had, is it ours, and costs nothing. Otherwise the values
        broke it: were that worth points, a judge's weakness would be a way to all of them.
        """
        right = self._reference(check.request, attempt, trial.given)
        if right.cause == "grader":
            ours = f"{broke}; and {right.error}"
        elif right.values is None:
            ours = ""
        else:
            same = Trial(trial.given, right.values, trial.want, right.cpu, trial.want_cpu)
            again = self.judging.judge(check, same, self.left())
            ours = again.broke and f"{broke}; the reference's values: {again.broke}"
        if ours:
            return Attempt(observation, None, Verdict(1.0, GRADER_ERROR), "grader error", ours)
        told = f"{broke}, which the reference's values do not break"
        return Attempt(observation, None, Verdict(0.0, UNJUDGEABLE, "unjudgeable", notes=(told,)), "unjudgeable", told)

    def _with_smallest(self, check: Check, verdict: Verdict) -> Verdict:
        """The failing verdict with a small counterexample behind its sentence, if one is found in time.

        The verdict is the first attempt's. Its message alone changes: whatever goes wrong in the search, it stays.
        """
        smallest, (_, failed) = check.counterexample, self._observe(check.request, 0)
        if smallest is None or failed is None or self.left() < SPARE * smallest.request.seconds:
            return verdict
        rung = check.request.rung % WHOLE  # a whole run costs too much
        _, tiny = self._observe(replace(smallest.request, rung=rung), 0)
        if tiny is None:
            return verdict
        ruling = self.judging.describe(check, failed, tiny, self.left())
        if ruling.broke:
            return replace(verdict, notes=(*verdict.notes, ruling.broke))
        if ruling.verdict is None or ruling.verdict.score:  # no time was left
            return verdict
        message = f"{verdict.message} {ruling.verdict.message}".rstrip()
        return replace(verdict, message=message) if len(message) < LONGEST else verdict

    def _observe(self, request: Request, attempt: int) -> tuple[Observation, Trial | None]:
        key = request.name, attempt, request.rung
        if key not in self._seen and (lacking := self._lacking(request)) is not None:
            self._seen[key] = lacking, None
        elif key not in self._seen:
            seed = self.seed(request, attempt)
            given = request.inputs(np.random.Generator(np.random.Philox(seed)))
            seconds = min(request.seconds, self.left())
            begun = self._begun.pop(key, None)
            seen = begun() if begun is not None else None
            if seen is None or seen.cause == "grader":
                seen = self.asker.ask(self.submission, request, given, seed=seed % 2**63, seconds=seconds)
            got = self._kept(returns.admitted(request, given, seen), request)
            want: Values = {}
            want_cpu = self.baseline_cpus.get(request.name, 0.0)
            if (
                request.reference or (request.baseline_cpu and request.name not in self.baseline_cpus)
            ) and got.values is not None:
                right = self._reference(request, attempt, given)
                if right.values is None:
                    got = right
                elif request.baseline_cpu:
                    want_cpu = self.baseline_cpus[request.name] = right.cpu
                else:
                    want, want_cpu = right.values, right.cpu
            trial = None if got.values is None else Trial(given, got.values, want, got.cpu, want_cpu)
            self._seen[key] = got, trial
        return self._seen[key]

    def _begin_run(self, beside: Beside) -> None:
        """Begins the first whole run of a notebook, whose answer `_observe` waits for when its turn has come."""
        for request in (check.request for question in self.assignment.questions for check in question.checks):
            if request.collector and self._lacking(request) is None:
                seed = self.seed(request, 0)
                given = request.inputs(np.random.Generator(np.random.Philox(seed)))
                seconds = min(request.seconds, self.left())
                begun = beside.begin(self.submission, request, given, seed=seed % 2**63, seconds=seconds)
                self._begun[request.name, 0, request.rung] = begun
                return

    def _lacking(self, request: Request) -> Observation | None:
        """What is told where a file is not in the upload that the request needs.

        No worker is started to find that out.
        """
        for file in request.needs:
            if file in self.submission.absent:
                return faults.observation_of(faults.Fault("missing", f"{file} is not in the upload{request.expected}"))
        return None

    def _kept(self, seen: Observation, request: Request) -> Observation:
        """The observation without words of a private probe's worker that are for the staff alone."""
        if seen.values is None:
            return seen
        values, said = discreet.parts(seen.values, request, self.submission, self.assignment.probes)
        return replace(seen, values=values, log="\n".join(filter(None, (said, seen.log)))) if said else seen

    def _reference(self, request: Request, attempt: int, given: Values) -> Observation:
        """What the reference answers to the same. Without values its cause is "grader", or "time" if that was up."""
        key = (request.name, attempt)
        if key not in self._right:
            reference = Submission(self.assignment.reference, "reference", ours=True)
            enough = self.left() >= request.seconds  # to have used up the time must not make it a fault of ours
            seconds = max(LEAST_SECONDS, min(request.seconds, self.left()))
            right = self.asker.ask(
                reference, replace(request, rung=0), given, seed=self.seed(request, attempt) % 2**63, seconds=seconds
            )
            right = returns.admitted(request, given, right)
            if right.values is None:
                right = replace(
                    right, error=f"The reference failed: {right.error}", cause="grader" if enough else "time"
                )
            self._right[key] = right
        return self._right[key]

    def seed(self, request: Request, attempt: int) -> int:
        """What the inputs of this attempt at the request are drawn from."""
        message = f"{self.submission.digest}\0{request.name}\0{attempt}".encode()
        return int.from_bytes(hmac.new(self.secret, message, hashlib.sha256).digest()[:16], "big")
