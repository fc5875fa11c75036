"""Asks and judges `on_task_update(task_id, x_mem, t_mem)`: the diagonal of the Fisher information, and the parameters.

The Fisher information's diagonal is the expectation of the squared derivatives of log p(t | x; theta) (Kirkpatrick et
al. 2017, equation 3; Martens 2020, section 5). Notebooks estimate it in several ways, all of them right here: squares
of each image's gradient or of each batch's, added up or averaged; the square of what the batches' gradients add up to;
with the data's labels or the model's own. They differ by more than a factor, but each by one that lambda makes up for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.continual_learning import classifier
from autograder.hw11.continual_learning.classifier import EPSILON, listed
from autograder.judging.judges import array, passed, shown, tolerance_ratio
from autograder.judging.stats import gamma
from autograder.sandbox.parts import each, item, pack, take
from autograder.sandbox.returns import declared, flag, numbers, text
from autograder.text import clean

CLASSES, INPUTS = 3, 5
FEW, MANY = 6, 270
"""Images of task 0 and of task 1: so few that all labels can be tried, and more than a batch has."""
RARE = 3e-4, 3e-3
"""Between these lie the probabilities of task 0's labels under the model. Where labels are drawn from the model, which
is right, all six are the data's with a probability below (3e-3)^6 = 8e-16, whatever else is drawn: the one draw by
which a right answer would fail, and less than 1e-5 of what all statistical checks together may take. With smaller ones
log(p + EPSILON) would be another function than log p."""
MOST = 100
"""How often an image is shown at most: nobody does so more often, and the judge's time is ours."""

# ------------------------------------------------------------------------------------- what is asked


def _update(rng: Generator) -> Values:
    """Task 0 has each image's least likely label, which no labels that the model draws will be."""
    x0 = np.empty((0, INPUTS))
    while len(x0) < FEW:  # seldom more than once: one image of twelve will do
        theta = (np.array([2.0, 0.7])[:, None, None] * rng.standard_normal((2, CLASSES, INPUTS + 1))).astype(np.float32)
        x0 = (1 + rng.standard_normal((40 * FEW, INPUTS))).astype(np.float32)
        least = classifier.shares(theta[0].astype(float), x0).min(1)
        x0 = x0[(RARE[0] <= least) & (least <= RARE[1])][:FEW]
    x1 = (1 + rng.standard_normal((MANY, INPUTS))).astype(np.float32)
    stale = rng.choice([-1.0, 1.0], theta[0].shape).astype(np.float32)
    stale *= rng.uniform(0.5, 1, theta[0].shape).astype(np.float32)
    first = {"x": x0, "t": classifier.shares(theta[0].astype(float), x0).argmin(1)}
    second = {"x": x1, "t": classifier.plausible(rng, theta[1], x1)}
    return pack(theta=theta, stale=stale, tasks=[first, second])


MOST_IMAGES = 100_000
"""That the model is shown in one call: each image once for every label that is drawn is usual."""


def _returns(given: Values) -> Specs:
    """After each of the two calls: what is kept of each task, what is missing, and the batches that were shown."""
    matrix = numbers(*np.shape(given["theta"])[1:], what="the dictionaries of a task")
    return declared(tasks=2 * [_after(matrix, numbers(None, most=MOST_IMAGES, what=IMAGES))])


IMAGES = "the images that were passed to the model"


def _after(matrix: Spec, passed_on: Spec) -> dict[str, Any]:
    """What a call leaves: each task's own as `matrix`, and the lists of what was passed to the model."""
    kept = {"tasks": 2 * [{"held": matrix}], "missing": text(100), "graph": flag()}
    return {"fisher": kept, "optpar": kept, "images": passed_on, "sizes": passed_on, "moved": flag()}


REQUEST = Request("continual_learning.probes:update", _update, returns=_returns, needs=("continual_learning.ipynb",))

# ------------------------------------------------------------------------------------ forms of the Fisher


