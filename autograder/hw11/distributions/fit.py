"""Asks and judges `fit_gaussian(target, direction)`: by what the Gaussian costs in nats, never by its parameters.

With f the log density of the target and g = N(m, s^2), the two divergences are, up to what no g changes,
    D(target || g):  log s + (S^2 + (M - m)^2) / (2 s^2), least at the mixture's mean M and standard deviation S;
    D(g || target):  -log s - E f(m + s z), z ~ N(0, 1), whose minima are found by Newton's method.
At any of the latter's minima s^2 E[-f''] = 1 (Stein 1981, lemma 1, applied to the derivative by s), so an error of the
mean by e s costs e^2 / 2, as it does forwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.judging.judges import array, passed, shown
from autograder.sandbox.parts import items, pack, section, sections
from autograder.sandbox.returns import flag, numbers, parts, text
from autograder.text import clean

MOST = 1e-3
"""Nats by which D may exceed its minimum. Chosen, as the notebook's own check has it.

An error of 1 % of s in the mean costs 0.00005 nats, one of 1 % in s itself 0.0001 forwards, and backwards e^2 / 2 times
the second derivative by log s, which is 2 for a Gaussian: for what is asked here both together stay below
0.0005 (tests). A grid or an optimiser with an error of 1 % is right, and so are the moments of 20,000 samples; an error
of 4.5 % of s in the mean is not."""
NEAR = 0.02
"""Nats up to which an answer is the right one found inexactly: an error of up to 14 % of s in s, 20 % in the mean.

Chosen. It comes before all known mistakes: such a one explains what is clearly worse, and nothing else."""
CLEAR = 0.05
"""Nats by which the best Gaussian is better than any other local optimum and than known mistakes. Chosen."""
SAME = 0.03
"""A parameter is taken for that of a known mistake within this share of s: a name for the student, no point. Chosen."""

# ------------------------------------------------------------------------------------------ targets


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians, as the notebook has it."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        return np.array(self.weights), np.array(self.means), np.array(self.stds)

    def unweighted(self) -> Mixture:
        return Mixture((1 / len(self.weights),) * len(self.weights), self.means, self.stds)

    def moved(self, by: float, scale: float) -> Mixture:
        """The distribution of by + scale x."""
        return Mixture(
            self.weights, tuple(by + scale * mean for mean in self.means), tuple(scale * std for std in self.stds)
        )


Numbers = Sequence[float] | Array


def mixture(weights: Numbers, means: Numbers, stds: Numbers, order: Sequence[int] | Array) -> Mixture:
    """The components in another order, weights made to sum to 1."""
    total = sum(weights)
    return Mixture(
        tuple(weights[at] / total for at in order),
        tuple(float(means[at]) for at in order),
        tuple(float(stds[at]) for at in order),
    )


@dataclass(frozen=True)
class Fit:
    """A Gaussian's mean and standard deviation, and what it costs above the best one, in nats."""

    mean: float
    std: float
    excess: float = 0.0

    def like(self, mean: float, std: float) -> bool:
        """Whether these are its parameters, or nearly."""
        close = abs(mean - self.mean) <= SAME * self.std
        return close and std > 0 and abs(math.log(std) - math.log(self.std)) <= SAME  # a ratio may underflow


# ------------------------------------------------------------------------------------------ forward


def moments(target: Mixture) -> Fit:
    """The best Gaussian forwards."""
    w, m, s = target.arrays
    mean = float(w @ m)
    return Fit(mean, math.sqrt(float(w @ (s**2 + (m - mean) ** 2))))


def forward_excess(target: Mixture, mean: float, std: float) -> float:
    """D(target || g) above its minimum: what g costs in place of the moments' Gaussian, which is D of these two."""
    best = moments(target)
    with np.errstate(all="ignore"):
        ratio = np.float64(best.std) / std
        return float((ratio**2 - 1 + (np.float64(mean - best.mean) / std) ** 2) / 2 - np.log(ratio))


# ------------------------------------------------------------------------------------------ reverse

Z: Array = np.linspace(-8.0, 8.0, 513)
WEIGHT: Array = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()
"""The trapezoidal rule for E f(m + s z). It errs by about exp(-2 pi a / h) for a function that is analytic within a of
the real axis (Trefethen and Weideman 2014, theorem 5.1), h = 1/32. Between components f has a kink, which is
rounded: a = pi / (s |difference of slopes|). At a = 0.07 that is 1e-6, and |z| > 8 has 1e-15."""


