"""What can go wrong in the sandbox, and the sentences that tell a student so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autograder.core import Observation
from autograder.message import MOST_CALLS, Call
from autograder.text import clean

WIDEST = 160
"""Characters of a line of source, and of a cause's words."""


@dataclass(frozen=True)
class Fault:
    """A worker's report that something went wrong on its side: what kind, in which words, where.

    `trace` has a line for each of the student's calls: place, source and a cause's words, with tabs between.
    """

    kind: str
    text: str = ""
    where: str = ""
    trace: str = ""


def traced(calls: Iterable[Call]) -> str:
    """Calls as a fault's `trace`."""
    parts = ((call.place[:120], call.source, call.error) for call in calls)
    return "\n".join("\t".join(" ".join(part.split())[:WIDEST] for part in one) for one in parts)


def calls(trace: str) -> tuple[Call, ...]:
    """The calls of a fault's `trace`, which is the worker's own: cleaned and capped."""
    lines = [line.split("\t") for line in trace.split("\n")[:MOST_CALLS]]
    cleaned = ([clean(part, limit=WIDEST, line=True) for part in line[:3]] for line in lines)
    return tuple(Call(*line) for line in cleaned if line[0])


def observation_of(fault: Fault) -> Observation:
    """The sentence for a fault that the worker reports. Its words are the student's: cleaned and capped."""
    text, where = clean(fault.text, limit=300, line=True), clean(fault.where, limit=120, line=True)
    at = f" at {where}" if where else ""
    sentences = {
        "missing": f"{text.lstrip('=+-@ ')}.",  # wholly the worker's words: no cell may take them for a formula
        "unfilled": f"Not filled in yet: {text}{at}.",
        "import": f"The file could not be loaded{at}: {text}",
        "memory": f"The code ran out of memory{at}: {text}",
        "unusable": f"The result could not be used: {text}.",
        "raised": f"The code raised an exception{at}: {text}",
    }
    kind = fault.kind if fault.kind in sentences else "raised"
    return Observation(error=sentences[kind], diagnosis=kind, calls=calls(fault.trace))
