"""Grades the feedback: what the students of the bank's wrong solutions are told, held against rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograder import version
from autograder.audit import bank, casefiles, homework, parallel
from autograder.audit.inprocess import InProcess
from autograder.audit.journal import Journal, Key
from autograder.audit.section import AuditPart, Claim, SectionForm, TableForm, Tell, nobody
from autograder.audit.solutions import Solution
from autograder.authoring import template
from autograder.core import Assignment, Observation, Request, Submission, Values
from autograder.grade import LONGEST, Grading
from autograder.message import EXAMPLE, MOST_CHARACTERS, Message

SMALL = 64
"""Values of an array that could be shown: larger ones have a value near every number, so that to find one tells
nothing. Six draws of the inputs must all show one: one of 600 values between -3 and 3 agrees with a number of three
decimals by chance once in ten times, six times in a row once in a million."""
DRAWS = 6
FEW = 4
"""Significant digits of a number that is told: what the code made of the inputs, and not more of it than is needed."""
MOST_SENTENCES = 6

# ------------------------------------------------------------------------------------- what was told


@dataclass(frozen=True)
class SeenMessage:
    """One message that a student sees, and `shown`: numbers in it that are drawn inputs, whatever is drawn."""

    solution: str
    question: str
    check: str
    message: str
    diagnosis: str = ""
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """The misconception that a wrong solution stands for, and those that its failing checks named."""

    solution: str
    wanted: str
    named: tuple[str, ...]

    @property
    def kind(self) -> str:
        """right, wrong (another was named), none; or unasked where the bank names no misconception."""
        if not self.wanted:
            return "unasked"
        return "right" if self.wanted in self.named else "wrong" if self.named else "none"


class _Recording:
    """Asks in this process, and keeps what was drawn."""

    def __init__(self, probes: str) -> None:
        self.asker = InProcess(probes)
        self.drawn: dict[str, Values] = {}

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        if not request.deterministic:  # what is not drawn is in the grader's own text, and hides nothing
            self.drawn[f"{request.name} {seed}"] = given
        return self.asker.ask(submission, request, given, seed=seed, seconds=seconds)


NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


def _inputs_in(message: str, drawn: Mapping[str, Values]) -> list[str]:
    """The numbers of more than two decimals that are some value of a small input array, rounded."""
    arrays = (v for given in drawn.values() for v in given.values() if isinstance(v, np.ndarray) and v.size <= SMALL)
    values = {float(value) for array in arrays if array.dtype.kind == "f" for value in array.flat}
    long = [number for number in NUMBER.findall(message.partition(EXAMPLE)[0]) if _decimals(number) > 2]
    return [number for number in long if any(f"{value:.{_decimals(number)}f}" == number for value in values)]


def _decimals(number: str) -> int:
    return len(number.partition("e")[0].partition(".")[2])


def _once(received: Submission, own: Assignment, salt: str) -> tuple[list[SeenMessage], dict[str, Values]]:
    """The messages of one grading, and what was drawn for it."""
    asker = _Recording(own.probes)
    salted = Submission(received.workspace, received.digest + salt, received.absent)
    failed = [result for result in Grading(asker, salted, own).results() if result.verdict.score < 1]
    told = [
        SeenMessage("", result.question.id, result.check.id, result.verdict.message, result.verdict.diagnosis)
        for result in failed
    ]
    return told, asker.drawn


def told_by(solution: Solution, assignment: Assignment) -> list[SeenMessage]:
    """What the solution's student is told by each check that fails."""
    own = bank.of(assignment, solution)
    with bank.submitted(solution, own) as received:
        first, drawn = _once(received, own, "")
        shown = {one.check: _inputs_in(one.message, drawn) for one in first}
        for salt in range(1, DRAWS):
            if not any(shown.values()):
                break
            again, drawn = _once(received, own, f" {salt}")
            still = {one.check for one in again if _inputs_in(one.message, drawn)}
            shown = {check: numbers for check, numbers in shown.items() if check in still}
    return [
        SeenMessage(solution.id, one.question, one.check, one.message, one.diagnosis, tuple(shown.get(one.check, ())))
        for one in first
    ]


# --------------------------------------------------------------------------------------------- rules