def _slopes(target: Mixture, x: Array) -> tuple[Array, Array, Array]:
    """f = log density, f' and f'' at x, each of x's shape."""
    w, m, s = (one.reshape(-1, *[1] * x.ndim) for one in target.arrays)
    u = (x - m) / s  # (k, ...): sums over a short last axis would take numpy three times as long
    logs = np.log(w / s) - 0.5 * math.log(2 * math.pi) - u**2 / 2
    top = logs.max(0)
    powers = np.exp(logs - top)
    total = powers.sum(0)
    r = powers / total
    slope = -u / s
    first = (r * slope).sum(0)
    second = (r * (slope**2 - 1 / s**2)).sum(0) - first**2
    return top + np.log(total), first, second


def reverse_cost(target: Mixture, mean: float, std: float) -> float:
    """D(g || target)."""
    value, _, _ = _slopes(target, mean + std * Z)
    return float(-math.log(std) - 0.5 * math.log(2 * math.pi * math.e) - WEIGHT @ value)


def _descended(target: Mixture, mean: Array, std: Array) -> Iterator[tuple[float, float, float]]:
    """Minima (cost, mean, std) reached from these starts, all at once, by Newton's method in mean / s and log s.

    Directions of negative curvature are turned round and steps shortened until they go down, so it ends at minima.
    """
    m, t = mean.astype(float), np.log(std)

    def cost(m: Array, t: Array) -> tuple[Array, Array, Array]:
        s = np.exp(t)
        f, first, second = _slopes(target, m[:, None] + s[:, None] * Z)  # (starts, nodes)
        value = -t - 0.5 * math.log(2 * math.pi * math.e) - f @ WEIGHT
        by_mean, by_log = -s * (first @ WEIGHT), -1 - s * (first @ (WEIGHT * Z))
        mm = -(s**2) * (second @ WEIGHT)
        mt = -(s**2) * (second @ (WEIGHT * Z))
        tt = -s * (first @ (WEIGHT * Z)) - s**2 * (second @ (WEIGHT * Z**2))
        curve = np.stack([np.stack([mm, mt], -1), np.stack([mt, tt], -1)], -2)
        return value, np.stack([by_mean, by_log], -1), curve

    value, slope, curve = cost(m, t)
    for _ in range(60):
        if np.abs(slope).max() < 1e-7:
            break
        sizes, axes = np.linalg.eigh(curve)
        along = np.einsum("sij,si->sj", axes, slope) / np.maximum(np.abs(sizes), 0.05)
        step = -np.einsum("sij,sj->si", axes, along)
        step *= np.minimum(1.0, 0.8 / np.maximum(np.linalg.norm(step, axis=1), 1e-300))[:, None]
        for _ in range(8):
            new = cost(m + step[:, 0] * np.exp(t), t + step[:, 1])
            better = new[0] <= value + 1e-13
            if better.all():
                break
            step = np.where(better[:, None], step, step / 4)
        step = np.where(better[:, None], step, 0.0)
        m, t = m + step[:, 0] * np.exp(t), t + step[:, 1]
        value, slope, curve = (
            np.where(better.reshape(-1, *[1] * (n.ndim - 1)), n, o)
            for n, o in zip(new, (value, slope, curve), strict=True)
        )
    for at in range(len(m)):
        if np.abs(slope[at]).max() < 1e-5 and np.linalg.eigvalsh(curve[at])[0] > 0:
            yield float(value[at]), float(m[at]), math.exp(t[at])


@lru_cache(maxsize=256)
def minima(target: Mixture) -> tuple[Fit, ...]:
    """The local minima of D(g || target), best first, with what each costs above the best.

    Started from the moments of every subset of the components and from each component, narrower and as wide as all.
    """
    w, m, s = target.arrays
    starts = [(mean, factor * std) for mean, std in zip(m, s, strict=True) for factor in (0.5, 1.0)]
    whole = moments(target)
    starts += [(mean, whole.std) for mean in m] if len(m) > 1 else []
    for size in range(2, len(m) + 1):
        for chosen in map(list, combinations(range(len(m)), size)):
            part = moments(mixture(w[chosen], m[chosen], s[chosen], range(size)))
            starts.append((part.mean, part.std))
    found: list[tuple[float, float, float]] = []
    for cost, mean, std in sorted(_descended(target, *np.array(starts).T)):
        if not any(abs(mean - other) < 0.01 * std and abs(math.log(std / wide)) < 0.01 for _, other, wide in found):
            found.append((cost, mean, std))
    return tuple(Fit(mean, std, cost - found[0][0]) for cost, mean, std in found)


