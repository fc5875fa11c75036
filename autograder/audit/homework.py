"""What a homework gives its audit: all that the engine cannot know of it. Every field may stay as it is.

`Assignment.audit` returns a `HomeworkAudit`. A part of the audit that needs what a homework lacks is left out with one
line. How much is tried stands here, too; by default little, so that the audit of a small homework takes a minute.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from autograder import homeworks
from autograder.audit.solutions import Solution
from autograder.core import Assignment, Check, Values

# ----------------------------------------------------------------------------------------------- attacks

Allowed = Literal["none", "wrong", "full", "any"]
"""What an attack may get of a group of checks: no points, at most what the wrong function earns by itself, all points
and no less, or anything."""
KINDS = {
    "forge": "score forgery",
    "stay": "results and persistence",
    "steal": "stealing",
    "send": "exfiltration",
    "harm": "denial of service",
    "words": "names and text",
}
"""The classes of attacks."""


@dataclass(frozen=True)
class Attack:
    """A hostile submission. `behind` is text put behind the right files, by their path.

    A text may use these words: MARK, a word of this run that is looked for afterwards; JUDGE (the judge's process id);
    PORT, UDPPORT and UNIXPATH, where the judge's side listens; RESULTS, the folder of results.json; OTHER, a file of
    another student's; REFERENCE and ROOT, the folders of the reference and of the grader. What an attack manages to do
    it tells by an exception or a print that holds the word PWNED.

    `more` are files beside them, `links` symbolic ones ("|" is a FIFO). `allowed` says what it may get, by group of
    checks (`Attacks.wrong`). `loses` is a check that it must lose. `says` must be in some message. `seconds` is the
    limit of the requests that it is about. `aspect` is the canary's aspect that must be BLOCKED for it to fail; where
    that is OPEN it may succeed, and the canary must have said so. `refused`: the upload itself is refused, with a
    sentence that holds `says`. `harm` says why it is not tried where other processes of the same user are not
    protected. `targets` are the things of ours that it replaces, calls or reads, as `attack_runs.LOOK_FOR` finds
    them: an attack on what is no longer there would hold whatever we did.
    """

    id: str
    kind: str
    behind: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, Allowed] = field(default_factory=dict)
    loses: str = ""
    says: str = ""
    seconds: float = 20.0
    aspect: str = ""
    refused: bool = False
    harm: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attacks:
    """The attacks of a homework, on one question's code; of other questions only the first check is asked.

    Every upload holds `files` of the reference; targets are looked for in the first of them. `right` is an upload that
    deserves all points. `wrong` has, by group of checks (what their ids begin with), an upload in which the functions
    of this group are wrong: what it gets is all that they deserve. `proof` are attacks that a slice has, too, one for
    each of the canary's aspects.
    """

    question: str
    files: tuple[str, ...]
    right: Attack
    wrong: Mapping[str, Attack]
    attacks: tuple[Attack, ...]
    proof: tuple[str, ...]

    @property
    def controls(self) -> tuple[Attack, ...]:
        """Graded before the attacks: what right functions earn, and what the wrong ones do by themselves."""
        return (self.right, *self.wrong.values())

    @property
    def everything(self) -> tuple[Attack, ...]:
        """In the order in which they are graded; at the end once more what deserves all points."""
        return (*self.controls, *self.attacks, replace(self.right, id=f"{self.right.id}-afterwards"))


# ------------------------------------------------------------------------------ statistical and exact checks


@dataclass(frozen=True)
class FalsePositiveBound:
    """What a statistical check's alpha rests on: the distribution or inequality, how many tests share the alpha, the
    values of one look, and the smallest effects that are missed with a probability of at most `falsefails.MISS`."""

    proof: str
    tests: int
    values: int
    effects: str


def no_bounds(_assignment: Assignment) -> Mapping[str, FalsePositiveBound]:
    """Of a homework that states none."""
    return {}


@dataclass(frozen=True)
class FalseFails:
    """What the statistical checks rest on, by check.

    `margins` are sentences about checks whose pass mark rests on measurements. `rounds` is how often each right
    solution of a file is graded; `usual_rounds` of a file that is not named.
    """

    bounds: Callable[[Assignment], Mapping[str, FalsePositiveBound]] = no_bounds
    margins: Mapping[str, str] = field(default_factory=dict)
    rounds: Mapping[str, int] = field(default_factory=dict)
    usual_rounds: int = 20


@dataclass(frozen=True)
class Method:
    """A way to find what is asked for: a solution, the name of the students' own check, and whether it must work.

    One that is not `sound` may fail, but then always: the students' own check must refuse it before it is handed in.
    """

    solution: Solution
    check: str
    sound: bool


@dataclass(frozen=True)
class StudyPlan:
    """Something that is measured over many seeds: what, what must hold, how many seeds.

    `measured` takes a number of seeds; it returns how many `failed`, and the `worst` as text.
    """

    what: str
    mark: str
    seeds: int
    measured: Callable[[int], Mapping[str, Any]]


def no_method(_method: Method, _draws: int) -> Mapping[str, Any]:
    """Of a homework without methods."""
    raise LookupError("This homework has no methods to try.")


@dataclass(frozen=True)
class Draws:
    """What is tried of the exact checks' draws.

    `rounds` is how often each right solution of a file is graded, `usual_rounds` of a file that is not named. `tried`
    puts a method the students' own check and so many draws; it returns `refused`, `failed` and `tolerance_used` (see
    `draws.Tried`). `chosen` are numbers that are chosen and not derived: the number, its value, what it rests on.
    """

    rounds: Mapping[str, int] = field(default_factory=dict)
    usual_rounds: int = 20
    methods: tuple[Method, ...] = ()
    tried: Callable[[Method, int], Mapping[str, Any]] = no_method
    studies: Mapping[str, StudyPlan] = field(default_factory=dict)
    chosen: tuple[tuple[str, str, str], ...] = ()


# ----------------------------------------------------------------------------------- fairness, reproduction


@dataclass(frozen=True)
class Variation:
    """A harmless way in which work differs: where, what, and the solutions of the bank or the tests that have it."""

    place: str
    what: str
    solutions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reproducing:
    """Solutions of the bank that count on how they are graded, and an upload that is graded again and again.

    `mixed` are solutions that are applied to the reference together for that. `times` is how often it is graded.
    """

    cheaters: tuple[Solution, ...] = ()
    mixed: tuple[Solution, ...] = ()
    times: int = 4


# --------------------------------------------------------------------------------- damaged inputs and values


@dataclass(frozen=True)
class Target:
    """Something that reads a stranger's bytes.

    `make` gives input number n's bytes from a generator; `read` returns, or raises one of `documented`, or is at fault.
    """

    id: str
    what: str
    inputs: int
    make: Callable[[random.Random], bytes]
    read: Callable[[bytes], object]
    documented: tuple[type[Exception], ...] = ()


@dataclass(frozen=True)
class Fuzzing:
    """The homework's own readers, and how many inputs each of the engine's gets; `usual_inputs` where none is given."""

    targets: tuple[Target, ...] = ()
    inputs: Mapping[str, int] = field(default_factory=dict)
    usual_inputs: int = 500


@dataclass(frozen=True)
class ExtremeValues:
    """How many changed answers a check gets, `usual_inputs` where none is given.

    `answers` gives, by check, a right answer to a request that only a notebook's kernel could answer.
    """

    inputs: Mapping[str, int] = field(default_factory=dict)
    usual_inputs: int = 1000
    answers: Mapping[str, Callable[[Assignment, Check], Values]] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------- bench


@dataclass(frozen=True)
class Promised:
    """What `bench` promises, in CPU seconds if nothing else is said.

    `start`: wall seconds above a bare `import torch`, of an upload with the files below `typical` (all of the
    reference where that is ""). `functions`: of a question's functions with drawn inputs, by question, or `usual` where
    none is given. `deterministic`: of all requests that draw nothing. `whole`: the reference with all that there is.
    `notebook`: a notebook's whole run without its training; `shortened` makes that of a notebook's text.
    `right_gradings`: of a question's right solutions in all, `usual_gradings` where none is given.
    """

    typical: str = ""
    start: float = 1.0
    functions: Mapping[str, float] = field(default_factory=dict)
    usual: float = 0.3
    deterministic: float = 8.0
    whole: float = 40.0
    notebook: float = 6.0
    shortened: Callable[[str], str] = str
    right_gradings: Mapping[str, int] = field(default_factory=dict)
    usual_gradings: int = 200


# --------------------------------------------------------------------------------------------- all of it


@dataclass(frozen=True)
class HomeworkAudit:
    """All that only this homework's audit knows.

    `equivalents` is a table of mutants that are no mistakes (mutants.py says how it is written). `audit_document` and
    `bench_document` are the files that `audit --write` and `bench --write` put their figures into.
    """

    equivalents: Path | None = None
    falsefails: FalseFails = FalseFails()
    draws: Draws = Draws()
    variations: tuple[Variation, ...] = ()
    reproducing: Reproducing = Reproducing()
    attacks: Attacks | None = None
    fuzzing: Fuzzing = Fuzzing()
    values: ExtremeValues = ExtremeValues()
    promised: Promised = Promised()
    audit_document: Path | None = None
    bench_document: Path | None = None


def load(homework: str) -> Assignment:
    """The homework of this package or folder. Raises NoHomework."""
    return homeworks.load(homework)


def of(assignment: Assignment) -> HomeworkAudit:
    """What the homework gives its audit: nothing beside its solutions, where it says nothing."""
    given = HomeworkAudit() if assignment.audit is None else assignment.audit()
    if not isinstance(given, HomeworkAudit):
        raise TypeError(f"Assignment.audit gave {given!r:.60}. Expected: a HomeworkAudit.")
    return given