@dataclass(frozen=True)
class TaskUpdate:
    """A call of on_task_update: what it got and left, and the images that the model was shown.

    `images` are their numbers, one batch behind the other, and `sizes` (batches,) how many each batch had.
    """

    theta: Array
    stale: Array
    x: Array
    t: Array
    images: Array
    sizes: Array
    got: Array

    def of_batches(self, each: Array) -> Array:
        """The means of something (n, ...) over each batch, (batches, ...)."""
        starts = self.sizes.cumsum() - self.sizes
        sums = np.add.reduceat(each[self.images], starts, axis=0)
        means: Array = sums / self.sizes.reshape(-1, *[1] * (each.ndim - 1))
        return means


@dataclass(frozen=True)
class Estimate:
    """sum_k weight_k slope_k^2, which is what every form of the Fisher is: weights (K,), slopes (K, c, d + 1).

    `errors` and `tiny`, which fit the slopes' shape, are how far rounding, and log(p + EPSILON), may move these; `how`
    is the form in words.
    """

    weights: Array
    slopes: Array
    errors: Array
    tiny: Array
    how: str

    @property
    def value(self) -> Array:
        value: Array = np.einsum("k,kcd->cd", self.weights, self.slopes**2)
        return value

    def bound(self) -> Array:
        """Rounding: (g + e)^2 - g^2 = 2 g e + e^2, and the sum's own."""
        moved = np.einsum("k,kcd->cd", self.weights, 2 * np.abs(self.slopes) * self.errors + self.errors**2)
        bound: Array = moved + gamma(len(self.weights) + 4) * self.value
        return bound

    def beside(self) -> Array:
        """The same for what is tiny, with EPSILON added to every square; and for the factor that then fits best.

        Where v + d is found for v, it is 1 + sum d v / sum v^2, and so v is off by as much as d and v times the rest.
        """
        size = 2 * np.abs(self.slopes) + 2 * self.errors + self.tiny
        moved = np.einsum("k,kcd->cd", self.weights, size * self.tiny) + EPSILON * self.weights.sum()
        value = self.value
        beside: Array = moved + value * float((moved * value).sum()) / max(float((value**2).sum()), 1e-300)
        return beside

    def used(self, got: Array) -> float:
        """Share of the bound, with the positive factor that fits best; infinity where none is positive."""
        factor = self.factor(got)
        if not factor > 0:
            return np.inf
        return tolerance_ratio(got, factor * self.value, factor * self.bound(), beside=factor * self.beside())

    def factor(self, got: Array) -> float:
        return _factor(got, self.value)


def _factor(got: Array, value: Array) -> float:
    """By which `value` comes nearest to `got`; 0 where it is 0."""
    size = float((value**2).sum())
    return float((got * value).sum()) / size if size else 0.0


SQUARES = "squares of each image's gradient"
BATCHES = "squares of batches' gradients"
SQUARE = "the square of all images' gradient"


def estimates(seen: TaskUpdate, labels: Array) -> Iterator[Estimate]:
    """The forms with given labels (n,)."""
    each = classifier.slopes(seen.theta, seen.x, labels)
    off = np.broadcast_to(classifier.error(seen.theta, seen.x), each.shape)
    small = classifier.tiny(seen.theta, seen.x, labels, least=RARE[0])
    means, moved, shifted = map(seen.of_batches, (each, off, small))
    sizes, one = seen.sizes.astype(float), np.ones(len(means))
    own, own_moved, own_small = each[seen.images], off[seen.images], small[seen.images]
    how = BATCHES if (sizes > 1).any() else SQUARES

    def total(values: Array) -> Array:
        added: Array = values.sum(0, keepdims=True)
        return added

    # Sums over batches, accumulated in .grad, round once for each.
    rounded = total(moved + gamma(len(means)) * np.abs(means))
    yield Estimate(np.ones(1), total(means), rounded, total(shifted), SQUARE)
    for weights in (one, sizes, sizes**2):  # the last: of the batches' sums
        yield Estimate(weights, means, moved, shifted, how)
    for weights in (np.ones(len(own)), np.repeat(1 / sizes, seen.sizes)):
        yield Estimate(weights, own, own_moved, own_small, SQUARES)
    rounded = total(own_moved + gamma(len(own)) * np.abs(own)) / len(own)
    yield Estimate(np.ones(1), total(own) / len(own), rounded, total(own_small) / len(own), SQUARE)