def reverse_excess(target: Mixture, mean: float, std: float) -> float:
    """D(g || target) above its minimum."""
    best = minima(target)[0]
    return reverse_cost(target, mean, std) - reverse_cost(target, best.mean, best.std)


# ------------------------------------------------------------------------------------ known mistakes

COLLAPSED = 0.01
"""Widths below this share of the narrowest component's are reported as none. Chosen."""
Guess = Callable[[Mixture], Sequence[Fit]]


def _parts(target: Mixture) -> Sequence[Fit]:
    return [Fit(mean, std) for mean, std in zip(target.means, target.stds, strict=True)]


def _mode(target: Mixture) -> Fit:
    """The highest point of the density."""
    _, m, s = target.arrays
    x = np.unique(np.concatenate([m, np.linspace((m - s).min(), (m + s).max(), 2000)]))
    at = float(x[_slopes(target, x)[0].argmax()])
    for _ in range(20):
        _, first, second = _slopes(target, np.array([at]))
        if second[0] >= 0:
            break
        at -= float(first[0] / second[0])
    return Fit(at, 1 / math.sqrt(max(-float(_slopes(target, np.array([at]))[2][0]), 1e-12)))


def laplace(target: Mixture) -> Sequence[Fit]:
    """The Gaussian with the mode and the curvature of the target's log density there."""
    return [_mode(target)]


def _height(target: Mixture) -> Sequence[Fit]:
    """The Gaussian with the mode and the height of the target's density there."""
    mode = _mode(target)
    height = math.exp(float(_slopes(target, np.array([mode.mean]))[0][0]))
    return [Fit(mode.mean, 1 / (height * math.sqrt(2 * math.pi)))]


def _inside(target: Mixture) -> Sequence[Fit]:
    """The mean with a spread that leaves out how far the means are from each other."""
    w, _, s = target.arrays
    mean, heaviest = moments(target).mean, int(w.argmax())
    return [Fit(mean, std) for std in (math.sqrt(float(w @ s**2)), float(w @ s), float(s.mean()), float(s[heaviest]))]


def _plain_mean(target: Mixture) -> Sequence[Fit]:
    """The plain average of the means, with the weights in the spread about it, or about the right mean."""
    w, m, s = target.arrays
    mean = float(m.mean())
    about = Fit(mean, math.sqrt(float(w @ (s**2 + (m - mean) ** 2))))
    return [about, Fit(mean, moments(target).std)]


def _about_zero(target: Mixture) -> Sequence[Fit]:
    """The mean with the root of the second moment, from which the mean's square is not subtracted."""
    best = moments(target)
    return [Fit(best.mean, math.hypot(best.std, best.mean))]


def _opposite(best: Sequence[Fit]) -> Sequence[Fit]:
    return [Fit(-one.mean, one.std) for one in best]


def _variance(best: Sequence[Fit]) -> Sequence[Fit]:
    return [Fit(one.mean, one.std**2) for one in best]


@dataclass(frozen=True)
class FitMistake:
    """A known mistake: what it would give, one of several Gaussians for each target, and the sentence for it."""

    id: str
    sentence: str
    guess: Guess


