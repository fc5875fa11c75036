"""What can go wrong behind the wall, and the sentences that tell a student so."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.core import Observation
from autograder.text import clean


@dataclass(frozen=True)
class Fault:
    """A worker's report that something went wrong on its side: what kind, in which words, where."""

    kind: str
    text: str = ""
    where: str = ""


def told(fault: Fault) -> Observation:
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
    return Observation(error=sentences[kind], diagnosis=kind)
