"""The nouns: what a homework is made of, what crosses the sandbox's border, and what a grading yields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from autograder.message import Call, Message

Array = npt.NDArray[Any]
Value = Array | bool | int | float | str
Values = Mapping[str, Value]
"""All that crosses the sandbox's border, either way: named arrays and plain scalars. Nothing in it can hold code."""


class CheckFailed(Exception):
    """A student's fault, as a sentence for the student; `diagnosis` names the misconception, if known.

    `calls` are the student's own lines that led to it, where their code raised.
    """

    def __init__(self, sentence: str, *, diagnosis: str = "", calls: tuple[Call, ...] = ()) -> None:
        super().__init__(sentence)
        self.diagnosis = diagnosis
        self.calls = calls


@dataclass(frozen=True)
class Spec:
    """What one value of an answer may be; what it is not is refused before a judge sees it.

    `dtypes` are numpy's letters of the kinds that an array may have ("f" floats, "i" and "u" integers, "b" truths), ""
    where no array may come; `shape` is its shape, None an axis of any size, and `shape=None` any shape at all. `most`
    is how many entries an array, or how many characters a text may have, or how large a whole number may be.
    `scalars` are the plain types that may come, `words` the only texts, `other` what stands for any else. `what` names
    the value for the student.
    """

    dtypes: str = ""
    shape: tuple[int | None, ...] | None = None
    most: int = 0
    scalars: tuple[type[bool] | type[int] | type[float] | type[str], ...] = ()
    words: tuple[str, ...] | None = None
    other: str = ""
    what: str = ""


Specs = Mapping[str, Spec]
WHOLE = 3
"""The last rung of the ladder for notebooks: see `Request.rung`."""


@dataclass(frozen=True)
class Request:
    """One question put to a submission: `probe` ("room.probes:function", below the homework's package) runs beside the
    student's code.

    `inputs` draws what the probe is given from the generator alone, so that the seed fixes it.
    Equal requests are put once, however many checks judge the answer. With `reference=True` the same
    inputs also go to the reference, and the judge sees its answer as `Trial.want`; with `baseline_cpu=True` the judge
    sees its CPU time alone, which is measured once for all submissions of a process. `collector` names a
    class in the probe's module that watches a notebook's whole run from inside its kernel. `deterministic` says that
    `inputs` draws nothing: to ask again would tell nothing new. `file` names the one of the question's files that
    it is about, where it is about one alone. `rung` is how much of a notebook is run for what is asked, more on each
    rung of a ladder (notebooks.Source.definitions); on the last one, `WHOLE`, the whole notebook `file` is run in a
    kernel and the probe is put to what that holds then. Nobody but the grading sets it. `reads` says that the probe
    only reads files: no code of the student's runs, and its module imports nothing of torch. `needs` are graded files:
    where the upload lacks one of them nothing is asked, and the first that it lacks is told, with `expected` behind it.

    The probe gets drawn arrays as torch tensors of the same type, and with `arrays="numpy"` as they were drawn: float64
    stays float64 either way. What it returns, tensors or arrays, reaches the judge as NumPy's arrays.

    `returns` declares, for the inputs that were drawn, every value that the probe may answer with (see `returns.py`,
    which checks it): a name that is not declared reaches no judge. None declares nothing, for probes of tests.
    """

    probe: str
    inputs: Callable[[np.random.Generator], Values]
    seconds: float = 10.0
    reference: bool = False
    baseline_cpu: bool = False
    collector: str = ""
    deterministic: bool = False
    file: str = ""
    rung: int = 0
    returns: Callable[[Values], Specs] | None = None
    reads: bool = False
    needs: tuple[str, ...] = ()
    expected: str = ""
    arrays: Literal["torch", "numpy"] = "torch"

    @property
    def private(self) -> bool:
        """Whether its worker holds something right, which what it says could carry to a student."""
        return PRIVATE in self.probe.partition(":")[0].split(".")

    @property
    def name(self) -> str:
        return f"{self.probe}<{self.inputs.__module__}.{self.inputs.__qualname__}"


@dataclass(frozen=True)
class Observation:
    """What came back out of the sandbox: values, or a fault told in a sentence.

    `diagnosis` is the fault's kind (unfilled, missing, raised, deadline, ...). `cause` says whose fault
    it is; only the judge's side ever sets "grader". `seconds` and `cpu` are measured by the judge and
    the kernel, never reported by the worker. With "time" it is nobody's: the time for the whole upload was used up.
    `further` is the worker's word on which rung would run more of a notebook. `calls` are the student's lines on the
    way to an exception.
    """

    values: Values | None = None
    error: str = ""
    diagnosis: str = ""
    calls: tuple[Call, ...] = ()
    log: str = ""
    seconds: float = 0.0
    cpu: float = 0.0
    cause: Literal["student", "grader", "time"] = "student"
    further: int = 0


