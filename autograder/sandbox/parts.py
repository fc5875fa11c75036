"""Several parts in one ask: a fork costs more than most probes, and a fault must cost only its own part.

Values are named "part.name". A part that raised is told as its fault, beside the others' values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from autograder.core import Reject, Trial, Value, Values
from autograder.sandbox.faults import Fault, told

FAULT = "fault"


def join(**parts: Values) -> Values:
    """One mapping from several, each name with its part's in front."""
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def take(values: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The values of one part, by their own names."""
    return {name[len(part) + 1 :]: value for name, value in values.items() if name.startswith(f"{part}.")}


def run(describe: Callable[[BaseException], Fault], **parts: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Inside a worker: each part's values, or its fault where the student's code raised in it."""
    seen: dict[str, Any] = {}
    for part, action in parts.items():
        try:
            found: Mapping[str, Any] = action()
        except BaseException as error:  # SystemExit and KeyboardInterrupt are students' faults too
            fault = describe(error)
            found = {f"{FAULT}.kind": fault.kind, f"{FAULT}.text": fault.text, f"{FAULT}.where": fault.where}
        seen |= {f"{part}.{name}": value for name, value in found.items()}
    return seen


@lru_cache(maxsize=8)
def section(trial: Trial, part: str) -> Trial:
    """In the judge: one part of a trial. Raises `Reject` with the sentence for its fault, if it has one."""
    got = take(trial.got, part)
    if f"{FAULT}.kind" in got:
        words: list[Value] = [got.get(f"{FAULT}.{name}", "") for name in ("kind", "text", "where")]
        seen = told(Fault(*(word if isinstance(word, str) else "" for word in words)))
        raise Reject(seen.error, diagnosis=seen.diagnosis)
    return Trial(take(trial.given, part), got, take(trial.want, part))