def expected(seen: TaskUpdate) -> Estimate:
    """The labels' expectation under the model in place of any labels."""
    p = classifier.shares(seen.theta, seen.x)[seen.images]
    every = [np.full(len(seen.x), label) for label in range(len(seen.theta))]
    own = np.concatenate([classifier.slopes(seen.theta, seen.x, labels)[seen.images] for labels in every])
    small = [classifier.tiny(seen.theta, seen.x, labels, least=RARE[0])[seen.images] for labels in every]
    off = np.broadcast_to(classifier.error(seen.theta, seen.x), own.shape)
    return Estimate(p.T.ravel(), own, off, np.concatenate(small), SQUARES)


def drawn(seen: TaskUpdate) -> Iterator[Array]:
    """Labels of few images, all of which are tried, whose squares come near to what was found up to a factor.

    A hundredth, where `Estimate.used` then asks for the rounding bound. They are tried at once: the gradient of
    an image is one of as many as there are classes, and all forms are made of sums of these or of their squares.
    """
    n = len(seen.x)
    every = np.array(list(product(range(CLASSES), repeat=n)))  # (labellings, n)
    each = np.stack([classifier.slopes(seen.theta, seen.x, np.full(n, label)) for label in range(CLASSES)], 1)
    chosen = each[np.arange(n), every]  # (labellings, n, c, d + 1)
    counts = np.zeros((len(seen.sizes), n))
    np.add.at(counts, (np.repeat(np.arange(len(seen.sizes)), seen.sizes), seen.images), 1)
    alike, times = np.unique(counts, axis=0, return_counts=True)  # batches of the same images
    near = np.zeros(len(every), bool)

    def tried(values: Array) -> None:
        size = (values**2).sum((1, 2))
        factors = (seen.got * values).sum((1, 2)) / np.maximum(size, 1e-300)
        off = np.abs(seen.got - factors[:, None, None] * values).max((1, 2))
        near.__ior__(off <= 0.01 * np.abs(seen.got).max())

    sizes = alike.sum(1)
    total, shared = times @ (alike / sizes[:, None]), times @ alike
    for weights in (total, shared):  # the square of the batches' means added up, and of all images' mean
        tried(np.einsum("i,licd->lcd", weights, chosen) ** 2)
        tried(np.einsum("i,licd->lcd", weights, chosen**2))
    if len(alike) <= MOST:
        of_batches = np.einsum("bi,licd->lbcd", alike, chosen) ** 2  # of sums
        for power in (2, 1, 0):
            tried(np.einsum("b,lbcd->lcd", times / sizes**power, of_batches))
    yield from every[near]


# ------------------------------------------------------------------------------------ known mistakes


@dataclass(frozen=True)
class FisherMistake:
    """A known mistake: what it would give for a call up to any factor, positive or (where `either`) negative too."""

    id: str
    sentence: str
    formula: Callable[[TaskUpdate], Array]
    either: bool = False

    def explains(self, seen: TaskUpdate) -> bool:
        """Within a thousandth: a name for the student, no point depends on it."""
        value = self.formula(seen)
        factor = _factor(seen.got, value)
        right = factor > 0 or (self.either and factor < 0)
        return right and float(np.abs(seen.got - factor * value).max()) <= 1e-3 * float(np.abs(seen.got).max())


def _sum(seen: TaskUpdate) -> Array:
    total: Array = seen.of_batches(classifier.slopes(seen.theta, seen.x, seen.t)).sum(0)
    return total


def _total(seen: TaskUpdate) -> Array:
    total: Array = classifier.slopes(seen.theta, seen.x, seen.t)[seen.images].mean(0)
    return total