@dataclass(frozen=True)
class Facts:
    """What is needed of the homework: each question's words, the lines of its solutions, its `exact` checks by id.

    Exact are those that draw inputs and count no probabilities: each fails only for a fault that it sees.
    """

    words: Mapping[str, frozenset[str]]
    solutions: frozenset[str]
    exact: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """A property of a message that `broken` looks for: the reason, "" where it holds.

    A `heuristic` one recognises words, not meaning: it can miss a bad message, and a good one may have to be reworded.
    """

    id: str
    about: str
    broken: Callable[[SeenMessage, Facts], str]
    heuristic: bool = False


FAULTS = (
    *("raised an exception", "could not be used", "could not be loaded", "could not be read", "ran out of memory"),
    *("is not in the upload", "defines no", "Not filled in yet", "was stopped", "stopped before", "cannot be judged"),
)
"""Words of a message on how the code failed: what was expected is then that it does not."""
QUOTES = ("raised an exception", "could not be loaded", "ran out of memory", "stopped before", "Not filled in yet")
"""Messages that end in an exception's own words."""
MOST_WORDS = 40
"""Of one sentence, a formula being one word: longer ones are read twice."""
MOST_PASSIVES = 2
"""Of one sentence."""
RIDDLES = (
    "thank you", "trick of its own", "changed places", "change places", "exchanged", "weighed", "hangs on", "foretell",
    "makes no sense", "came back", "comes back", "keys but", "does not fit", "do not fit", "cost its points", "charged",
    "no matter", "has no part in", "have no part in", "turned round", "other way round", "wrong way round", "handed",
    "is there twice", "are there twice", "in unison", "the wall", "yardstick", "the box", "so does the function expect",
    "made of the", "and not even that", "anew", "was given z", "are given", "of ours",
)  # fmt: skip
"""Words of our own making, or in an order that nobody uses: a message says the same in the field's terms."""
PARTICIPLE = (
    r"(?:[a-z]+ed|given|made|taken|drawn|written|shown|seen|told|held|read|kept|put|set|found|known|left|lost|built|sent|"
    r"done|chosen|cut|hidden|broken)"
)
PASSIVE = re.compile(
    rf"\b(?:is|are|was|were|be|been|being)\s+(?:(?:not|also|only|already|never|then)\s+)?{PARTICIPLE}\b"
)
NUMERAL = r"-?\d[\d.,]*(?:e[-+]?\d+)?"
UNNAMED = re.compile(
    rf"\b[Ii]t (?:is|was|gives|gave) (?:about )?{NUMERAL}(?=[.;,]?\s*(?:expected\b|there\b|where\b|instead\b|$))"
    rf"|{NUMERAL} (?:of it|of them)\b"
    r"|\b(?:number|value) \d+ (?:of|in) (?:it|them)\b"
    rf"|(?:^|[.?!] ){NUMERAL}[.;](?:\s|$)"
)
"""A number whose name must be guessed, as in "it is 21.71 of it" or "It was 3.2; expected 4."."""
OPEN, CLOSED = "([{", ")]}"
CODE = re.compile(r"`[^`]*`|\"[^\"]*\"")
OURS = re.compile(r"Traceback|File \"|site-packages|\bautograder\b|(?<![\w.])/(?:\w+/)+\w|0x[0-9a-f]{6,}")
ARRAY = re.compile(r"\[[^\]]*\d\.\d{3,}[^\]]*\]")
SENTENCE_END = re.compile(r"[.?!](?=\s+[A-Z`\"‹(])")


def _fault(told: SeenMessage) -> bool:
    """Whether the message tells how the student's code failed; it stands below the check's name."""
    return any(words in told.message for words in FAULTS)


def _own(told: SeenMessage) -> str:
    """The message without an exception's own words, which are nobody's to reword."""
    for words in QUOTES:
        if (begun := told.message.find(words)) >= 0:
            return told.message[: begun + len(words)]
    return told.message


