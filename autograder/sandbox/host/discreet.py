"""Says what a private probe's worker reports without handing on words of its own choice.

The worker of a private ask (`Request.private`) holds something right, such as a sampler, and the submission's code that
runs there could read it and spell it out: in an exception's text, in the name of an exception's class, of a file or of
a value. So a student sees of such a fault the type of the exception, if Python or a library has one of that name, and
the submission's own file and line; no other line and no source, which the worker could have made up. Sentences of our
probes are shown if they are sentences of our probes. Whatever else was said is for the staff.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from autograder.core import Observation, Request, Submission, Value
from autograder.sandbox.faults import Fault, observation_of
from autograder.sandbox.protocol import probe_files
from autograder.text import clean

DEEP = 3
"""Of sentences inside of sentences."""
SIZES = re.compile(r"\[?\d{1,5}(?:, \d{1,5}){0,5}\]?")
"""A count, or a shape."""
PLACE = re.compile(r"(?P<file>[\w. /\-]{1,120}?)(?P<cell>, code cell \d{1,4})?, line (?P<line>\d{1,6})(?: \(in .*\))?")
TYPES = frozenset(
    [name for name, value in vars(builtins).items() if isinstance(value, type)]
    + ["NoneType", "function", "method", "module", "generator", "Tensor", "Parameter", "Size", "ndarray", "Normal"]
    + ["OutOfMemoryError", "LinAlgError", "OrderedDict", "defaultdict", "SimpleNamespace", "Linear", "Sequential"]
    + [f"torch.{name}" for name in ("bool", "float16", "bfloat16", "float64", "int64", "complex64", "complex128")]
)
"""Names of types that say nothing of what holds them."""
INSTEAD: Mapping[str, str] = {
    "missing": "A graded file or name was not found, or could not be read",
    "unusable": "it is not the expected result",
    "unfilled": "NotImplementedError was raised",
}


def observed(fault: Fault, request: Request, submission: Submission, probes: str) -> Observation:
    """What a worker's fault says, and in the log what it said itself where that is not handed on."""
    if not request.private or submission.ours:
        return observation_of(fault)
    return replace(observation_of(discreet(fault, submission.workspace, probes)), log=_for_the_staff(fault))


def parts(
    values: Mapping[str, Value], request: Request, submission: Submission, probes: str
) -> tuple[dict[str, Value], str]:
    """The values with the same done to the faults of their parts; and the words that are for the staff."""
    kept = dict(values)
    said = []
    if request.private and not submission.ours:
        for name in [name for name in values if name.endswith(".fault.kind")]:
            part = name.removesuffix("kind")
            words = [kept.get(f"{part}{word}", "") for word in ("kind", "text", "where", "trace")]
            fault = Fault(*(word if isinstance(word, str) else "" for word in words))
            shown = discreet(fault, submission.workspace, probes)
            kept |= {f"{part}{word}": told for word, told in vars(shown).items()}
            said.append(_for_the_staff(fault))
    return kept, "\n".join(dict.fromkeys(said))


def _for_the_staff(fault: Fault) -> str:
    return clean(f"{fault.kind}: {fault.text} ({fault.where})", limit=600)


def discreet(fault: Fault, workspace: Path, probes: str) -> Fault:
    """The fault with no words but ours, names of types, and the submission's own lines."""
    kind = fault.kind if fault.kind in (*INSTEAD, "import", "memory") else "raised"
    where = _place(fault.where, workspace)
    if kind not in INSTEAD:
        name = fault.text.partition(":")[0]
        return Fault(kind, name if name in TYPES else "an exception", where)
    for text in (fault.text, fault.text.partition("; ")[0]):  # behind it may stand what could not be read, and why
        if sentences(probes).has(text):
            return Fault(kind, text, where)
    return Fault(kind, INSTEAD[kind], where)


def _place(where: str, workspace: Path) -> str:
    found = PLACE.fullmatch(where)
    if (
        found is None
        or ".." in found["file"]
        or found["file"].startswith("/")
        or not (workspace / found["file"]).is_file()
    ):
        return ""
    return f"{found['file']}{found['cell'] or ''}, line {found['line']}"


# -------------------------------------------------------------------------------- the probes' sentences


@dataclass(frozen=True)
class Sentences:
    """Texts that stand in our own code, and patterns of those that it fills in."""

    texts: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    def has(self, text: str, depth: int = 0) -> bool:
        """Whether it is one of them, filled with others of them, with sizes or with names of types."""
        if text in self.texts or (depth > 0 and (text in TYPES or SIZES.fullmatch(text) is not None)):
            return True
        if depth == DEEP:
            return False
        found = (pattern.fullmatch(text) for pattern in self.patterns)
        return any(one is not None and all(self.has(part, depth + 1) for part in one.groups()) for one in found)


SOURCES = ("contents.py", "student.py", "worker.py", "notebooks.py")
"""Where the engine's own sentences stand."""


@lru_cache(maxsize=2)
def sentences(probes: str) -> Sentences:
    """Those of the probes' package, which is read and not imported: it needs torch, which the judge does without."""
    found = importlib.util.find_spec(probes)
    folders = found.submodule_search_locations if found is not None else None
    files = [path for folder in folders or () for path in probe_files(Path(folder))]
    texts: set[str] = set()
    patterns: set[str] = set()
    for path in [*files, *(Path(__file__).parents[1] / "guest" / name for name in SOURCES)]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 1:
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr) and (pattern := _pattern(node)):
                patterns.add(pattern)
    return Sentences(frozenset(texts), tuple(re.compile(pattern) for pattern in sorted(patterns)))


def _pattern(node: ast.JoinedStr) -> str:
    """What a filled-in text looks like; "" where it has no word of its own."""
    literal = "".join(_literals(node))
    if not re.search(r"[A-Za-z]{2}|\ba\b", literal):
        return ""
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.{0,120}?)" for part in node.values
    )


def _literals(node: ast.JoinedStr) -> Iterator[str]:
    return (str(part.value) for part in node.values if isinstance(part, ast.Constant))