def _accumulated(seen: TaskUpdate) -> Array:
    """The squares, after every backward(), of what has added up until then."""
    until = seen.of_batches(classifier.slopes(seen.theta, seen.x, seen.t)).cumsum(0)
    total: Array = (until**2).sum(0)
    return total


def _of_last(seen: TaskUpdate) -> Array:
    last: Array = seen.of_batches(classifier.slopes(seen.theta, seen.x, seen.t))[-1]
    return last


def _linear(seen: TaskUpdate, score: Array) -> Array:
    """The gradient where the loss has these derivatives (n, c) by the logits."""
    each = score[:, :, None] * classifier.extended(seen.x)[:, None, :]
    total: Array = seen.of_batches(each).sum(0)
    return total


def _onehot(seen: TaskUpdate) -> Array:
    onehot: Array = np.eye(CLASSES)[seen.t.astype(int)]
    return onehot


def _squared_error(seen: TaskUpdate) -> Array:
    return _linear(seen, classifier.extended(seen.x) @ seen.theta.T - _onehot(seen)) ** 2


def _squared_error_of_shares(seen: TaskUpdate) -> Array:
    p = classifier.shares(seen.theta, seen.x)
    off = p - _onehot(seen)
    return _linear(seen, p * (off - (p * off).sum(1, keepdims=True))) ** 2


def _each_magnitude(seen: TaskUpdate) -> Array:
    total: Array = np.abs(classifier.slopes(seen.theta, seen.x, seen.t)[seen.images]).mean(0)
    return total


MISTAKES = (
    FisherMistake("fisher_not_squared", "The gradients were not squared.", _sum, either=True),
    FisherMistake("fisher_not_squared", "The gradients were not squared.", _total, either=True),
    FisherMistake(
        "fisher_absolute", "The absolute value of the gradients was taken, not their square.", lambda s: np.abs(_sum(s))
    ),
    FisherMistake(
        "fisher_absolute",
        "The absolute value of the gradients was taken, not their square.",
        lambda s: np.abs(_total(s)),
    ),
    FisherMistake(
        "fisher_absolute", "The absolute value of the gradients was taken, not their square.", _each_magnitude
    ),
    FisherMistake("fisher_sign", "It has the wrong sign.", lambda s: -(_sum(s) ** 2)),
    FisherMistake("fisher_sign", "It has the wrong sign.", lambda s: -(_total(s) ** 2)),
    FisherMistake(
        "fisher_not_zeroed",
        "It contains gradients that were left from training. Set them to zero first.",
        lambda s: (_sum(s) + s.stale) ** 2,
    ),
    FisherMistake("fisher_not_zeroed", "It holds the gradients that were left from training.", lambda s: s.stale**2),
    FisherMistake(
        "fisher_accumulated",
        "Gradients were set to zero once, but not before each backward(), so each square contains the gradients of "
        "all images before it.",
        _accumulated,
    ),
    FisherMistake(
        "fisher_last_batch",
        "It contains the last batch only, because gradients were set to zero or overwritten in every batch.",
        lambda s: _of_last(s) ** 2,
    ),
    FisherMistake("fisher_parameters", "It holds the parameters.", lambda s: s.theta, either=True),
    FisherMistake("fisher_parameters", "It holds the squares of the parameters.", lambda s: s.theta**2),
    FisherMistake(
        "fisher_constant",
        "It is the same number for every parameter, for example the loss.",
        lambda s: np.ones_like(s.theta),
        either=True,
    ),
    FisherMistake("fisher_fourth_power", "The gradients were squared twice.", lambda s: _sum(s) ** 4),
    FisherMistake(
        "fisher_loss",
        "The loss was nll_loss of the logits, but nll_loss takes log-probabilities. Expected: the cross entropy.",
        lambda s: _linear(s, -_onehot(s)) ** 2,
    ),
    FisherMistake("fisher_loss", "The loss was a squared error, not the cross entropy.", _squared_error),
    FisherMistake("fisher_loss", "The loss was a squared error, not the cross entropy.", _squared_error_of_shares),
)
EXPECTED = (
    "Expected: for every parameter the square of the derivative of the cross entropy over the images of the task, "
    "with gradients that start at zero."
)