@dataclass(frozen=True, eq=False)
class Trial:
    """What a judge sees: what was given, what the student's code made of it, what the reference did.

    `got_cpu` and `want_cpu` are the CPU seconds that the kernel counted for their workers, 0 where no worker was.
    Compared by identity, so that several judges of one trial can share a cached reading of it.
    """

    given: Values
    got: Values
    want: Values = field(default_factory=dict)
    got_cpu: float = 0.0
    want_cpu: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """A judge's word: a score from 0 to 1, sentences for the student, and what it rests on.

    `message` keeps the convention of `message.Message.of`, which makes its parts; `told` has them.

    `diagnosis` is the id of a recognised misconception, or "". `p` is the smallest corrected p-value
    of a statistical judge; `tolerance_used` the largest share of a tolerance that was used up. Both are kept with
    the result: a right answer that uses more than a fifth of a tolerance is an alarm for us. `notes` are
    for the staff alone, and cost nothing: what a report on the whole class may compare, and hints. `figures`
    are what the assignment's leaderboard may show, by the entry's name. `calls` are the student's lines on the way to
    an exception.
    """

    score: float
    message: str
    diagnosis: str = ""
    p: float | None = None
    tolerance_used: float | None = None
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()

    @property
    def told(self) -> Message:
        return Message.of(self.message, self.diagnosis, self.calls)


class Judge(Protocol):
    """How values are compared. A statistical judge has alpha > 0: a proven bound on false fails."""

    @property
    def alpha(self) -> float: ...

    def __call__(self, trial: Trial) -> Verdict: ...


@dataclass(frozen=True)
class Counterexample:
    """Where to look for a small counterexample once a check has failed, to be shown to the student.

    `ask` is put once and hands over many tiny inputs, the smallest first. They are whole numbers and simple
    fractions, the same for everybody, so that nothing hidden is told. `describe` gets the trial that failed and that of
    the tiny inputs; it returns the sentence for the first of them that shows the fault, "" where none does.
    """

    request: Request
    describe: Callable[[Trial, Trial], str]


Visibility = Literal["visible", "hidden", "after_due_date", "after_published"]


LEFT_EMPTY = "left empty"
"""The note of a judge of a `Check` that is `manual`: nothing was written that a person could read."""


@dataclass(frozen=True)
class Check:
    """One line of the results: what is asked, who judges it, and what it is worth.

    With `manual=True` it is an answer for a person to read: its judge passes the text on, it is worth 0 points, and
    the results show it without a score, neither passed nor failed. Where it fails, the sentence of `counterexample` is
    put behind the judge's.
    """

    id: str
    name: str
    points: float
    request: Request
    judge: Judge
    visibility: Visibility = "visible"
    manual: bool = False
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class Question:
    """A question of the handout; its checks are numbered `number`.1, `number`.2, ...

    `files` must come from the student, as paths below the template. Where only some of a question's checks are graded,
    `places` are the numbers that they have in the whole question, so that students see the same ones. Points are
    rounded to `decimals` places.
    """

    id: str
    number: int
    title: str
    files: tuple[str, ...]
    checks: tuple[Check, ...]
    optional: bool = False
    places: tuple[int, ...] = ()
    decimals: int = 4

    @property
    def points(self) -> float:
        return round(sum(check.points for check in self.checks), 10)

    @property
    def numbered(self) -> tuple[tuple[str, Check], ...]:
        """Each check behind the number that students see: ("4.1", ...)."""
        places = self.places or range(1, len(self.checks) + 1)
        return tuple((f"{self.number}.{place}", check) for place, check in zip(places, self.checks, strict=True))

    def needs(self, check: Check) -> tuple[str, ...]:
        """The files that this check of the question is about: its own one, or those that no check has for its own."""
        if check.request.file:
            return (check.request.file,)
        own = {other.request.file for other in self.checks}
        return tuple(file for file in self.files if file not in own) or self.files

    def missing(self, absent: Collection[str]) -> tuple[Check, ...]:
        """The checks that an upload without the files `absent` cannot pass, if it lacks all the main ones; else none.

        The main files are those of the checks that have no file of their own: of a notebook's question the notebook.
        Without them the question is told in one line, and its checks on files that are there are graded.
        """
        own = [check for check in self.checks if not check.request.file]
        main = {file for check in own for file in self.needs(check)} or set(self.files)
        if not main <= set(absent):
            return ()
        return tuple(check for check in self.checks if set(self.needs(check)) <= set(absent))


