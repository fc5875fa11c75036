"""Points shared out: in hundredths that add up exactly, the parts that are named most narrowly first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from autograder.core import Assignment
from autograder.intake import parts


def shared(total: float, weights: Mapping[str, float]) -> dict[str, float]:
    """`total` in proportion to the weights, in hundredths that add up to it exactly (the largest remainders first)."""
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0.0)
    cents = round(total * 100)
    exact = {name: cents * weight / whole for name, weight in weights.items()}
    floors = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    order = sorted(weights, key=lambda name: floors[name] - exact[name])  # sorted() keeps the order of equals
    more = set(order[: cents - sum(floors.values())])
    return {name: (floors[name] + (name in more)) / 100 for name in weights}


def divisible(total: float, weights: Sequence[float]) -> bool:
    """Whether every weight above 0 gets a hundredth at least; a total of 0 takes all points away."""
    given = [weight for weight in weights if weight]
    return not given or round(total, 9) == 0 or total * min(given) / sum(given) >= 0.01 - 1e-9


def by_narrowness(assignment: Assignment, points: Mapping[str, float]) -> Iterator[tuple[set[str], float]]:
    """The groups of checks that get points of their own, and how many, the narrowest first.

    What is named more narrowly is taken out of the wider group, with its points.
    """
    groups = sorted(
        (({check.id for check in parts.of(assignment, one)}, value) for one, value in points.items()),
        key=lambda pair: len(pair[0]),
    )
    for at, (held, value) in enumerate(groups):
        inside = [(other, own) for other, own in groups[:at] if other < held]
        outer = [(other, own) for other, own in inside if not any(other < more for more, _ in inside)]
        taken = {name for other, _ in outer for name in other}
        yield held - taken, value - sum(own for _, own in outer)


def counting(count: str, most: float | None, required: float, optional: float, total: float) -> float:
    """How many of the `optional` points count beside the `required` ones, by a course's rule, where all are `total`."""
    counted = 0.0 if count == "no" else optional if most is None else min(optional, most)
    return max(0.0, min(counted, total - required)) if count == "capped" else counted