FORWARD_MISTAKES = (
    FitMistake(
        "fit_std_as_variance", "std is the variance, so its square root is missing.", lambda t: _variance([moments(t)])
    ),
    FitMistake(
        "fit_directions", "It minimises D(gaussian || target), so the directions are swapped.", lambda t: minima(t)
    ),
    FitMistake("fit_weights_ignored", "The weights of the mixture are not used.", lambda t: [moments(t.unweighted())]),
    FitMistake(
        "fit_weights_ignored",
        "The mean is the plain average of the components' means and ignores their weights.",
        _plain_mean,
    ),
    FitMistake(
        "fit_component_std",
        "The mean is right, but std covers the spread within the components only. The distance between the "
        "components belongs to it, too.",
        _inside,
    ),
    FitMistake("fit_second_moment", "The square of the mean is not subtracted in the variance.", _about_zero),
    FitMistake("fit_component", "It is a single component of the mixture.", _parts),
    FitMistake("fit_laplace", "It has the mode of the density and its curvature there.", laplace),
    FitMistake("fit_mean_sign", "The mean has the wrong sign.", lambda t: _opposite([moments(t)])),
)
REVERSE_MISTAKES = (
    FitMistake(
        "fit_directions",
        "It has the mean and std of the mixture, which minimise D(target || gaussian), so the directions are swapped.",
        lambda t: [moments(t)],
    ),
    FitMistake(
        "fit_std_as_variance", "std is the variance, so its square root is missing.", lambda t: _variance(minima(t))
    ),
    FitMistake(
        "fit_laplace",
        "It has the mode of the density and its curvature there (Laplace's approximation), which does not minimise "
        "the divergence.",
        laplace,
    ),
    FitMistake("fit_laplace", "It has the mode of the density and its height there.", _height),
    FitMistake("fit_weights_ignored", "The weights of the mixture are not used.", lambda t: minima(t.unweighted())),
    FitMistake("fit_component", "It is a single component of the mixture.", _parts),
    FitMistake(
        "fit_start",
        "It is a component, or the mean and std of the whole mixture. A search may start there, but must not end "
        "there.",
        lambda t: [*_parts(t), moments(t)],
    ),
    FitMistake("fit_mean_sign", "The mean has the wrong sign.", lambda t: _opposite(minima(t))),
)

# ------------------------------------------------------------------------------------- what is asked

FIXED = (
    Mixture((0.68, 0.32), (-3.4, 3.2), (0.4, 1.6)),
    Mixture((0.5, 0.5), (-1.2, 3.4), (0.5, 0.5)),
    Mixture((0.31, 0.38, 0.31), (2.7, -3.1, 3.9), (0.62, 0.55, 0.62)),
    Mixture((0.2, 0.8), (2.4, 0.8), (0.49, 1.35)),
    Mixture((0.56, 0.44), (-0.6, 2.6), (1.46, 0.73)),
    Mixture((0.68, 0.32), (27.0, 73.0), (2.8, 11.2)),
    Mixture((0.32, 0.68), (31.0, 77.0), (11.2, 2.8)),
)
"""One of each kind, as they stand in the notebook's own check, where each is tried mirrored at 0, too; so is it here.

So whoever is given one of these here has been given the very same in the notebook: a method that does not throw dice
ends where it ended there, and no draw decides. They are, in this order:
a narrow component that holds most of the mass, and a wide one beside it, in whose valley those end who start from the
whole; two that are as good, so that either is right; the heaviest component alone on one side, on the other two that
overlap and hold more together; two that overlap, with the mode far from the best Gaussian; two that meet, with the
best Gaussian neither on one of them nor at the moments nor at the mode; and the first kind twice far from 0, where no
grid is that was made for the others: the best one is the leftmost component there in one case, not so in the other.

Every valley has a clear bottom, and there is no other place where an optimiser could come to rest (tests: the smallest
eigenvalue of the second derivatives by mean / s and log s, and the slope of what looks like a valley and is none).
No mean is near 0 and no standard deviation near 1: Nelder-Mead's first simplex is 5 % of where it starts, and after a
start at 0 only 0.00025 wide. What sound methods make of each is a part of the audit (`draws`)."""
STARTS = 0.02
"""Nats by which the best Gaussian is better than all that optimisers start from, in the fifth and the drawn mixture."""


def _mirrored(target: Mixture) -> Mixture:
    """The mirror image at 0. Signs are exact, so that nothing else changes, not even by rounding."""
    return Mixture(target.weights, tuple(-mean for mean in target.means), target.stds)


def _turned(rng: Generator, *targets: Mixture) -> tuple[Mixture, ...]:
    """These targets, or the mirror images of all of them."""
    return tuple(map(_mirrored, targets)) if rng.integers(2) else targets


def _single(rng: Generator) -> Mixture:
    """A single Gaussian, whose standard deviation is not near 1, so that it is not its square."""
    width = math.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.6))
    return Mixture((1.0,), (float(rng.uniform(1.5, 3)),), (width,))


def _leaning(rng: Generator) -> Mixture:
    """Two components that meet, with one valley only and nothing sharp in it. Drawn: no list of answers will do.

    But for the weight, which moves a little, all of them are one shape in another place and unit. Neither the moments
    nor a component nor the mode is near the best one."""
    weight, start, unit = rng.uniform(0.415, 0.435), rng.uniform(0.7, 1.5), rng.uniform(0.95, 1.15)
    means, stds = (start + 3.1 * unit, start), (0.74 * unit, 1.42 * unit)
    return mixture((weight, 1 - weight), means, stds, rng.permutation(2))