@dataclass(frozen=True)
class Part:
    """What students hand in to an assignment of its own: the checks that `only` selects, as `--only` does."""

    id: str
    title: str
    only: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """A homework: its questions, and where its files are.

    Every file of the template that no question grades is added to a submission that lacks it. `probes` is
    the package below which the probes' modules are found: those called `probes`, and `private_probes` where they hold
    something right that only the worker of their own request may see. `leaderboard` has the entries that course staff
    may turn on, with their order: "asc" where less is better, else "desc". `solutions` are the case files with the
    right and wrong solutions that the grader is graded with (docs/solutions.md); no grade depends on them. `audit`
    gives what else the audit of this homework needs, a `HomeworkAudit` of autograder/audit/homework.py. Only the audit
    calls it, so grading imports nothing of that, and copies for grading alone do not have it. `parts`
    are what students hand in to an assignment of its own beside the questions. `own_checks` are files and folders of
    the template with which students check themselves: a submission is graded without them, unless its code imports
    them.
    """

    id: str
    title: str
    questions: tuple[Question, ...]
    probes: str
    reference: Path
    template: Path
    leaderboard: Mapping[str, Literal["asc", "desc"]] = field(default_factory=dict)
    solutions: tuple[Path, ...] = ()
    parts: tuple[Part, ...] = ()
    own_checks: tuple[str, ...] = ()
    audit: Callable[[], object] | None = None

    @property
    def graded(self) -> tuple[str, ...]:
        """The files of all questions and of their checks, each once."""
        files = [file for question in self.questions for file in question.files]
        files += [check.request.file for question in self.questions for check in question.checks if check.request.file]
        return tuple(dict.fromkeys(files))

    @property
    def points(self) -> float:
        """What a submission without the optional questions can get."""
        return round(sum(question.points for question in self.questions if not question.optional), 10)

    @property
    def extra(self) -> float:
        """What the optional questions add."""
        return round(sum(question.points for question in self.questions if question.optional), 10)

    @property
    def alpha(self) -> float:
        """The sum of all checks' false-fail bounds for one attempt (a fail needs two)."""
        return sum(check.judge.alpha for question in self.questions for check in question.checks)


PUBLIC, PRIVATE = "probes", "private_probes"
"""How a homework calls the modules that run beside students' code: all workers may see those of the first name."""
GIVEN = ".given"
"""Where in a submission's workspace the template's graded files stand as they were handed out."""
PACKAGES = ".packages"
"""The file of a workspace that tells `Submission.packages` to workers, one a line; not there where there is none."""


@dataclass(frozen=True)
class Submission:
    """A safe copy of an upload: `workspace` holds its files (and the template's where it had none).

    `digest` identifies the content; `absent` are the graded files that it lacks; `remarks` are
    sentences for the student about what was left out, cleaned or not found. `ours` marks the reference:
    its workers keep our user, which alone may read it. `packages` are the dotted names by which the upload's own
    files may import the folder of its graded Python files, whatever it was called: ("submission", "src.submission").
    """

    workspace: Path
    digest: str
    absent: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    ours: bool = False
    packages: tuple[str, ...] = ()


CLOSE = 0.5
"""Share of its seconds beyond which a check says what it took: a machine that is half as fast stops it."""
Status = Literal["graded", "grader error", "unjudgeable", "not reached"]
"""`grader error`: a fault of ours, which costs nothing. `unjudgeable`: values broke a judge that the reference's values
do not break; that earns nothing until a person has looked."""


@dataclass(frozen=True)
class Result:
    """A check and its verdict. `attempts` is 2 where a statistical check was asked a second time.

    `rung` says how much of the notebook was run for it: `Request.rung`. `took` are the seconds that the student's code
    was given of `limit`, for the request of this check.
    """

    question: Question
    check: Check
    verdict: Verdict
    seconds: float = 0.0
    attempts: int = 1
    status: Status = "graded"
    log: str = ""
    rung: int = 0
    took: float = 0.0
    limit: float = 0.0

    @property
    def told(self) -> Message:
        """The message in its parts; with the time that the code took, where it was more than half of the limit."""
        close = self.limit > 0 and self.took > CLOSE * self.limit and self.verdict.diagnosis != "deadline"
        pace = f"It took {self.took:.1f} of the {self.limit:g} seconds that it may take." if close else ""
        return replace(self.verdict.told, pace=pace)

    @property
    def number(self) -> str:
        return self.question.numbered[self.question.checks.index(self.check)][0]

    @property
    def score(self) -> float:
        return round(self.check.points * self.verdict.score, self.question.decimals)