def _each(told: SeenMessage) -> list[str]:
    """The sentences of the message, with each piece of code as one word."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z`\"‹(\d])", CODE.sub("X", _own(told)))


def _asked(told: SeenMessage, facts: Facts) -> str:
    words = {word.removesuffix("s") for word in re.findall(r"[a-z_0-9]+", told.message.lower())}
    known = words & facts.words[told.question] or _fault(told)
    return "" if known else "it names nothing that the question asks for"


def _seen(told: SeenMessage, _facts: Facts) -> str:
    before = re.split(r"[Ee]xpected", told.message)[0]
    return "" if len(before.split()) >= 3 or _fault(told) else "it does not say what was seen"


def _expected(told: SeenMessage, _facts: Facts) -> str:
    return "" if "xpected" in told.message or _fault(told) else "it does not say what was expected"


def _needed(number: str, other: str) -> bool:
    """Whether it takes all digits of a number to tell it from another."""
    digits = len(re.sub(r"e.*|\D", "", number).lstrip("0"))
    one, two = float(number), float(other)
    unit = 10.0 ** (np.floor(np.log10(max(abs(one), 1e-300))) - digits + 2)  # of the last digit but one
    return number != other and abs(one - two) < 1.5 * unit  # both are rounded already, so either may be half a unit off


def _hidden(told: SeenMessage, _facts: Facts) -> str:
    message = told.message.partition(EXAMPLE)[0]
    numbers = NUMBER.findall(message)
    long = [number for number in numbers if len(re.sub(r"e.*|\D", "", number).lstrip("0")) > FEW]
    long = [number for number in long if not any(_needed(number, other) for other in numbers)]
    if told.shown:
        return f"it shows inputs that were drawn: {', '.join(told.shown)}"
    if long:
        return f"it shows more digits than are needed: {', '.join(long)}"
    return f"it shows an array: {found[0]}" if (found := ARRAY.search(message)) else ""


def _solution(told: SeenMessage, facts: Facts) -> str:
    return next((f"it holds the reference's line {line!r}" for line in facts.solutions if line in told.message), "")


def _inner(told: SeenMessage, _facts: Facts) -> str:
    return f"it shows {found[0]!r}" if (found := OURS.search(told.message)) else ""


def _length(told: SeenMessage, _facts: Facts) -> str:
    return "" if 20 <= len(told.message) < LONGEST else f"it has {len(told.message)} characters"


def _parts(told: SeenMessage, _facts: Facts) -> str:
    message = Message.of(told.message, told.diagnosis)
    count = len(message.seen) + len(message.expected)
    return "" if count <= MOST_CHARACTERS else f"what was seen and what was expected have {count} characters"


def _sentences(told: SeenMessage, _facts: Facts) -> str:
    count = 1 + len(SENTENCE_END.findall(told.message))
    return "" if count <= MOST_SENTENCES else f"it has {count} sentences"


def _long(told: SeenMessage, _facts: Facts) -> str:
    most = max((sum(any(map(str.isalnum, word)) for word in one.split()) for one in _each(told)), default=0)
    return "" if most <= MOST_WORDS else f"a sentence has {most} words"


def _passive(told: SeenMessage, _facts: Facts) -> str:
    for one in _each(told):
        if len(found := PASSIVE.findall(one)) > MOST_PASSIVES:
            return f"a sentence has {len(found)} verbs in the passive: {', '.join(found)}"
    return ""


def _riddle(told: SeenMessage, _facts: Facts) -> str:
    lower = CODE.sub("X", _own(told)).lower()
    return next((f"it says {words!r}" for words in RIDDLES if re.search(rf"\b{words}\b", lower)), "")


def _brackets(told: SeenMessage, _facts: Facts) -> str:
    depth: list[str] = []
    for letter in CODE.sub("X", _own(told)):
        if letter in OPEN:
            depth.append(letter)
        elif letter in CLOSED and (not depth or OPEN.index(depth.pop()) != CLOSED.index(letter)):
            return f"{letter!r} closes nothing"
    return f"{depth[0]!r} is never closed" if depth else ""


def _unnamed(told: SeenMessage, _facts: Facts) -> str:
    return f"a number has no name: {found[0]!r}" if (found := UNNAMED.search(_own(told))) else ""


def _form(told: SeenMessage, _facts: Facts) -> str:
    first = told.message.split(" ")[0]
    if (
        not first[:1].isupper() and len(first) > 1 and not re.search(r"[_(\[\d]", first)
    ):  # a name of the code's stays as it is
        return "it does not begin with a capital letter"
    ended = told.message.endswith((".", "?")) or any(words in told.message for words in QUOTES)
    return "" if ended else "it does not end with a full stop or a question mark"


RULES = (
    Rule("asked", "names what was asked: a word of the check or of the graded function's head", _asked, heuristic=True),
    Rule("seen", "says what was seen: three words before what was expected", _seen, heuristic=True),
    Rule("expected", "says what was expected, or how the student's code failed", _expected, heuristic=True),
    Rule("hidden", "shows no drawn input and no long number", _hidden),
    Rule("solution", "holds no line of the reference's solution", _solution),
    Rule("inner", "shows no traceback, path or module of the grader's", _inner),
    Rule("length", f"has 20 to {LONGEST - 1} characters", _length),
    Rule("parts", f"has at most {MOST_CHARACTERS} characters before its smallest example", _parts),
    Rule("sentences", f"has one to {MOST_SENTENCES} sentences", _sentences, heuristic=True),
    Rule("long", f"has no sentence of more than {MOST_WORDS} words", _long),
    Rule("passive", f"has at most {MOST_PASSIVES} verbs in the passive in a sentence", _passive, heuristic=True),
    Rule("riddle", "says nothing in words of our own making", _riddle),
    Rule("brackets", "closes every bracket", _brackets),
    Rule("unnamed", "says what each number is", _unnamed, heuristic=True),
    Rule("form", "begins with a capital or a name of the code's, ends as a sentence or in an exception's words", _form),
)


def _lines(path: Path) -> list[str]:
    """The lines of a file, or of a notebook's code cells."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join(template.code_cells(text))
    return [line.strip() for line in text.splitlines()]