NAMES = ("weights", "means", "stds")
FAR = (7, 8)
"""The cases that lie where no grid is that was made for the others."""


def _mixtures(rng: Generator) -> Values:
    """Two that are drawn, and the fixed ones, mirrored or not: those far from 0 together, which keeps both sides."""
    near = [one for target in (_single(rng), *FIXED[:5], _leaning(rng)) for one in _turned(rng, target)]
    targets = (*near, *_turned(rng, *FIXED[5:]))
    return pack(cases=[dict(zip(NAMES, target.arrays, strict=True)) for target in targets])


def _returns(given: Values) -> Specs:
    """Of each fit its mean and standard deviation, one number each or an array in its place; whether it was a pair."""
    one = numbers(most=1000, dtypes="f", what="the Gaussian that fit_gaussian returned")
    cases = len(items(given, "cases")) * [{"mean": one, "std": one, "pair": flag()}]
    return parts(cases=cases, unknown={"raised": text(60)})


FORWARD = Request(
    "distributions.probes:forward", _mixtures, seconds=30.0, returns=_returns, needs=("comparing_distributions.ipynb",)
)
REVERSE = Request(
    "distributions.probes:reverse", _mixtures, seconds=60.0, returns=_returns, needs=("comparing_distributions.ipynb",)
)
"""Some hundred starts of an optimiser on a fine grid take seconds."""

# ------------------------------------------------------------------------------------ how it is judged


def _targets(trial: Trial) -> list[Mixture]:
    cases = items(trial.given, "cases")
    return [Mixture(*(tuple(array(case, name).tolist()) for name in NAMES)) for case in cases]


def _answers(trial: Trial) -> list[Fit]:
    """The student's Gaussians. Raises `CheckFailed` where one is missing or none."""
    found = []
    for own in sections(trial):
        mean = float(array(own.got, "mean", shape=(), what="The mean of the Gaussian"))
        std = float(array(own.got, "std", shape=(), what="The standard deviation of the Gaussian"))
        if std <= 0:
            raise CheckFailed(
                f"The standard deviation of the Gaussian is {std:.3g}. Expected: a positive number. An optimiser "
                "that can leave the positive numbers should work on the logarithm.",
                diagnosis="fit_std_sign",
            )
        found.append(Fit(mean, std))
    return found


@dataclass(frozen=True)
class Direction:
    """What differs between the directions: what is minimised, what a right solution does, known mistakes."""

    divergence: str
    excess: Callable[[Mixture, float, float], float]
    expected: str
    mistakes: tuple[FitMistake, ...]


FORWARDS = Direction(
    "D(target || gaussian)",
    forward_excess,
    "Expected: the Gaussian that minimises D(target || gaussian), which has the mean and the variance of the mixture.",
    FORWARD_MISTAKES,
)
BACKWARDS = Direction(
    "D(gaussian || target)",
    reverse_excess,
    "Expected: the Gaussian that minimises D(gaussian || target), the best result over several starting points.",
    REVERSE_MISTAKES,
)


def _words(target: Mixture) -> str:
    return "a single Gaussian" if len(target.means) == 1 else f"a mixture of {len(target.means)} Gaussians"