# ------------------------------------------------------------------------------------ how it is judged


def _missing(after: Trial, task: int, kind: str) -> None:
    """Raises `CheckFailed` where the dictionary lacks something after the call for the task."""
    lacks = after.got.get(f"{kind}.missing")
    if isinstance(lacks, str):
        raise CheckFailed(
            f"After on_task_update({task}, ...) there is no {clean(lacks, limit=80, line=True)}. Expected: an entry "
            "for each parameter of the model, under its name, for this task and for all tasks before it.",
            diagnosis=f"{kind}_missing",
        )


def _held(after: Values, kind: str, task: int) -> Values:
    """What fisher_dict or optpar_dict holds for a task, after a call: `held`, if it is there."""
    return take(after, f"{kind}.{item('tasks', task)}")


def _moved(trial: Trial) -> None:
    """Raises `CheckFailed` where a call has changed the model, on which all that is expected rests."""
    if any(after.got.get("moved") is True for after in each(trial, "tasks")):
        raise CheckFailed(
            "on_task_update changes the parameters of the model, perhaps by `optimizer.step()`. Expected: it only "
            "reads the parameters and their gradients.",
            diagnosis="update_moves",
        )


@lru_cache(maxsize=2)
def calls(trial: Trial) -> tuple[TaskUpdate, TaskUpdate]:
    """Both calls. Raises `CheckFailed` where fisher_dict lacks something or the model was shown nothing."""
    found = []
    for task, after in enumerate(each(trial, "tasks")):
        _missing(after, task, "fisher")
        x, t = array(after.given, "x"), array(after.given, "t")
        images = listed(after.got, "images", most=MOST * len(x), what="The list of images")
        sizes = listed(after.got, "sizes", most=MOST * len(x), what="The list of batches")
        counted = (sizes >= 0).all() and len(images) == sizes.sum()
        if not counted or (images < 0).any() or (images >= len(x)).any():
            raise CheckFailed(
                "The images that on_task_update passed to the model are not the images of x_mem. Expected: x_mem, "
                "in batches."
            )
        theta = array(trial.given, "theta")[task]
        got = array(_held(after.got, "fisher", task), "held", shape=theta.shape, what=f"fisher_dict[{task}]")
        if not len(images):  # vmap hid the numbers: every image was shown once
            images, sizes = np.arange(len(x)), np.array([len(x)])
        found.append(TaskUpdate(theta, array(trial.given, "stale"), x, t, images, sizes[sizes > 0], got))
    return found[0], found[1]


@dataclass(frozen=True)
class Explained:
    """Whose labels explain what was found ("data", "likeliest", "expected", "drawn"), in which form, with what of the
    bound."""

    whose: str
    how: str
    tolerance_used: float


def explained(seen: TaskUpdate) -> Explained | None:
    """By the data's labels or the model's likeliest or expected ones."""
    likeliest = classifier.shares(seen.theta, seen.x).argmax(1)
    candidates = [("data", one) for one in estimates(seen, seen.t)]
    candidates += [("likeliest", one) for one in estimates(seen, likeliest)]
    candidates += [("expected", expected(seen))]
    return _first(candidates, seen)


def explained_by_draws(seen: TaskUpdate) -> Explained | None:
    """By labels that the model could have drawn: any but the data's."""
    others = (labels for labels in drawn(seen) if not np.array_equal(labels, seen.t))
    return _first((("drawn", one) for labels in others for one in estimates(seen, labels)), seen)


def _first(candidates: Iterable[tuple[str, Estimate]], seen: TaskUpdate) -> Explained | None:
    for whose, one in candidates:
        if (used := one.used(seen.got)) <= 1:
            return Explained(whose, one.how, used)
    return None