def _solved(lines: Sequence[str]) -> Iterator[str]:
    """The lines inside of solution regions, without comments."""
    inside = False
    for line in lines:
        if line.startswith(("# BEGIN SOLUTION", "# END SOLUTION")):
            inside = line.startswith("# BEGIN")
        elif inside:
            yield line.partition("# ")[0].rstrip()


COMMON = frozenset({"a", "the", "of", "and", "with", "from", "to", "in", "on", "for", "each", "by", "self", "none"})


def facts_of(assignment: Assignment) -> Facts:
    """Words are those of the checks' names and of the heads of the functions in the question's files."""
    words, solutions = {}, set()
    for question in assignment.questions:
        paths = [assignment.reference / file for file in question.files if file.endswith((".py", ".ipynb"))]
        lines = [line for path in paths for line in _lines(path)]
        heads = [line for line in lines if line.startswith(("def ", "class "))]
        text = " ".join([question.title, *(check.name for check in question.checks), *heads]).lower()
        words[question.id] = frozenset(word.removesuffix("s") for word in re.findall(r"[a-z_0-9]+", text)) - COMMON
        solutions |= {line for line in _solved(lines) if len(line) > 20}
    checks = [check for question in assignment.questions for check in question.checks]
    exact = {check.id for check in checks if not check.judge.alpha and not check.request.deterministic}
    return Facts(words, frozenset(solutions), frozenset(exact))


# -------------------------------------------------------------------------------------------- result


@dataclass(frozen=True)
class RuleBreach:
    """A message that breaks a rule, and why."""

    rule: str
    told: SeenMessage
    reason: str


@dataclass(frozen=True)
class Feedback:
    """All messages of the wrong solutions, what breaks a rule, and which misconceptions were recognised.

    `beside` are messages of exact checks that the bank does not name for the solution: one mistake is charged twice.
    """

    told: tuple[SeenMessage, ...]
    breaches: tuple[RuleBreach, ...]
    recognised: tuple[Recognised, ...]
    beside: tuple[SeenMessage, ...] = ()

    def others(self) -> Counter[tuple[str, str]]:
        """Messages that name another misconception than the solution stands for, by the two.

        Not wrong by itself: a variance that is used as a standard deviation makes the gradient wrong as well.
        """
        wanted = {one.solution: one.wanted for one in self.recognised}
        pairs = ((wanted[one.solution], one.diagnosis) for one in self.told)
        return Counter((want, named) for want, named in pairs if want and named and named != want)

    def kinds(self) -> Counter[str]:
        """How many wrong solutions were recognised: right, wrong, none, unasked."""
        return Counter(one.kind for one in self.recognised)


def judged(told: Sequence[SeenMessage], solutions: Sequence[Solution], facts: Facts) -> Feedback:
    """The messages of these solutions against all rules."""
    breaches = [
        RuleBreach(rule.id, one, reason) for one in told for rule in RULES if (reason := rule.broken(one, facts))
    ]
    recognised = [
        Recognised(
            solution.id,
            solution.diagnosis,
            tuple(sorted({one.diagnosis for one in told if one.solution == solution.id and one.diagnosis})),
        )
        for solution in solutions
    ]
    named = {solution.id: {*solution.fails, *solution.sometimes} for solution in solutions}
    beside = [one for one in told if one.check in facts.exact - named[one.solution]]
    return Feedback(tuple(told), tuple(breaches), tuple(recognised), tuple(beside))


def lacks(assignment: Assignment) -> str:
    """Why nothing can be graded, "" if it can."""
    return "" if casefiles.bank_of(assignment).wrong else "the homework has no wrong solutions."