def _judged(trial: Trial, direction: Direction) -> Verdict:
    """Full marks where every Gaussian is as good as the best one; half where the way is right, or it is a local one.

    What is near the best one is called so before anything else: a known mistake need explain only what is clearly
    worse, so that an answer that is nearly right has the same score and sentence whatever was drawn.
    """
    targets, answers = _targets(trial), _answers(trial)
    costs = [direction.excess(t, one.mean, one.std) for t, one in zip(targets, answers, strict=True)]
    costs = [cost if math.isfinite(cost) else math.inf for cost in costs]
    if max(costs) <= MOST:
        told = f"Every Gaussian minimises {direction.divergence} within {MOST} nats.{_pairs(trial)}"
        return passed(told, tolerance_used=max(*costs, 0.0) / MOST)
    clear = [case for case, cost in enumerate(costs) if cost > NEAR]
    local = [case for case in clear if _local(direction, targets[case], answers[case])]
    worst = max(range(len(costs)), key=costs.__getitem__)
    told = f"For {_words(targets[worst])} {direction.divergence} is {_nats(costs[worst])} above its minimum."
    score, sentence, diagnosis = 0.0, "", ""
    if not clear:
        score, diagnosis = 0.5, "fit_inexact"
        sentence = f"That is near the minimum, but an inexact method may be at most {MOST} nats above it."
    elif local == clear:
        score, diagnosis = 0.5, "fit_local"
        sentence = f"In {len(clear)} of {len(costs)} cases it is a local optimum, but there is a better one."
    elif found := next((one for one in direction.mistakes if _explains(one, targets, answers, clear)), None):
        sentence, diagnosis = found.sentence, found.id
    elif set(clear) <= set(FAR):
        score, diagnosis = 0.5, "fit_grid"
        sentence = (
            "The Gaussians near 0 are right. This target is wider and lies far from 0. Do the grid and the starting "
            "points follow the target's means and standard deviations?"
        )
    elif direction is BACKWARDS and all(answers[case].std < COLLAPSED * min(targets[case].stds) for case in clear):
        sentence, diagnosis = (
            "Its width is nearly zero, because the term -log std of the divergence is missing.",
            ("fit_collapsed"),
        )
    elif direction is FORWARDS and all(_has_mean(targets[case], answers[case]) for case in clear):
        sentence, diagnosis = "The mean is right, but std is wrong.", "fit_mean_only"
    return Verdict(score, " ".join(filter(None, (told, sentence, direction.expected))), diagnosis)


def _nats(cost: float) -> str:
    """The cost in words, with as many digits as tell it from what is allowed."""
    if cost >= 1e6:
        return "more than a million nats"
    digits = next((digits for digits in range(3, 17) if shown(cost, digits) != shown(MOST, digits)), 17)
    return f"{shown(cost, digits)} nats"


def _pairs(trial: Trial) -> str:
    """A remark where pairs of numbers came in place of Gaussians, which is allowed."""
    pairs = any(name.endswith(".pair") and value is True for name, value in trial.got.items())
    return " You return pairs of mean and std, which is accepted in place of a Gaussian." if pairs else ""


def _has_mean(target: Mixture, answer: Fit) -> bool:
    best = moments(target)
    return abs(answer.mean - best.mean) <= SAME * best.std


def _local(direction: Direction, target: Mixture, answer: Fit) -> bool:
    """Whether it lies at the bottom of a valley backwards, up to NEAR, that is not the best one."""
    if direction is FORWARDS or not _is_of_size(target, answer):
        return False
    reached = next(_descended(target, np.array([answer.mean]), np.array([answer.std])), None)
    if reached is None:
        return False
    best = minima(target)[0]
    cost = reverse_cost(target, answer.mean, answer.std)
    return cost - reached[0] <= NEAR and reached[0] - reverse_cost(target, best.mean, best.std) > CLEAR / 2


def _is_of_size(target: Mixture, answer: Fit) -> bool:
    """Whether it lies anywhere near the target: Newton's method is not asked to come back from far out."""
    whole = moments(target)
    return abs(answer.mean - whole.mean) < 20 * whole.std and 1e-3 < answer.std / whole.std < 20


def _explains(mistake: FitMistake, targets: Sequence[Mixture], answers: Sequence[Fit], clear: Sequence[int]) -> bool:
    """Whether the mistake gives what was answered wherever that is clearly worse than the best."""
    return all(any(one.like(answers[at].mean, answers[at].std) for one in mistake.guess(targets[at])) for at in clear)


def forward(trial: Trial) -> Verdict:
    """The fits; and an unknown direction, whose silence costs a quarter."""
    verdict = _judged(trial, FORWARDS)
    if verdict.score == 0:
        return verdict
    try:
        raised = section(trial, "unknown").got.get("raised")
    except CheckFailed as fault:
        raised = str(fault)
    if isinstance(raised, str) and raised == "ValueError":
        return verdict
    seen = clean(raised, limit=80, line=True) if isinstance(raised, str) and raised else "nothing"
    told = "Every Gaussian is right." if verdict.score == 1 else verdict.message
    return Verdict(
        verdict.score - 0.25,
        f"{told} For a direction that is neither forward nor reverse, the function raised {seen}. Expected: a "
        "ValueError.",
        verdict.diagnosis or "fit_unknown_direction",
        tolerance_used=verdict.tolerance_used,
    )


def reverse(trial: Trial) -> Verdict:
    return _judged(trial, BACKWARDS)
