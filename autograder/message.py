"""A message to a student in its parts, which are made here alone: what was seen, what was expected, an example.

Judges write sentences. `Message.of` takes them apart by the one convention that all of them keep: the first sentence
says what was seen, "Expected: ..." or "...; expected ..." what was expected, "Smallest example: ..." comes last, and
what else stands there names the misconception, if the verdict has the id of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

EXAMPLE = "Smallest example: "
"""How the sentence begins that shows inputs, which are the same for everybody."""
EXPECTED = "Expected: "
QUOTED = frozenset(("raised", "import", "memory"))
"""Diagnoses whose sentence ends in an exception's own words: nothing in these is a part."""
FACTS = QUOTED | {
    "",
    *("crashed", "deadline", "ended", "flood", "forged", "missing", "unfilled", "unjudgeable", "unusable"),
    *("dtype", "not_finite", "shape"),
}
"""Diagnoses that say what happened and name no misconception."""
MOST_CALLS = 3
MOST_CHARACTERS = 400
"""Characters of what was seen and what was expected, together."""
_END = re.compile(r"(?<=[.?!])\s+")
_CLAUSE = re.compile(r";\s+expected:?\s+")
_BUT = re.compile(r", but (?P<what>.+) (?:was|were) expected(?P<more>: .+)?\.$")
_REASON = re.compile(r": (?=[a-z`\d])")
_ONE = re.compile(r" is not the expected one: ")


@dataclass(frozen=True)
class Call:
    """A line of the student's own code that was running when an exception was raised.

    `place` is its file and line. `error` stands with the line that raised the cause of another exception: what it was.
    """

    place: str
    source: str = ""
    error: str = ""

    @property
    def line(self) -> str:
        """All of it as one line."""
        before = f"because of {self.error} at " if self.error else ""
        return f"{before}{self.place}: {self.source}" if self.source else f"{before}{self.place}"


@dataclass(frozen=True)
class Message:
    """What a student reads of a check.

    `found` is what was seen, `named` the misconception behind it, `pace` how much of its time the check took, where
    that was close. `calls` are the student's own lines on the way to an exception, the deepest last.
    """

    found: str
    named: str = ""
    expected: str = ""
    example: str = ""
    calls: tuple[Call, ...] = ()
    pace: str = ""

    @classmethod
    def of(cls, text: str, diagnosis: str = "", calls: tuple[Call, ...] = (), pace: str = "") -> Message:
        """The parts of a judge's sentences, which name a misconception if `diagnosis` is the id of one."""
        text = " ".join(text.split())
        if diagnosis in QUOTED:
            return cls(text, calls=calls, pace=pace)
        text, _, example = text.partition(EXAMPLE)
        sentences = _END.split(text.strip())
        found, expected, rest = _apart(sentences)
        named = ""
        if diagnosis in FACTS:
            found, expected = (found, [*expected, *rest]) if expected else ([*found, *rest], [])
        else:
            found, told = (found[:1], [*found[1:], *rest]) if found else ([], rest)
            named = " ".join(told)
            reason = _REASON.search(found[0]) if found and not named else None
            if reason is not None:  # "All entries got the same centre: m was averaged."
                found, named = [f"{found[0][: reason.start()]}."], _sentence(found[0][reason.end() :])
        return cls(" ".join(found), named, " ".join(expected), example, calls, pace)

    def until(self, look: int, *, example: int, named: int) -> Message:
        """What the student's `look`-th submission is told, where a course hands hints out one after the other.

        `example` and `named` are the first submissions that are told the smallest example and the misconception.
        """
        return replace(self, example=self.example if look >= example else "", named=self.named if look >= named else "")

    @property
    def seen(self) -> str:
        """What was seen, with the misconception's name."""
        return " ".join(filter(None, (self.found, self.named)))

    @property
    def text(self) -> str:
        """All parts as plain text, a line each."""
        return "\n".join(self.lines)

    @property
    def line(self) -> str:
        """All parts as one line."""
        return " ".join(" ".join(self.lines).split())

    @property
    def lines(self) -> tuple[str, ...]:
        """The parts, each with the word that says what it is; the calls are set in."""
        calls = (f"  {call.line}" for call in self.calls)
        return (self.seen, *calls, *(f"{label}{part}" for label, part in self.labelled))

    @property
    def labelled(self) -> tuple[tuple[str, str], ...]:
        """The parts behind the first one, each behind the word that says what it is; only those that are there."""
        every = ((EXPECTED, self.expected), (EXAMPLE, self.example), ("", self.pace))
        return tuple((label, part) for label, part in every if part)

    def mapped(self, change: Callable[[str], str]) -> Message:
        """The message with every text changed."""
        own = {one.name: change(getattr(self, one.name)) for one in fields(self) if one.name != "calls"}
        return Message(**own, calls=tuple(Call(*map(change, vars(call).values())) for call in self.calls))

    def plain(self) -> dict[str, Any]:
        """As plain data; only the parts that are there."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "calls"}
        listed = [{name: part for name, part in vars(call).items() if part} for call in self.calls]
        return {name: part for name, part in {**own, "calls": listed}.items() if part}

    @classmethod
    def read(cls, data: object, text: str = "") -> Message:
        """What `plain` gave, from a file that anybody may have changed; `text` where it is nothing of the kind."""
        if not isinstance(data, Mapping):
            return cls(text)
        own = {one.name: data[one.name] for one in fields(cls) if isinstance(data.get(one.name), str)}
        listed = data.get("calls")
        calls = tuple(
            Call(*(str(one.get(name, "")) for name in ("place", "source", "error")))
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, Mapping)
        )
        return cls(**{"found": text, **own}, calls=calls[:MOST_CALLS])


def _apart(sentences: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """The sentences of what was seen, those of what was expected, and those behind these."""
    marked = [place for place, one in enumerate(sentences) if one.startswith(EXPECTED.strip())]
    clause = _CLAUSE.search(sentences[0])
    if clause is not None:  # "The loss was 1; expected 2."
        behind = [one for place, one in enumerate(sentences) if place not in (0, *marked)]
        expected = [
            sentences[0][clause.end() :],
            *(sentences[place].removeprefix(EXPECTED.strip()) for place in marked),
        ]
        return [f"{sentences[0][: clause.start()]}."], [_joined(expected)], behind
    if not marked:
        one, but = _ONE.search(sentences[0]), _BUT.search(sentences[0])
        if one is not None:  # "The state is not the expected one: one layer after the other."
            return [f"{sentences[0][: one.end() - 2]}."], [sentences[0][one.end() :]], list(sentences[1:])
        if but is not None:  # "It returned None, but a number was expected."
            what = f"{but['what']}{but['more'] or ''}."
            return [f"{sentences[0][: but.start()]}."], [what], list(sentences[1:])
        return list(sentences), [], []
    expected = [sentences[place].removeprefix(EXPECTED.strip()).strip() for place in marked]
    if len(marked) > 1:  # several faults, each with its own
        return [one for place, one in enumerate(sentences) if place not in marked], [_joined(expected)], []
    return list(sentences[: marked[0]]), expected, list(sentences[marked[0] + 1 :])


def _joined(expected: Sequence[str]) -> str:
    """One sentence of several that say what was expected, without those that another one holds."""
    parts = [one.strip().removesuffix(".") for one in expected]
    kept = [one for place, one in enumerate(parts) if not any(one in other for other in parts[:place])]
    return "; ".join(kept) + "."


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name or a formula: "v was not used"."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if len(first) > 1 and first.isalpha() else text
