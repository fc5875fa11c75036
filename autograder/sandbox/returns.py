"""Declares what may come back from a request, and checks it in one place before any judge sees it.

A probe's answer crosses the sandbox's border as named values, and whoever owns the worker chooses them. So every
request declares the names, types, shapes and sizes of its answer. What is declared is what may come at all: a
student's own wrong shape is for the judge to name, and is let through as long as its size is one that can be judged.

    def _returns(given: Values) -> Specs:
        return parts(
            shapes={"cases": [{"z": numbers(most=1000)} for case in range(3)]},
            noise={"z": numbers(8, None, 3, most=10_000), "kept": flag(), "form": text(60)},
        )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograder.core import Observation, Request, Spec, Specs, Value, Values
from autograder.sandbox.parts import FAULT, leaves, pack
from autograder.sandbox.wire import MAX_BODY

REAL = "fiub"
LEAST = 64 * 1024
"""Bytes that any answer may have: below it each value is refused by its own name, and not the whole of them."""
WIDEST = 8
"""Bytes of the widest dtype that a frame holds."""
FAULTS = {"kind": 40, "text": 2000, "where": 2000, "trace": 2000}
"""Characters of the words of a part's fault."""


def numbers(*shape: int | None, most: int | None = None, dtypes: str = REAL, what: str = "") -> Spec:
    """An array of real numbers: of any shape where none is given, with at most `most` entries.

    `most` follows from the shape where all its sizes are known. `dtypes` as in `Spec`.
    """
    sizes = [size for size in shape if size is not None]
    if most is None:
        assert len(sizes) == len(shape) > 0, "an array of no known shape needs the number of its entries"
        most = int(np.prod(sizes))
    return Spec(dtypes=dtypes, shape=shape or None, most=most, what=what)


def entries(count: int, **named: str) -> Spec:
    """An array of any shape where one of `count` entries is right: `numbers` with room for wrong shapes.

    A student's shape can be wrong by a factor, such as (n, n) in place of (n,), and its judge says so. Four times the
    square of the right count holds every pair of axes that were multiplied by mistake, and no more than 200,000.
    """
    return numbers(most=int(min(max(4 * count * count, 4 * count, 64), max(200_000, 4 * count))), **named)


def scalar(dtypes: str = REAL) -> Spec:
    """An array of one number, whose shape is ()."""
    return Spec(dtypes=dtypes, shape=(), most=1)


def real() -> Spec:
    """A plain number; one that is not finite crosses the sandbox's border as an array of shape ()."""
    return Spec(dtypes="f", shape=(), most=1, scalars=(float, int))


def flag() -> Spec:
    """True or False."""
    return Spec(scalars=(bool,))


def count(most: int = 10**6) -> Spec:
    """A whole number from 0 to `most`."""
    return Spec(scalars=(int,), most=most)


def text(most: int) -> Spec:
    """A text of at most so many characters."""
    return Spec(scalars=(str,), most=most)


def word(*words: str, other: str = "") -> Spec:
    """One of these texts; `other` is put in the place of any else, if it is given."""
    return Spec(scalars=(str,), most=max(map(len, words), default=0), words=words, other=other)


def declared(**tree: Any) -> dict[str, Spec]:
    """Mappings and lists of Specs, however deep, by the names that `parts.pack` gives to values of that form.

    How many items of a list come back is told, too; no more of them than are declared reach a judge.
    """
    return dict(leaves(tree, lambda _items: count()))


def parts(**of: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Spec]:
    """The values of `parts.run`: each part's own, or its fault; of a list of parts each one's."""
    faults = {FAULT: {name: text(most) for name, most in FAULTS.items()}}
    return declared(
        **{
            part: {**own, **faults} if isinstance(own, Mapping) else [{**one, **faults} for one in own]
            for part, own in of.items()
        }
    )


# ------------------------------------------------------------------------------------------ the one place


def largest(request: Request, given: Values) -> int:
    """Bytes of all arrays that an answer can have reason to hold, with what leaves room to name a wrong shape."""
    if request.returns is None:
        return MAX_BODY
    declared = sum(WIDEST * spec.most for spec in request.returns(given).values() if spec.dtypes)
    return min(MAX_BODY, LEAST + declared)


def refusal(value: Value, spec: Spec) -> str:
    """Why this value is none of what was declared, as the end of a sentence; "" where it is."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in spec.dtypes:
            return f"an array of {value.dtype} was returned, which is not allowed"
        extent = int(np.prod([max(size, 1) for size in value.shape]))  # an empty array can have huge axes, too
        if extent > max(spec.most, 1) or not _shaped(value.shape, spec.shape):
            wanted = f"at most {spec.most:,} numbers" if spec.shape is None else f"shape {_told(spec.shape)}"
            return f"it has shape {list(value.shape)}, but {wanted} was expected"
        return ""
    if type(value) not in spec.scalars:
        return f"a {type(value).__name__} was returned, which is not allowed"
    if type(value) is int and float not in spec.scalars and not 0 <= value <= spec.most:
        return f"a whole number out of range was returned ({len(str(value))} digits)"
    if isinstance(value, str) and not (len(value) <= spec.most if spec.words is None else value in _words(spec)):
        return "a text was returned that is not allowed"
    return ""


def _words(spec: Spec) -> tuple[str, ...]:
    return (*(spec.words or ()), *([spec.other] if spec.other else []))


def _shaped(shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(w is None or w == s for s, w in zip(shape, wanted, strict=True))


def _told(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def admitted(request: Request, given: Values, seen: Observation) -> Observation:
    """What was observed, with no value but those that were declared.

    A value that is not what was declared is the fault of its part, where it belongs to one, else of the whole answer.
    """
    if request.returns is None or seen.values is None:
        return seen
    specs = request.returns(given)
    kept: dict[str, Value] = {}
    faults: dict[str, str] = {}
    for name, value in seen.values.items():
        if (spec := specs.get(name)) is None:
            continue  # nobody asked for it
        if isinstance(value, str) and spec.other and value not in _words(spec):
            value = spec.other
        if not (why := refusal(value, spec)):
            kept[name] = value
            continue
        sentence = f"{spec.what}: {why}" if spec.what else why
        if not (part := _part(name, specs)):
            told = f"The returned values could not be used: {sentence}."
            return replace(seen, values=None, error=told, diagnosis="unusable")
        faults.setdefault(part, sentence)
    for part, sentence in faults.items():
        kept = {name: value for name, value in kept.items() if not name.startswith(f"{part}.")}
        words = dict(zip(FAULTS, ("unusable", sentence, "", ""), strict=True))
        kept |= pack(**{part: {FAULT: words}})
    return replace(seen, values=kept)


def _part(name: str, specs: Specs) -> str:
    """The innermost part around a value that may have a fault of its own, "" where there is none."""
    path = name.split(".")
    around = (".".join(path[:end]) for end in range(len(path) - 1, 0, -1))
    return next((part for part in around if f"{part}.{FAULT}.kind" in specs), "")
