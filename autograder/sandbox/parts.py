"""The one codec for nested values: what a probe is asked and what it answers, as the flat names that cross the sandbox.

The wire holds one flat mapping. A value below others is named by its path, with dots between, and the items of a list
by their places; how many a list has stands beside it, so that nobody counts names:

    pack(values={"cases": [{"m": a}, {"m": b}]}, calls=8)
        == {"values.cases:count": 2, "values.cases.0.m": a, "values.cases.1.m": b, "calls": 8}

A homework's `inputs` and probes `pack`, and its `returns` names what may come back the same way (`returns.declared`).
A probe trusts what it was given and can `unpack` it. A judge trusts only `given`: it reads `section`s of a trial, and
`each` case of it, as many as were given.

Several parts in one request: a fork costs more than most probes, and a fault must cost only its own part. A part that
raised is reported as its fault, beside the others' values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from autograder.core import CheckFailed, Trial, Value
from autograder.sandbox.faults import Fault, observation_of

FAULT = "fault"
COUNT = ":count"
"""Behind a list's name: how many items it has. No name has a colon, so it is nobody else's."""
Action = Callable[[], Mapping[str, Any]]


def pack(**tree: Any) -> dict[str, Any]:
    """Mappings and lists of values, however deep, as one flat mapping; a mapping that is empty leaves nothing there."""
    return dict(leaves(tree, len))


def leaves(
    tree: Mapping[str, Any], counted: Callable[[Sequence[Any]], Any], above: str = ""
) -> Iterator[tuple[str, Any]]:
    """Each leaf behind its flat name, and for each list what `counted` makes of it."""
    for name, value in tree.items():
        if type(value) in (list, tuple):  # a student's own class may be one, with methods of its own
            yield f"{above}{name}{COUNT}", counted(value)
            value = {str(place): item for place, item in enumerate(value)}
        if type(value) is dict:
            yield from leaves(value, counted, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def unpack(values: Mapping[str, Any]) -> dict[str, Any]:
    """The mappings and lists that were packed. For values of ours: an item that is not there is a KeyError."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        if not last.endswith(COUNT):
            _within(tree, above)[last] = value
    for name in sorted(values, key=lambda name: -name.count(".")):  # the innermost lists first
        if name.endswith(COUNT):
            *above, last = name.removesuffix(COUNT).split(".")
            items = _within(tree, above)
            found = items.get(last, {})
            items[last] = [found[str(place)] for place in range(values[name])]
    return tree


def _within(tree: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for name in path:
        tree = tree.setdefault(name, {})
    return tree


def take(values: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The values of one part, by their own names."""
    return {name[len(part) + 1 :]: value for name, value in values.items() if name.startswith(f"{part}.")}


def item(name: str, place: int) -> str:
    """The part that one item of a list is."""
    return f"{name}.{place}"


def is_list(values: Mapping[str, Any], name: str) -> bool:
    """Whether these values say that there is a list of this name."""
    return f"{name}{COUNT}" in values


def length(values: Mapping[str, Any], name: str, *, most: int) -> int:
    """How many items a list has by its own word, from 0 to `most`. Raises `CheckFailed` where it does not say so."""
    found = values.get(f"{name}{COUNT}")
    if type(found) is not int or not 0 <= found <= most:
        raise CheckFailed(f"{name} is missing in the result or cannot be read.")
    return found


def items(values: Mapping[str, Any], name: str, count: int | None = None) -> list[dict[str, Any]]:
    """The values of each item of a list of mappings.

    Without `count` it says itself how many there are, which only values of ours may. An item that is not there is
    empty.
    """
    many = values[f"{name}{COUNT}"] if count is None else count
    return [take(values, item(name, place)) for place in range(many)]


def run(describe: Callable[[BaseException], Fault], **parts: Action | Sequence[Action]) -> dict[str, Any]:
    """Inside a worker: each part's values, or its fault where the student's code raised in it.

    Of a list of parts each has its own.
    """

    def seen(action: Action) -> dict[str, Any]:
        try:
            return pack(**action())
        except BaseException as error:  # SystemExit and KeyboardInterrupt are students' faults too
            fault = describe(error)
            return pack(**{FAULT: dict(vars(fault))})

    return pack(**{name: seen(one) if callable(one) else [seen(each) for each in one] for name, one in parts.items()})


@lru_cache(maxsize=8)
def section(trial: Trial, part: str) -> Trial:
    """In the judge: one part of a trial, the same object each time, so that judges can share a cached reading of it.

    Raises `CheckFailed` with the sentence for its fault, if it has one.
    """
    return _section(trial, part)


def _section(trial: Trial, part: str) -> Trial:
    own = _part(trial, part)
    if f"{FAULT}.kind" in own.got:
        words: list[Value] = [own.got.get(f"{FAULT}.{name}", "") for name in ("kind", "text", "where", "trace")]
        seen = observation_of(Fault(*(word if isinstance(word, str) else "" for word in words)))
        raise CheckFailed(seen.error, diagnosis=seen.diagnosis, calls=seen.calls)
    return own


def _part(trial: Trial, part: str) -> Trial:
    return Trial(take(trial.given, part), take(trial.got, part), take(trial.want, part))


def each(trial: Trial, name: str = "cases") -> list[Trial]:
    """In the judge: a trial for each item of a list that was given, with what came back for it.

    Raises `CheckFailed` where another number came back.
    """
    return [_part(trial, item(name, place)) for place in range(_given(trial, name))]


def sections(trial: Trial, name: str = "cases") -> Iterator[Trial]:
    """The same of a list of parts: each raises `CheckFailed` with its own fault, if it has one, when it is reached."""
    return (_section(trial, item(name, place)) for place in range(_given(trial, name)))


def _given(trial: Trial, name: str) -> int:
    given, came = trial.given[f"{name}{COUNT}"], trial.got.get(f"{name}{COUNT}")
    assert type(given) is int
    if came is not None and (type(came) is not int or came != given):
        raise CheckFailed(f"The result has a wrong number of {name}. Expected: {given}.")
    return given
