"""How values are compared: reading them safely, exact comparison within rounding, statistical comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from autograder.core import Array, CheckFailed, Trial, Values, Verdict
from autograder.judging.stats import Finding, smallest_p

NOTHING: Mapping[str, float] = MappingProxyType({})
MOST = 2**22
"""No answer has more numbers than fit into a frame of the wire as float32 (16 MiB). More could come as bytes, and would
take eight times their size as the float64 that is computed with."""
HUGE = 1e30
"""Larger values are refused before anything is computed with them.

Chosen, not derived: what a frame holds at most, 2^24 of such numbers, still has a sum of squares of 2e67 and a fourth
power of that sum below float64's 1.8e308, and no right answer of a homework comes near it.
"""


@dataclass(frozen=True)
class Exact:
    """A judge without luck: `rule` compares within a derived rounding bound."""

    rule: Callable[[Trial], Verdict]
    alpha: float = 0.0

    def __call__(self, trial: Trial) -> Verdict:
        return self.rule(trial)


@dataclass(frozen=True)
class Statistical:
    """A judge whose false-fail probability is at most `alpha` for one attempt.

    `rule` gets alpha and fails when the smallest corrected p is below it. `detects` tells the smallest
    effect that is missed with probability below 1e-6, at the sample size that the check uses.
    """

    rule: Callable[[Trial, float], Verdict]
    alpha: float
    detects: str

    def __call__(self, trial: Trial) -> Verdict:
        return self.rule(trial, self.alpha)


@dataclass(frozen=True)
class Misconception:
    """A known mistake: the id that goes into the results, the sentence for the student, what it would give."""

    id: str
    sentence: str
    formula: Callable[..., Array | float]


def array(values: Values, name: str, *, shape: Sequence[int] | None = None, what: str = "") -> Array:
    """`values[name]` in float64, with the expected shape and finite; `CheckFailed` with a sentence otherwise."""
    value = values.get(name)
    if not isinstance(value, np.ndarray):
        raise CheckFailed(f"{what or name} is missing in the result.")
    if shape is not None and value.shape != tuple(shape):
        raise CheckFailed(f"{what or name} has shape {list(value.shape)}. Expected: {list(shape)}.", diagnosis="shape")
    if value.size > MOST:
        raise CheckFailed(f"{what or name} holds {value.size} numbers. Expected: at most {MOST}.", diagnosis="shape")
    if not np.isfinite(value).all():
        raise CheckFailed(
            f"{what or name} holds an infinity or a nan. Expected: finite numbers.", diagnosis="not_finite"
        )
    plain = value.astype(np.float64)
    if np.abs(plain).max(initial=0.0) > HUGE:
        told = f"{what or name} holds values beyond {HUGE:.0e}. Expected: smaller numbers."
        raise CheckFailed(told, diagnosis="not_finite")
    return plain


def whole(values: Values, name: str, *, least: int, most: int) -> int:
    """An integer that a probe reported, within the range that makes sense."""
    value = values.get(name)
    if type(value) is not int or not least <= value <= most:
        raise CheckFailed(f"{name} is missing in the result or cannot be read.")
    return value


def parts_of(values: Values, name: str, *, total: int) -> list[int] | None:
    """How many of `total` rows each of several calls had, as a probe reported it; None where it makes no sense.

    Every call has one row at least, and together they have `total`: no number that is returned is larger.
    """
    value = values.get(name)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "iu" or value.size > total:
        return None
    counts = [int(count) for count in value]
    return counts if sum(counts) == total and all(count >= 1 for count in counts) else None


def tolerance_ratio(
    got: Array | float, want: Array | float, bound: Array | float, *, beside: Array | float = 0.0
) -> float:
    """The largest share of the rounding bound that the difference uses; infinity if anything is not finite.

    What is allowed `beside` rounding, such as a tiny constant, uses none of it: at most 1 is bound + beside at most.
    """
    got, want, bound = np.asarray(got, float), np.asarray(want, float), np.asarray(bound, float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        tolerance_used = np.maximum(np.abs(got - want) - beside, 0.0) / bound
    return float(np.max(tolerance_used, initial=0.0)) if np.isfinite(tolerance_used).all() else float("inf")


def within(got: Array | float, want: Array | float, bound: Array | float) -> bool:
    """Whether the difference is within the rounding bound everywhere."""
    return tolerance_ratio(got, want, bound) <= 1.0


def shown(values: npt.ArrayLike, digits: int = 4) -> str:
    """Numbers for a sentence, without trailing zeros: "0.8069", "[0, 4]", "[[1], [2.5]]"."""
    plain = np.asarray(values, float)
    return f"[{', '.join(shown(one, digits) for one in plain)}]" if plain.ndim else f"{plain + 0.0:.{digits}g}"


def apart(got: npt.ArrayLike, want: npt.ArrayLike, digits: int = 4) -> tuple[str, str]:
    """Both for one sentence, with at least `digits` digits and as many more as tell them apart.

    17 digits tell any two float64 numbers apart; two that are the same get no more than were asked for.
    """
    for more in range(digits, 18):
        told = shown(got, more), shown(want, more)
        if told[0] != told[1]:
            return told
    return shown(got, digits), shown(want, digits)


def got_and_expected(got: npt.ArrayLike, want: npt.ArrayLike, digits: int = 4) -> str:
    """How a comparison ends, with as many digits as tell the two apart: "0.5; expected 0.8069."."""
    one, other = apart(got, want, digits)
    return f"{one}; expected {other}."


def passed(
    message: str, *, tolerance_used: float | None = None, p: float | None = None, figures: Mapping[str, float] = NOTHING
) -> Verdict:
    """Full marks."""
    return Verdict(1.0, message, tolerance_used=tolerance_used, p=p, figures=figures)


def at_level(findings: Sequence[Finding], alpha: float, right: str) -> tuple[Verdict | None, Finding]:
    """The passing verdict if no finding is significant, else None; and the worst finding, corrected."""
    worst = smallest_p(findings)
    return (passed(right, p=worst.p) if worst.p >= alpha else None), worst