def measured(package: str, out: Path, *, every: int = 1, jobs: int = 1, tell: Tell = nobody) -> Feedback:
    """Grades every `every`-th wrong solution that the journal in `out` lacks; a new grader or solution anew."""
    assignment = homework.load(package)
    solutions: Sequence[Solution] = casefiles.bank_of(assignment).wrong[::every]
    grader, journal = version.of(assignment), Journal(out / "feedback.jsonl")
    work: dict[Key, tuple[str, Solution]] = {(one.id, one.code, grader): (package, one) for one in solutions}
    rows = [row for found in parallel.kept(journal, _told_by, work, jobs, tell) for row in found["told"]]
    return judged(
        [SeenMessage(**{**row, "shown": tuple(row["shown"])}) for row in rows], solutions, facts_of(assignment)
    )


def _told_by(package: str, solution: Solution) -> dict[str, Any]:
    """A row of the journal: what the solution's student is told."""
    return {"told": [asdict(one) for one in told_by(solution, homework.load(package))]}


# ------------------------------------------------------------------------------------------ the report


def _named(found: Feedback) -> int:
    """Wrong solutions whose misconception the bank names."""
    return sum(count for kind, count in found.kinds().items() if kind != "unasked")


def _often(found: Feedback) -> list[tuple[str, int, int]]:
    examples = sum(EXAMPLE in one.message for one in found.told)
    return [
        ("misconceptions recognised, of those that the bank names", found.kinds()["right"], _named(found)),
        ("messages that show a smallest example", examples, len(found.told)),
    ]


def _rules(found: Feedback) -> list[tuple[Rule, int]]:
    broken = Counter(breach.rule for breach in found.breaches)
    return [(rule, broken[rule.id]) for rule in RULES]


FORM = SectionForm[Feedback](
    "feedback",
    "Feedback",
    "What the students of our wrong solutions are told, held against rules. A rule that looks for words can miss "
    "a bad message, and a good one may have to be reworded for it.",
    (
        Claim[Feedback](
            "no message breaks a rule",
            lambda found: f"{len(found.breaches)} of {len(found.told):,}, to {len(found.recognised)} wrong solutions",
            lambda found: not found.breaches,
        ),
        Claim[Feedback](
            "no misconception is taken for another one",
            lambda found: f"{found.kinds()['wrong']} of {_named(found)}",
            lambda found: not found.kinds()["wrong"],
        ),
        Claim[Feedback](
            "a wrong solution fails no exact check beside those that the bank names for it",
            lambda found: f"{len(found.beside)} of {len(found.told):,} messages",
            lambda found: not found.beside,
        ),
    ),
    (
        TableForm[Feedback](
            "How often", _often, {"what": lambda row: row[0], "count": lambda row: row[1], "of": lambda row: row[2]}
        ),
        TableForm[Feedback](
            "Rules: every message ...",
            _rules,
            {
                "rule": lambda row: row[0].about,
                "looks for": lambda row: "words" if row[0].heuristic else "exact",
                "broken": lambda row: row[1],
            },
        ),
        TableForm[Feedback](
            "Not recognised",
            lambda found: [one for one in found.recognised if one.kind in ("wrong", "none")],
            {
                "solution": lambda one: one.solution,
                "misconception": lambda one: one.wanted,
                "named instead": lambda one: ", ".join(one.named) or "nothing",
            },
        ),
        TableForm[Feedback](
            "Rules broken",
            lambda found: found.breaches,
            {
                "solution": lambda one: one.told.solution,
                "check": lambda one: one.told.check,
                "rule": lambda one: one.rule,
                "why": lambda one: one.reason,
                "message": lambda one: one.told.message,
            },
        ),
        TableForm[Feedback](
            "Failed beside what the bank names",
            lambda found: found.beside,
            {
                "solution": lambda one: one.solution,
                "check": lambda one: one.check,
                "message": lambda one: one.message,
            },
        ),
        TableForm[Feedback](
            "Names beside the right one",
            lambda found: [(*pair, count) for pair, count in sorted(found.others().items())],
            {
                "misconception": lambda row: row[0],
                "also named": lambda row: row[1],
                "messages": lambda row: row[2],
            },
            folded=True,
        ),
        TableForm[Feedback](
            "All messages",
            lambda found: found.told,
            {
                "solution": lambda one: one.solution,
                "check": lambda one: one.check,
                "message": lambda one: one.message,
            },
            folded=True,
        ),
    ),
)
section = FORM.filled
PART = AuditPart("what wrong solutions are told", 12, measured, FORM, lacks)
