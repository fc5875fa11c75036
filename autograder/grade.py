"""The one path: draw inputs, ask behind the wall, judge what came back."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from autograder.core import (
    Ask,
    Assignment,
    Check,
    Observation,
    Question,
    Reject,
    Result,
    Status,
    Submission,
    Trial,
    Values,
    Verdict,
)

LEAST_SECONDS = 1.0
LONGEST = 600
"""Characters of a message, with its counterexample: a longer one is not read."""
SPARE = 10
"""A counterexample is looked for where the time left is as many times what the search may take."""
GRADER_ERROR = (
    "This check could not be carried out because of a fault in the grader, not in your work. "
    "It costs you nothing; the course staff has been told."
)
NOT_REACHED = "The time for the whole submission was used up before this check could begin."


class Asker(Protocol):
    """Puts an ask to a submission: the wall in production, the same call without a wall in audits."""

    def ask(self, submission: Submission, ask: Ask, given: Values, *, seed: int, seconds: float) -> Observation: ...


@dataclass
class Grading:
    """One submission's grading: who is asked, what was already asked, and how much time is left.

    The seed of every ask comes from `secret`, the submission's content, the ask and the attempt: the
    same upload gets the same grade, another upload gets other inputs. `yardsticks` are the reference's CPU seconds
    by ask: whoever grades many submissions hands the same dictionary to all of these.
    """

    asker: Asker
    submission: Submission
    assignment: Assignment
    secret: bytes = b""
    seconds: float = 480.0
    started: float = field(default_factory=time.monotonic)
    yardsticks: dict[str, float] = field(default_factory=dict)
    _seen: dict[tuple[str, int], tuple[Observation, Trial | None]] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Every check's result, as soon as it is known."""
        for question in self.assignment.questions:
            for check in question.checks:
                yield self.check(question, check)

    def check(self, question: Question, check: Check) -> Result:
        """One check. A statistical one that fails is asked again with fresh inputs before it counts.

        The second attempt fails if any statistical check of the same ask fails it: a wrong answer may
        break another property each time. For a right one both attempts fail with a probability below the
        product of the check's alpha and the sum of its siblings'.
        """
        started = time.monotonic()
        if self.left() < LEAST_SECONDS:
            return Result(question, check, Verdict(0.0, NOT_REACHED), status="not reached")
        first, verdict, status = self._attempt(check, 0)
        attempts = 1
        may_be_luck = check.judge.alpha > 0 and not check.ask.fixed
        if may_be_luck and verdict.score < 1 and first.values is not None and status == "graded":
            attempts = 2
            siblings = [other for other in question.checks if other.ask == check.ask and other.judge.alpha > 0]
            again = [self._attempt(other, 1) for other in siblings]
            if any(state == "grader error" for _, _, state in again):
                status, verdict = "grader error", Verdict(1.0, GRADER_ERROR)  # one look alone proves nothing
            elif all(second.score == 1 for _, second, _ in again):
                own = next(second for other, (_, second, _) in zip(siblings, again, strict=True) if other == check)
                verdict = own
        if verdict.score < 1 and status == "graded":
            verdict = self._with_smallest(check, verdict)
        return Result(question, check, verdict, time.monotonic() - started, attempts, status, first.log)

    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.started)

    def _attempt(self, check: Check, attempt: int) -> tuple[Observation, Verdict, Status]:
        observation, trial = self._observe(check.ask, attempt)
        if observation.cause == "grader":
            return observation, Verdict(1.0, GRADER_ERROR), "grader error"
        if trial is None:
            return observation, Verdict(0.0, observation.error, observation.diagnosis), "graded"
        try:
            return observation, check.judge(trial), "graded"
        except Reject as fault:
            return observation, Verdict(0.0, str(fault), fault.diagnosis), "graded"
        except Exception as error:  # our bug: it must cost the student nothing, and be seen
            told = f"{type(error).__name__} in the judge of {check.id}"
            return replace(observation, log=told), Verdict(1.0, GRADER_ERROR), "grader error"

    def _with_smallest(self, check: Check, verdict: Verdict) -> Verdict:
        """The failing verdict with a small counterexample behind its sentence, if one is found in time.

        The verdict is the first attempt's. Its message alone changes: whatever goes wrong in the search, it stays.
        """
        smallest, (_, failed) = check.smallest, self._observe(check.ask, 0)
        if smallest is None or failed is None or self.left() < SPARE * smallest.ask.seconds:
            return verdict
        _, tiny = self._observe(smallest.ask, 0)
        try:
            sentence = smallest.describe(failed, tiny) if tiny is not None else ""
        except Reject:  # what came back cannot be read
            return verdict
        except Exception as error:
            told = f"{type(error).__name__} in the counterexample of {check.id}"
            return replace(verdict, notes=(*verdict.notes, told))
        message = f"{verdict.message} {sentence}".rstrip()
        return replace(verdict, message=message) if len(message) < LONGEST else verdict

    def _observe(self, ask: Ask, attempt: int) -> tuple[Observation, Trial | None]:
        key = (ask.name, attempt)
        if key not in self._seen:
            seed = self._seed(ask, attempt)
            given = ask.inputs(np.random.Generator(np.random.Philox(seed)))
            seconds = min(ask.seconds, self.left())
            got = self.asker.ask(self.submission, ask, given, seed=seed % 2**63, seconds=seconds)
            want: Values = {}
            want_cpu = self.yardsticks.get(ask.name, 0.0)
            if (ask.reference or (ask.yardstick and ask.name not in self.yardsticks)) and got.values is not None:
                reference = Submission(self.assignment.reference, "reference", ours=True)
                answer = self.asker.ask(reference, ask, given, seed=seed % 2**63, seconds=ask.seconds)
                if answer.values is None:
                    got = Observation(error=f"The reference failed: {answer.error}", cause="grader")
                elif ask.yardstick:
                    want_cpu = self.yardsticks[ask.name] = answer.cpu
                else:
                    want, want_cpu = answer.values, answer.cpu
            trial = None if got.values is None else Trial(given, got.values, want, got.cpu, want_cpu)
            self._seen[key] = got, trial
        return self._seen[key]

    def _seed(self, ask: Ask, attempt: int) -> int:
        message = f"{self.submission.digest}\0{ask.name}\0{attempt}".encode()
        return int.from_bytes(hmac.new(self.secret, message, hashlib.sha256).digest()[:16], "big")