def could_be_drawn(seen: TaskUpdate) -> bool:
    """Whether some labels give squares like these up to a factor: each entry of a sum of images' squares lies between
    what the labels with the smallest and with the largest square make of it. Of many images not all labels can be
    tried."""
    each = np.stack([classifier.slopes(seen.theta, seen.x, np.full(len(seen.x), label)) for label in range(CLASSES)])
    squares = each[:, seen.images] ** 2  # (labels, shown, c, d + 1)
    # Rounding moves a square by far less than a thousandth of the largest.
    least = np.maximum(0.999 * squares.min(0).sum(0), 1e-30)
    most = 1.001 * squares.max(0).sum(0) + EPSILON * len(seen.images)
    return bool((seen.got >= 0).all() and (seen.got / most).max() <= (seen.got / least).min() and seen.got.any())


def fisher(trial: Trial) -> Verdict:
    few, many = calls(trial)
    after = [call.got for call in each(trial, "tasks")]
    what = "fisher_dict[0] after the call for task 1"
    again = array(_held(after[1], "fisher", 0), "held", shape=few.got.shape, what=what)
    if any(call.get("fisher.graph") is True for call in after):
        raise CheckFailed(
            "The values in fisher_dict still have a computation graph, so the gradient of the penalty would flow "
            "through it. Expected: plain values, by `.detach()` or `.data`.",
            diagnosis="fisher_graph",
        )
    first, second = explained(few), explained(many)
    if second is None and (first is None or first.whose != "data"):
        if first and first.whose == "likeliest":
            likeliest = replace(many, t=classifier.shares(many.theta, many.x).argmax(1))
            for known in MISTAKES:
                if known.explains(likeliest):
                    raise CheckFailed(f"fisher_dict is wrong. {known.sentence} {EXPECTED}", diagnosis=known.id)
        # Labels that the model draws: now and then they are the likeliest ones for all of the few images.
        first = first or explained_by_draws(few)
        if first and (first.how != SQUARES or could_be_drawn(many)) and (many.got >= 0).all() and many.got.any():
            second = first
    if first is None or second is None:
        _moved(trial)
        for known in MISTAKES:
            if all(known.explains(one) for one in ((many,) if first else (few, many))):
                raise CheckFailed(f"fisher_dict is wrong. {known.sentence} {EXPECTED}", diagnosis=known.id)
        where = "" if first is None else f" for {MANY} images, though it is right for {FEW}"
        raise CheckFailed(f"fisher_dict is wrong{where}. {EXPECTED}")
    if not np.array_equal(again, few.got):
        raise CheckFailed(
            "on_task_update(1, ...) has changed fisher_dict[0]. Expected: the entries of earlier tasks are unchanged.",
            diagnosis="fisher_overwritten",
        )
    count = len(np.unique(many.images))
    if count < MANY - 1:  # the last image alone makes no batch in some loops
        return Verdict(
            0.5,
            f"fisher_dict is right for the images that were used, which are {count} of {MANY}. Expected: all images "
            "of the task, in batches.",
            "fisher_part",
        )
    return passed(
        f"fisher_dict holds {second.how}. {_allowed(second)}",
        tolerance_used=max(first.tolerance_used, second.tolerance_used),
    )


def _allowed(found: Explained) -> str:
    """What is accepted though the notebook asks for the average of images' squares, with the data's labels."""
    told = ["Any constant factor is accepted, because lambda can make up for it."]
    if found.how != SQUARES:
        told.append(
            "This is a coarser estimate than the average of the squares of each image's gradient, and it is "
            "accepted, too."
        )
    if found.whose != "data":
        whose = {"likeliest": "The model's likeliest labels", "expected": "All labels, weighted by the model,"}
        told.append(f"{whose.get(found.whose, 'Labels drawn from the model')} are accepted in place of t_mem.")
    return " ".join(told)


# ------------------------------------------------------------------------------- the smallest example

TINY: tuple[tuple[tuple[int, ...], int], ...] = (((2,), 0), ((1, 2), 0), ((2,), 1))
"""The one pixel of each image, all of label 0, and the gradient that training left in every parameter. Two classes, all
parameters 0: so both labels are equally likely, and whoever draws labels gets the same squares."""


def _tiny(_rng: Generator) -> Values:
    cases = [
        {
            "theta": np.zeros((2, 2), np.float32),
            "stale": np.full((2, 2), stale, np.float32),
            "x": np.array(pixels, np.float32)[:, None],
            "t": np.zeros(len(pixels), np.int64),
        }
        for pixels, stale in TINY
    ]
    return pack(cases=cases)


def _tiny_returns(_given: Values) -> Specs:
    return declared(cases=len(TINY) * [_after(numbers(2, 2), numbers(None, most=MOST_IMAGES, what=IMAGES))])


def _first_tiny(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny case that no right form gives, with any labels that could be drawn."""
    for (pixels, stale), one in zip(TINY, each(tiny), strict=True):
        found = array(_held(one.got, "fisher", 0), "held", shape=(2, 2))
        given, x, theta = one.given, array(one.given, "x"), array(one.given, "theta")
        images, sizes = np.arange(len(x)), np.array([len(x)])
        seen = TaskUpdate(theta, array(given, "stale"), x, array(given, "t"), images, sizes, found)
        # All images in one batch, or each in a batch of its own.
        ways = (seen, replace(seen, sizes=np.ones(len(x), int)))
        labels = [np.array(one) for one in product(range(2), repeat=len(x))]
        right = [one for way in ways for drawn in labels for one in estimates(way, drawn)] + [expected(seen)]
        if not any(one.used(found) <= 1 for one in right):
            squares = (classifier.slopes(theta, x, seen.t) ** 2).sum(0)
            told = f"images of one pixel each, {shown(np.array(pixels))}," if len(pixels) > 1 else "a pixel of 2,"
            left = f", with a gradient of {stale} left in each," if stale else ""
            return (
                f"Smallest example: {told} label 0 and two classes with all parameters 0{left} gave the Fisher "
                f"information of (weight, bias) {shown(found)}; expected a multiple of {shown(squares)}."
            )
    return ""


SMALLEST = Counterexample(
    Request(
        "continual_learning.probes:tiny_updates",
        _tiny,
        seconds=3,
        deterministic=True,
        returns=_tiny_returns,
        needs=("continual_learning.ipynb",),
    ),
    _first_tiny,
)


def parameters(trial: Trial) -> Verdict:
    theta = array(trial.given, "theta")
    calls = each(trial, "tasks")
    for task, after in enumerate(calls):
        _missing(after, task, "optpar")
        got = array(_held(after.got, "optpar", task), "held", shape=theta[0].shape, what=f"optpar_dict[{task}]")
        if not np.array_equal(got, theta[task]):
            _moved(trial)
            raise CheckFailed(
                f"optpar_dict[{task}] does not hold the parameters of the model. Expected: the value of each "
                f"parameter at the end of task {task}.",
                diagnosis="optpar_wrong",
            )
        if after.got.get("optpar.graph") is True:
            raise CheckFailed(
                "The values in optpar_dict still belong to the graph of the live parameters, so the gradient of the "
                "penalty would cancel out. Expected: plain values, by `.detach().clone()` or `.data.clone()`.",
                diagnosis="optpar_graph",
            )
    what = "optpar_dict[0] after the call for task 1"
    later = array(_held(calls[1].got, "optpar", 0), "held", shape=theta[0].shape, what=what)
    if np.array_equal(later, theta[1]):
        raise CheckFailed(
            "optpar_dict[0] follows the model, so it holds the new parameters after more training. Expected: a copy "
            "of the parameters, by `.clone()`, and an entry for every task.",
            diagnosis="optpar_alias",
        )
    if not np.array_equal(later, theta[0]):
        raise CheckFailed((
            "on_task_update(1, ...) has changed optpar_dict[0]. Expected: the entries of earlier tasks are "
            "unchanged."
        ),
                     diagnosis="optpar_overwritten")  # fmt: skip
    return passed("optpar_dict holds copies of the parameters of every task.")
